"""The form in which Sensors Data's clients send: a field that holds base64 of gzip of JSON.

Their messages become the protocol's: `track` an event, `track_signup` an alias, profiles an identify, items a product.
"""

import re
from base64 import b64decode
from binascii import Error
from datetime import datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qs

import msgspec

from patron.collect.batch_splitter import split_items
from patron.collect.request import (
    JSON_DECODER,
    Message,
    Request,
    SourceRules,
    check_message_count,
    decode_json,
    inflate_body,
    parse_time,
    validate_message,
)
from patron.schema.errors import BadRequest
from patron.schema.sentences import Sentence

FORM_FIELDS = Sentence("form_fields", "the form has more than {count} fields")
FORM_NO_DATA = Sentence("form_no_data", "neither data_list nor data is in the form")
NOT_BASE64 = Sentence("not_base64", "the data is not valid base64")
NOT_EVENTS = Sentence("not_events", "the data is neither an event nor a list of events")
SEND_AS_CLIENTS = Sentence("send_as_clients", "Send it as the clients do.")

NAMES = {"$pageview": "Page", "$AppViewScreen": "Screen", "$MPViewScreen": "Screen"}
"""Their preset events that are types of ours."""
MAX_FIELDS = 20
LEADING = re.compile(r"^\$+")


def sensors_json(body: bytes) -> bytes:
    """JSON inside the form that a Sensors client sends. Raises BadRequest 400, 413."""
    try:
        form = parse_qs(body.decode("latin-1"), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest(400, FORM_FIELDS(count=MAX_FIELDS), todo=SEND_AS_CLIENTS) from None
    fields = form.get("data_list") or form.get("data")
    if not fields:
        raise BadRequest(400, FORM_NO_DATA, todo=SEND_AS_CLIENTS)
    try:
        content = b64decode(fields[0].replace(" ", "+"), validate=False)
    except (Error, ValueError):
        raise BadRequest(400, NOT_BASE64, todo=SEND_AS_CLIENTS) from None
    return inflate_body(content)


def validate_sensors(content: bytes, source: str, received_at: datetime, rules: SourceRules) -> Request:
    """Validate what a Sensors client sent. Raises BadRequest 400, 413."""
    items = _decode_items(content)
    check_message_count(items)
    return Request(source, received_at, [_validate_one(raw, received_at, rules) for raw in items])


def _decode_items(content: bytes) -> list[bytes]:
    """The messages of an array, or the one that was sent alone, each as JSON. Raises BadRequest 400."""
    try:
        decoded = decode_json(JSON_DECODER, content)
    except BadRequest:
        # why: one broken message costs no other one
        items = [content] if content.strip().startswith(b"{") else split_items(content)
        if items is None:
            raise
        return items
    if not isinstance(decoded, dict | list):
        raise BadRequest(400, NOT_EVENTS, todo=SEND_AS_CLIENTS)
    return [msgspec.json.encode(one) for one in (decoded if isinstance(decoded, list) else [decoded])]


def _validate_one(raw: bytes, received_at: datetime, rules: SourceRules) -> Message:
    try:
        original = JSON_DECODER.decode(raw)
        content = msgspec.json.encode(to_segment_message(original, raw)) if isinstance(original, dict) else raw
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = raw  # why: its rejection says what is wrong
    return validate_message(content, received_at, rules, {})


def to_segment_message(original: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """A Sensors message as a message of the protocol; what has no place there stays in its properties."""
    kind = str(original.get("type") or "")
    sent_properties = original.get("properties")
    properties: dict[str, Any] = sent_properties if isinstance(sent_properties, dict) else {}
    message: dict[str, Any] = {
        "messageId": f"sa-{blake2b(raw, digest_size=16).hexdigest()}",
        "timestamp": parse_time(original.get("time")),
        "context": _context(original, properties),
    } | _who(original, properties)
    plain = {LEADING.sub("", key): value for key, value in properties.items() if key not in CONTEXT}
    if kind == "track":
        name = str(original.get("event") or "")
        known = NAMES.get(name)
        if known:
            return message | {"type": known.lower(), "properties": plain}
        return message | {"type": "track", "event": LEADING.sub("", name), "properties": plain}
    if kind == "track_signup":
        return message | {
            "type": "alias",
            "userId": original.get("distinct_id"),
            "previousId": original.get("original_id"),
        }
    if kind.startswith("profile_"):
        how = kind.removeprefix("profile_")
        traits = plain if how in {"set", "set_once", "append", "increment"} else {}
        unset = sorted(plain) if how == "unset" else None
        return message | {"type": "identify", "traits": traits, "properties": {"profile": how, "unset": unset}}
    if kind.startswith("item_"):
        return message | {"type": "track", "event": "Product Updated", "properties": {**plain, **_item(original, kind)}}
    return message | {"type": kind or "unknown"}


CONTEXT = {"$ip": "ip", "$user_agent": "userAgent", "$lib": "library", "$lib_version": "version"}


def _who(original: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """A distinct id is a user's when the client says so, else a visitor's; `login_id` and `anonymous_id` say both."""
    distinct_id = original.get("distinct_id")
    is_login = bool(properties.pop("$is_login_id", False))
    login, anonymous = original.get("login_id"), original.get("anonymous_id")
    if login or anonymous:
        return {"userId": login, "anonymousId": anonymous}
    return {"userId": distinct_id} if is_login else {"anonymousId": distinct_id}


def _context(original: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = {ours: properties[theirs] for theirs, ours in CONTEXT.items() if properties.get(theirs)}
    if isinstance(properties.get("$url"), str):
        context["page"] = {"url": properties["$url"]}
    system = properties.get("$os") or properties.get("$model")
    if system:
        context["os"] = {"name": str(system)}
    if isinstance(original.get("lib"), dict):
        context["library"] = {"name": original["lib"].get("$lib"), "version": original["lib"].get("$lib_version")}
    return context


def _item(original: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "product_id": original.get("item_id"),
        "item_type": original.get("item_type"),
        "item": kind.removeprefix("item_"),
    }
