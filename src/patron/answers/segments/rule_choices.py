"""Values that a rule can be compared with: what the shop's customers and products have, the most frequent ones."""

from dataclasses import dataclass

from patron.storage.runs.last_run import last_run, records
from patron.storage.segments.segment_query import known_names
from patron.storage.shop import Shop, Snapshot

MAX_CHOICES = 100
"""Values of one field that are listed; a rule may name others."""


@dataclass(frozen=True)
class RuleChoices:
    """Values to choose from."""

    fields: dict[str, tuple[str, ...]]
    """Of fields that hold texts, such as the favourite category."""
    categories: tuple[str, ...]
    """Of products that were bought."""
    brands: tuple[str, ...]


def rule_choices(shop: Shop) -> RuleChoices:
    """Values to choose from, as the last run left the shop. Raises NoRunYet."""
    view = last_run(shop)
    known = known_names(view, shop.store).fields.values()
    texts = [one for one in known if one.kind == "text"]
    fields = {text.name: text.choices or _values(view, text.name) for text in texts}
    return RuleChoices(fields, _bought(view, "category"), _bought(view, "brand"))


def _values(view: Snapshot, field: str) -> tuple[str, ...]:
    column, table = ("name_code", "personas") if field == "persona" else (field, "features")
    sql = f"""
select "{column}" as value from {table} where run_id = $run_id and "{column}" is not null
group by 1 order by count(*) desc, 1 limit {MAX_CHOICES}"""
    return tuple(row["value"] for row in records(view.query(sql, {"run_id": view.run.run_id})))


def _bought(view: Snapshot, column: str) -> tuple[str, ...]:
    sql = f"""
select {column} as value from order_lines where {column} is not null
group by 1 order by count(*) desc, 1 limit {MAX_CHOICES}"""
    return tuple(row["value"] for row in records(view.query(sql)))
