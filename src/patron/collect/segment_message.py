"""One message of Segment's protocol, validated against the catalogue and converted into a raw event."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import msgspec

from patron.govern.privacy.personal_data import (
    ExtrasSplit,
    is_plain_amount,
    is_short_number,
    json_text,
    split_traits,
    text_of,
)
from patron.schema.amounts import MAX_CENTS, cents_of, count_of, decimal_of
from patron.schema.common_sentences import IS_MISSING, TOO_LONG
from patron.schema.errors import BadEvent
from patron.schema.events import ALIASES, BY_NAME, OF_PRODUCTS, Property, properties_of
from patron.schema.events.event_fields import Item
from patron.schema.sentences import Sentence
from patron.schema.short_text_cache import cache_short_texts

NOT_JSON = Sentence("not_json", "is not JSON")
OBJECT_A_LINE = Sentence("object_a_line", "Write one JSON object a line.")
NOT_OBJECT = Sentence("not_json_object", "is not a JSON object")
ONE_OBJECT = Sentence("one_object", "Send one object a message.")
PROPERTIES_OBJECT = Sentence("properties_object", "Send the properties as one object.")
TRAITS_OBJECT = Sentence("traits_object", "Send the traits as one object.")
UNKNOWN_TYPE = Sentence("unknown_type", "is not a known type")
SEND_TYPES = Sentence("send_types", "Send track, identify, page, screen, group or alias.")
NOT_A_TEXT = Sentence("missing_or_no_text", "is missing or not a text")
NAME_EVENT = Sentence("name_event", "Name the event.")
ID_EACH = Sentence("id_each", "Give every message its own id.")
SHORTER_ID = Sentence("shorter_id", "Send a shorter id.")
SEND_WHEN = Sentence("send_when", "Send when it happened, such as 2026-01-31T12:00:00Z.")
NOT_A_TIME = Sentence("not_valid_time", "is not a valid time")
SEND_ISO_TIME = Sentence("send_iso_time", "Send it as ISO 8601, such as 2026-01-31T12:00:00Z.")
EVENT_NEEDS_IT = Sentence("event_needs_it", "{event} needs it.")
PLAIN_NUMBER = Sentence("plain_number", "Send a plain number, such as 19.90.")
NOT_OBJECTS = Sentence("not_list_of_objects", "is not a list of objects")
LIST_OF_PRODUCTS = Sentence("list_of_products", "Send a list of products.")
NOT_CURRENCY_CODE = Sentence("not_currency_code", "is not a valid ISO 4217 code")
SEND_CURRENCY = Sentence("send_currency", "Send a code such as EUR.")
IDS_OF_NOBODY = Sentence("ids_of_nobody", "stand for nobody, such as 'undefined' or '0'")
BOTH_MISSING = Sentence("both_missing", "both are missing")
SEND_AN_ID = Sentence("send_an_id", "Send at least one id that names somebody.")

TYPES = {"identify": "Identify", "page": "Page", "screen": "Screen", "group": "Group", "alias": "Alias"}
NOBODY = frozenset({"", "-1", "null", "none", "undefined", "anonymous", "guest", "nan", "test"})
"""Ids that clients send for nobody; so is an id made of zeros and dashes only."""
MAX_ID_LENGTH = 100
ITEM = properties_of(Item)
APP_SYSTEMS = ("ios", "android", "harmony")

SETTINGS = ("locale", "timezone")
"""What of a message's context says how a device is set up."""
PERSONAL_CONTEXT = ("ip", "userAgent", "page", "referrer", "location")
"""What of it only the vault may hold."""
LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_](?:[A-Za-z]{2}|[A-Za-z]{4}|[0-9]{3})){0,3}")
"""A language, and a script, a country or a region of the world."""

RawEvent = dict[str, Any]
PlainProperties = Mapping[str, Collection[str]]
"""Paths of properties that the tracking plan declares plain, by event."""
NOTHING_PLAIN: PlainProperties = {}


def raw_event_of(message: object, plain: PlainProperties = NOTHING_PLAIN) -> RawEvent:
    """Convert one message into a raw event. Raises BadEvent that says what is wrong, where, and what to do."""
    if not isinstance(message, dict):
        raise _bad(NOT_OBJECT, "message", ONE_OBJECT)
    name = _name(message)
    row: RawEvent = {"event_id": _event_id(message), "name": name, "occurred_at": _occurred_at(message)}
    row["user_id"], row["anonymous_id"] = _person(message.get("userId")), _person(message.get("anonymousId"))
    if name == "Alias":
        row["anonymous_id"] = _person(message.get("previousId")) or row["anonymous_id"]
    row["referred_user_id"] = None
    properties = message.get("properties") or {}
    if not isinstance(properties, dict):
        raise _bad(NOT_OBJECT, "properties", PROPERTIES_OBJECT)
    properties = {**_typed_properties(message), **properties}
    kept: dict[str, Any] = {}
    split = ExtrasSplit({"personal": {}, "texts": {}}, plain.get(name, ()))
    vault = split.vault
    _fill(row, name, properties, kept, split)
    _fill_context(row, message, kept, vault)
    row["traits"] = json_text(split_traits(_traits(message), vault["personal"]))
    row["properties"], row["personal"] = json_text(kept), json_text(vault["personal"])
    row["texts"] = json_text(vault["texts"])
    _require_subject(row, message)
    return row


def is_placeholder_id(value: str) -> bool:
    """Whether an id is a placeholder and not a person's, such as 'null', 'guest' or '000'."""
    return value.lower() in NOBODY or not value.strip("0-")


@cache
def _properties(name: str) -> dict[str, Property]:
    return {property_.name: property_ for property_ in properties_of(BY_NAME[name])} if name in BY_NAME else {}


def _name(message: RawEvent) -> str:
    kind = text_of(message.get("type")) or ("track" if message.get("event") else None)
    if kind in TYPES:
        return TYPES[kind]
    if kind != "track":
        raise _bad(UNKNOWN_TYPE, "type", SEND_TYPES)
    name = _scalar(message.get("event"))
    if not name:
        raise _bad(NOT_A_TEXT, "event", NAME_EVENT)
    return ALIASES.get(name, name)


def _typed_properties(message: RawEvent) -> RawEvent:
    """Properties that some types carry next to `properties`: the name of a page, the id and traits of a group."""
    kind = text_of(message.get("type"))
    if kind in {"page", "screen"}:
        return {key: message[key] for key in ("name", "category") if message.get(key) is not None}
    if kind == "group":
        return {"group_id": message.get("groupId"), "group_traits": message.get("traits")}
    return {}


def _event_id(message: RawEvent) -> str:
    event_id = _scalar(message.get("messageId"))
    if not event_id:
        raise _bad(NOT_A_TEXT, "messageId", ID_EACH)
    if len(event_id) > MAX_ID_LENGTH:
        raise _bad(TOO_LONG(count=MAX_ID_LENGTH), "messageId", SHORTER_ID)
    return event_id


def _occurred_at(message: RawEvent) -> datetime:
    timestamp = message.get("timestamp")
    if isinstance(timestamp, datetime) and timestamp.tzinfo is UTC:
        return timestamp  # why: the collector has read and corrected it
    field, value = next(
        ((f, message[f]) for f in ("timestamp", "originalTimestamp", "receivedAt", "sentAt") if message.get(f)),
        ("", None),
    )
    if value is None:
        raise _bad(IS_MISSING, "timestamp", SEND_WHEN)
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC)
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise _bad(NOT_A_TIME, field, SEND_ISO_TIME) from None


def _person(value: object) -> str | None:
    text = text_of(value)
    return None if text is None or is_placeholder_id(text) else text


def _traits(message: RawEvent) -> dict[str, Any]:
    traits = message.get("traits") if message.get("type") != "group" else None
    context = message.get("context")
    if not traits and isinstance(context, dict) and message.get("type") == "identify":
        traits = context.get("traits")  # why: Rudder's Python client puts them only there
    if traits is not None and not isinstance(traits, dict):
        raise _bad(NOT_OBJECT, "traits", TRAITS_OBJECT)
    return traits or {}


def _scalar(value: object) -> str | None:
    """The text of a value that is one; an object or a list names nothing."""
    return text_of(value) if value.__class__ is str or not isinstance(value, dict | list) else None


def _fill(row: RawEvent, name: str, properties: RawEvent, kept: RawEvent, split: ExtrasSplit) -> None:
    event = BY_NAME.get(name)
    known = _properties(name)
    for key in event.required if event else ():
        if _scalar(properties.get(key)) is None:
            raise _bad(IS_MISSING, f"properties.{key}", EVENT_NEEDS_IT(event=name))
    extras: RawEvent = {}
    for key, content in properties.items():
        declared = known.get(key)
        if declared is None:
            extras[key] = content
        elif content is not None:
            _place(row, declared, content, kept, split)
    row["product_id"] = row.get("product_id") or (_scalar(properties.get("sku")) if "product_id" in known else None)
    if extras:
        split.split(extras, kept)
    if event and event.is_refund:
        _make_positive(row)
    _check_currency(row)


def _place(row: RawEvent, declared: Property, content: object, kept: RawEvent, split: ExtrasSplit) -> None:
    if declared.kind == "items":
        row["products"] = _items(content, kept, split)
        return
    if declared.kind == "any" and not declared.vault:
        parts = {f"{declared.name}.{key}" for key in ("type", "value")}
        ExtrasSplit(split.vault, plain_scalars=parts).split({declared.name: content}, kept)
        return
    if content.__class__ is str and declared.kind == "text":  # why: most values are, and need no more than this
        value = content.strip()  # pyright: ignore[reportAttributeAccessIssue]
    else:
        value = _value(declared, content, f"properties.{declared.name}")
    if value is None or value == "":
        return
    if declared.vault or (value.__class__ is not str and _is_undeclared(declared, value)):
        split.vault[declared.vault or "texts"][declared.name] = value
    elif declared.column:
        row[declared.column] = value
    else:
        kept[declared.name] = value


def _is_undeclared(declared: Property, value: object) -> bool:
    """Whether a value is not what its class declares: an object, or a number too long for a rating or an amount."""
    if isinstance(value, float):
        return not (is_plain_amount(value) if declared.kind == "amount" else is_short_number(value))
    return isinstance(value, dict | list) or (not declared.column and isinstance(value, int) and value > MAX_CENTS)


def _value(declared: Property, content: object, where: str) -> Any:
    if declared.kind == "any" or (declared.kind == "text" and isinstance(content, dict | list)):
        return content
    content = text_of(content)
    if content is None or declared.kind == "text":
        return content
    try:
        if declared.kind == "integer":
            return count_of(content)
        if declared.kind == "amount" and declared.column:
            return cents_of(content)
        return float(decimal_of(content))
    except ValueError as error:
        raise _bad(error.args[0], where, PLAIN_NUMBER) from None


def _items(products: object, kept: RawEvent, split: ExtrasSplit) -> list[RawEvent]:
    if not isinstance(products, list) or not all(isinstance(item, dict) for item in products):
        raise _bad(NOT_OBJECTS, "properties.products", LIST_OF_PRODUCTS)
    items = []
    for number, product in enumerate(products):
        row: RawEvent = {}
        rest: RawEvent = {key: value for key, value in product.items() if key not in Item.__struct_fields__}
        others: RawEvent = {}
        inner = ExtrasSplit({"personal": {}, "texts": {}}, split.plain)
        for one in ITEM:
            if product.get(one.name) is not None:
                try:
                    _place(row, one, product[one.name], others, inner)
                except BadEvent as error:
                    where = error.where.replace("properties.", f"properties.products[{number}].")
                    raise _bad(error.what, where, error.todo) from None
        row["product_id"] = row.get("product_id") or _scalar(product.get("sku"))
        inner.split(rest, others, within="products.")
        if others:
            kept.setdefault("products", {})[str(number)] = others
        for place, values in inner.vault.items():
            split.vault[place].update({f"products.{number}.{key}": value for key, value in values.items()})
        items.append(row)
    return items


def _make_positive(row: RawEvent) -> None:
    for key in ("price_cents", "revenue_cents", "total_cents", "shipping_cents", "tax_cents", "discount_cents"):
        if row.get(key) is not None:
            row[key] = abs(row[key])


def _check_currency(row: RawEvent) -> None:
    code = row.get("currency")
    if code is None:
        return
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise _bad(NOT_CURRENCY_CODE, "properties.currency", SEND_CURRENCY)
    row["currency"] = code.upper()


def _fill_context(row: RawEvent, message: RawEvent, kept: RawEvent, vault: dict[str, RawEvent]) -> None:
    context = message.get("context")
    if not isinstance(context, dict):
        return
    device, system = _object(context, "device"), _object(context, "os")
    campaign = _object(context, "campaign")
    kind = str(device.get("type") or system.get("name") or "").lower()
    agent = str(context.get("userAgent") or "").lower()
    row["device"] = _device(kind, agent)
    if row.get("channel") is None and (kind or agent):
        row["channel"] = "app" if kind.startswith(APP_SYSTEMS) else "web" if agent else None
    if row.get("campaign_id") is None:
        row["campaign_id"] = _scalar(campaign.get("name"))
    plain: RawEvent = {}
    rest: RawEvent = {key: context[key] for key in PERSONAL_CONTEXT if context.get(key)}
    for key in SETTINGS:
        if value := context.get(key):
            (plain if is_setting(key, value) else rest)[key] = value
    if campaign:
        texts = {f"campaign_{key}": _scalar(campaign.get(key)) for key in ("source", "medium", "content")}
        plain |= {key: text for key, text in texts.items() if text is not None}
    if plain:
        kept["context"] = plain
    if rest:
        vault["personal"]["context"] = rest


def _object(context: RawEvent, key: str) -> RawEvent:
    """An object inside another, or an empty one."""
    part = context.get(key)
    return part if isinstance(part, dict) else {}


def is_setting(key: str, value: object) -> bool:
    """Whether a value is a locale, or a time zone that exists."""
    if not isinstance(value, str):
        return False
    return value in _time_zones() if key == "timezone" else bool(LOCALE.fullmatch(value))


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache_short_texts(10_000)
def _device(kind: str, agent: str) -> str | None:
    if "tablet" in kind or "ipad" in agent or "tablet" in agent:
        return "tablet"
    if kind.startswith(APP_SYSTEMS) or "mobile" in kind or "mobile" in agent:
        return "mobile"
    return "desktop" if agent else None


def _require_subject(row: RawEvent, message: RawEvent) -> None:
    if row["user_id"] is None and row["anonymous_id"] is None and row["name"] not in OF_PRODUCTS:
        has_id = any(text_of(message.get(one)) for one in ("userId", "anonymousId"))
        what = IDS_OF_NOBODY if has_id else BOTH_MISSING
        raise _bad(what, "userId, anonymousId", SEND_AN_ID)


def _bad(what: str, where: str, todo: str) -> BadEvent:
    return BadEvent(what, where=where, todo=todo)


def read_message(line: bytes, plain: PlainProperties = NOTHING_PLAIN) -> RawEvent:
    """Decode one line of JSON and convert it into a raw event. Raises BadEvent."""
    try:
        message = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _bad(NOT_JSON, "message", OBJECT_A_LINE) from None
    return raw_event_of(message, plain)
