"""A part of a mapping as one SELECT: text columns of a file in, raw events with their problems out."""

from typing import Any

from patron.collect.files.mapping import AMOUNTS, Mapping, Part
from patron.collect.files.mapping_checks import event_names
from patron.collect.segment_message import NOTHING_PLAIN, PlainProperties
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.events import BY_NAME, properties_of
from patron.schema.privacy.personal_keys import kind_of_property, kind_of_trait
from patron.schema.table_definition import sql_type
from patron.storage.engine import literal

MACROS = """
create or replace macro cents(x) as (with v as (select x as y) select case
    when abs(y) >= 10000000000000 then null
    when y * 100 - floor(y * 100) = 0.5 then cast(floor(y * 100) + floor(y * 100) % 2 as bigint)
    else cast(round(y * 100) as bigint) end from v)
"""
IMPORTED_AT = "cast(getvariable('received_at') as timestamptz)"
ZONED = r"(:\d{2}(\.\d+)?\s*[+-]\d{2}(:?\d{2})?|Z|UTC)$"


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def expression(spec: Any) -> str:
    """SQL of a column's source: a column's name, {value = ...} or {sql = ...}, maybe with a format."""
    if isinstance(spec, str):
        return quoted(spec)
    if "value" in spec:
        return literal(spec["value"])
    if "sql" in spec:
        return f"({spec['sql']})"
    return quoted(spec["column"]) if "column" in spec else "null"


def raw_events_sql(mapping: Mapping, part: Part, plain: PlainProperties = NOTHING_PLAIN) -> str:
    """Query of the raw events of one part, over `chunk` (text columns, _row, _hash, _occurrence)."""
    problems = [f"when {condition} then {literal(code)}" for code, condition in part.rejected.items()]
    if isinstance(part.event, str):
        columns: dict[str, str] = {"name": literal(part.event)}
    else:
        columns = {"name": expression(part.event)}
        known = ", ".join(literal(name) for name in BY_NAME)
        label = literal(f"unknown_event:{part.event.get('column', 'what the mapping gives')}")
        problems.append(f"when {columns['name']} not in ({known}) then {label}")
    for name, spec in part.columns.items():
        target, value, problem = _column(mapping, name, spec)
        columns[target] = value
        problems += [problem] if problem else []
    if "currency" not in columns and mapping.currency:
        columns["currency"] = literal(mapping.currency)
    columns["event_id"] = _event_id(mapping, part)
    columns |= _json_columns(part, plain, undated=_is_undated_sql(mapping, part))
    types = {f.name: sql_type(f.type) for f in RAW_EVENTS}
    listed = ", ".join(f"cast({columns.get(n, 'null')} as {types[n]}) as {n}" for n in types)
    problem_sql = f"case {' '.join(problems)} end" if problems else "cast(null as varchar)"
    values = "to_json(chunk)"
    return f"""
    select {listed}, _row as row_number, {problem_sql} as problem, {literal(part.name)} as _part, {values} as payload
    from chunk {part.join} where {part.where}
    """


def _event_id(mapping: Mapping, part: Part) -> str:
    name = literal(part.name)
    if part.order_date and mapping.refunds_known_at == "order":
        # why: another event than the one known at an earlier import, so that it is stored and books the money first
        is_dated = f"{expression(part.columns['occurred_at'])} is not null"
        name = f"({name} || case when {is_dated} then '' else '/order' end)"
    if part.id:
        listed = ", ".join(quoted(column) for column in part.id)
        return f"md5(concat_ws(chr(31), getvariable('row_key'), {name}, {listed}))"
    return f"_hash || '-' || {name} || case when _occurrence > 1 then '-' || _occurrence else '' end"


def _column(mapping: Mapping, name: str, spec: Any) -> tuple[str, str, str]:
    """Column of RAW_EVENTS, its SQL, and the condition (if any) under which its value cannot be read."""
    target = AMOUNTS.get(name, name)
    if isinstance(spec, dict) and "cents" in spec:
        return target, f"({spec['cents']})", ""
    source = expression(spec)
    label = spec if isinstance(spec, str) else spec.get("column", name) if isinstance(spec, dict) else name
    if name == "occurred_at":
        value, filled = _time(mapping, source, spec), source
        if isinstance(spec, dict) and "undated" in spec:
            order_date = quoted(spec["undated"])
            order_time = _time(mapping, order_date, {key: spec[key] for key in spec if key != "column"})
            undated = order_time if mapping.refunds_known_at == "order" else IMPORTED_AT
            value, filled = f"case when {source} is not null then {value} else {undated} end", order_date
        return target, value, f"when {filled} is not null and {value} is null then {literal(f'bad_time:{label}')}"
    if name == "products":
        return target, source, ""
    if name == "currency":
        return target, f"upper(trim({source}))", ""
    if name not in AMOUNTS and name not in {"quantity", "rating"}:
        return target, f"nullif(trim(cast({source} as varchar)), '')", ""
    text = f"trim(cast({source} as varchar))"
    if mapping.decimal_comma:
        text = f"replace(replace({text}, '.', ''), ',', '.')"
    number = f"try_cast({text} as decimal(28, 8))"
    if name == "quantity":
        number = f"case when {number} = floor({number}) then try_cast({number} as bigint) end"
        code = "bad_quantity"
    else:
        number = (
            f"cents({number})"
            if name in AMOUNTS
            else f"case when isfinite(try_cast({text} as double)) then cast({text} as double) end"
        )
        code = "bad_number"
    return target, number, f"when {source} is not null and {number} is null then {literal(f'{code}:{label}')}"


def _time(mapping: Mapping, source: str, spec: Any) -> str:
    formats = spec.get("format") if isinstance(spec, dict) else None
    zone = literal(spec.get("time_zone", mapping.zone) if isinstance(spec, dict) else mapping.zone)
    if formats in ("epoch_seconds", "epoch_milliseconds"):
        scale = 1 if formats == "epoch_seconds" else 1000
        return f"to_timestamp(try_cast({source} as double) / {scale})"
    if formats:
        listed = ", ".join(literal(one) for one in ([formats] if isinstance(formats, str) else formats))
        return f"timezone({zone}, try_strptime({source}, [{listed}]))"
    text = f"cast({source} as varchar)"
    absolute = f"try_cast(regexp_replace({text}, '\\s*([+-]\\d{{2}}):?(\\d{{2}})$', '\\1:\\2') as timestamptz)"
    local = f"timezone({zone}, try_cast({text} as timestamp))"
    return f"case when regexp_matches({text}, {literal(ZONED)}) then {absolute} else {local} end"


def _is_undated_sql(mapping: Mapping, part: Part) -> str:
    """SQL of whether a row's refund has no date of its own and gets the import's; nothing for other parts."""
    if not part.order_date or mapping.refunds_known_at == "order":
        return ""
    return f"case when {expression(part.columns['occurred_at'])} is null then 'true' end"


def _json_columns(part: Part, plain: PlainProperties, *, undated: str) -> dict[str, str]:
    places: dict[str, dict[str, str]] = {"traits": {}, "properties": {}, "personal": {}, "texts": {}}
    for name, spec in part.traits.items():
        places["traits" if kind_of_trait(name) == "plain" else "personal"][name] = expression(spec)
    for name, spec in part.properties.items():
        places[_place_of(part, name, spec, plain)][name] = expression(spec)
    if undated:
        places["properties"]["is_undated"] = undated
    return {place: _object(values) for place, values in places.items() if values}


def _place_of(part: Part, name: str, spec: Any, plain: PlainProperties) -> str:
    """Where a property goes: in clear if the mapping, the tracking plan or each of its events declares it plain."""
    if isinstance(spec, dict) and ("value" in spec or spec.get("plain")):
        return "properties"
    events = event_names(part.event)
    declared = [{one.name: one for one in properties_of(BY_NAME[event])}.get(name) for event in events]
    vaults = {one.vault for one in declared if one}
    if any(vaults):
        return max(vaults)
    if events and all(one or name in plain.get(event, ()) for one, event in zip(declared, events, strict=True)):
        return "properties"
    return "personal" if kind_of_property(name) in {"identifying", "sensitive"} else "texts"


def _object(values: dict[str, str]) -> str:
    members = ", ".join(
        f"case when {source} is not null then {literal(f'{chr(34)}{name}{chr(34)}:')} || to_json({source}) end"
        for name, source in values.items()
    )
    return f"nullif('{{' || concat_ws(',', {members}) || '}}', '{{}}')"
