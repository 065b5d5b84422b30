"""One request of the collector, validated message by message."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import msgspec

from patron.collect.batch_splitter import split_items, split_members
from patron.collect.consent_check import SEND_FROM_SERVER, consent_flags
from patron.collect.event_flags import TEST
from patron.collect.segment_message import NOT_OBJECT, ONE_OBJECT, raw_event_of
from patron.collect.tracking_plan import NO_PLAN, TrackingPlan
from patron.govern.privacy.personal_data import text_of
from patron.schema.common_sentences import BODY_LARGE, FILE_UNREADABLE_CAUSE, SMALLER_BATCHES
from patron.schema.errors import BadEvent, BadRequest
from patron.schema.events import BY_NAME
from patron.schema.json_texts import MAX_DEPTH, is_too_deep
from patron.schema.sentences import Sentence
from patron.schema.short_text_cache import cache_short_texts
from patron.storage.offers.policy import Consent
from patron.storage.shop import Shop

NOT_READ_ENCODING = Sentence("not_read_encoding", "the Content-Encoding {name!r} is not read here")
SEND_PLAIN_OR = Sentence("send_plain_or", "Send it as it is, or with {names}.")
BODY_NOT_VALID = Sentence("body_not_valid", "the body is not valid {name} ({cause})")
BODY_CUT_OFF = Sentence("body_cut_off", "the {name} body is cut off")
BODY_PROTOCOL = Sentence("body_protocol", "the body does not follow the protocol ({cause})")
SEND_JSON = Sentence("send_json", "Send JSON, encoded as UTF-8.")
MESSAGE_COUNT = Sentence("message_count", "more than {count} messages")
BODY_NOT_OBJECT = Sentence("body_not_object", "the body is not a JSON object")
SEND_ONE_MESSAGE = Sentence("send_one_message", "Send one message.")
EVENT_BYTES = Sentence("event_bytes", "is {count} bytes long")
EVENT_DEPTH = Sentence("event_depth", "is nested more than {count} levels deep")
EVENT_FLATTEN = Sentence("event_flatten", "Flatten its properties.")
EVENT_BYTES_MOST = Sentence("event_bytes_most", "Send at most {count} bytes an event.")
NEEDS_SECRET_KEY = Sentence("needs_secret_key", "is accepted with a secret key only")

RawEvent = dict[str, Any]

MAX_BODY_BYTES = 4_000_000
"""Bytes of a request after inflating; the rest of a bomb is never inflated."""
MAX_MESSAGES = 20_000
"""Messages of one request: as many as the writer lets wait."""
MIN_TIME = datetime(2000, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(hours=24)
GZIP = b"\x1f\x8b"
WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's name of each Content-Encoding that is inflated."""
NULL_CHARACTER = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
KNOWN = "_known"
"""Next to the columns of a raw event: "occurred" for history, which is known from when it happened."""
ORDER = "Order Completed"
NEAR = frozenset(name.casefold() for name in BY_NAME)
"""Names of the catalogue without regard to case."""
BOT = re.compile(r"(?i)bot\b|crawl|spider|slurp|headless|lighthouse|preview|curl/|wget/|python-requests|monitor")


@dataclass(frozen=True)
class Message:
    """One message: the raw event, or the problem and payload of a rejected one."""

    event_id: str | None
    row: RawEvent

    @property
    def is_rejected(self) -> bool:
        """Whether it goes to the dead letters."""
        return "problem" in self.row


@dataclass(frozen=True)
class Request:
    """Messages of one request, validated one by one."""

    source: str
    received_at: datetime
    messages: list[Message]


class Batch(msgspec.Struct):
    """The body of a batch; its messages are validated one by one."""

    batch: list[msgspec.Raw]
    sentAt: Any = None  # noqa: N815 - the protocol's name
    timestamp: Any = None
    context: Any = None
    integrations: Any = None
    writeKey: Any = None  # noqa: N815 - the protocol's name


BATCH = msgspec.json.Decoder(Batch)
WRITE_KEY = re.compile(rb'"writeKey"\s*:\s*"([A-Za-z0-9_-]{1,100})"')
WRITE_KEY_DECODER = msgspec.json.Decoder(msgspec.defstruct("Keyed", [("writeKey", Any, None)]))


def check_encoding(encoding: str) -> str:
    """Name of a Content-Encoding that is read, '' for none. Raises BadRequest 415 for any other."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return ""
    if name not in WINDOW_BITS:
        todo = SEND_PLAIN_OR(names=", ".join(WINDOW_BITS))
        raise BadRequest(415, NOT_READ_ENCODING(name=encoding[:40]), todo=todo)
    return name


def inflate_body(raw: bytes, *, encoding: str = "") -> bytes:
    """Inflate a body, whatever its Content-Type says.

    Raises BadRequest 413 above MAX_BODY_BYTES, 400 for bytes that are not what their encoding says, 415 for an encoding
    that is not read.
    """
    name = check_encoding(encoding) or ("gzip" if raw.startswith(GZIP) else "")
    if name:
        raw = _inflate(raw, name)
    if len(raw) > MAX_BODY_BYTES:
        raise BadRequest(413, BODY_LARGE(count=MAX_BODY_BYTES), todo=SMALLER_BATCHES)
    return NULL_CHARACTER.sub(rb"\1", raw) if b"\\u0000" in raw else raw


def _inflate(raw: bytes, name: str) -> bytes:
    """Inflate up to the cap. Raises BadRequest."""
    inflate = zlib.decompressobj(wbits=WINDOW_BITS[name])
    try:
        content = inflate.decompress(raw, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise BadRequest(400, BODY_NOT_VALID(name=name, cause=error)) from None
    if not inflate.eof and len(content) <= MAX_BODY_BYTES:
        raise BadRequest(400, BODY_CUT_OFF(name=name))
    return content


def decode_json(decoder: msgspec.json.Decoder, body: bytes) -> Any:
    """Decode JSON. Raises BadRequest 400."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(400, BODY_PROTOCOL(cause=error), todo=SEND_JSON) from None


def key_in_body(body: bytes) -> str:
    """Write key inside a JSON body, or ''. Raises BadRequest 400."""
    try:
        return str(decode_json(WRITE_KEY_DECODER, body).writeKey or "")
    except BadRequest:
        match = WRITE_KEY.search(body)  # why: one broken message does not hide the key of all
        if match is None:
            raise
        return match[1].decode()


NO_CONSENT_NEEDED = Consent()


@dataclass(frozen=True)
class SourceRules:
    """Rules for the events of a source and key."""

    longest_event_bytes: int
    needs_secret: frozenset[str]
    """Names of events that only a secret key may send."""
    is_secret: bool
    is_history: bool = False
    """Whether times stay as they were sent, however old."""
    is_test: bool = False
    """Whether all of it is test traffic."""
    test_hosts: frozenset[str] = frozenset()
    plan: TrackingPlan = NO_PLAN
    consent: Consent = NO_CONSENT_NEEDED


def source_rules(shop: Shop, source: str, plan: TrackingPlan, *, is_secret: bool, is_history: bool) -> SourceRules:
    """Rules of a source from the workspace's settings and policy."""
    settings = shop.settings.collect
    return SourceRules(
        settings.longest_event_bytes,
        frozenset(settings.needs_secret_key),
        is_secret=is_secret,
        is_history=is_history,
        is_test=source in settings.test_sources,
        test_hosts=frozenset(settings.test_hosts),
        plan=plan,
        consent=shop.policy.consent,
    )


def validate_batch(body: bytes, source: str, received_at: datetime, rules: SourceRules) -> Request:
    """Validate a batch. Raises BadRequest 400 when it is not one, 413 for too many messages."""
    batch = _decode_batch(body)
    check_message_count(batch.batch)
    shared = {"context": batch.context, "integrations": batch.integrations, "sentAt": batch.sentAt}
    shared = {name: value for name, value in shared.items() if value is not None}
    return Request(
        source, received_at, [validate_message(bytes(one), received_at, rules, shared) for one in batch.batch]
    )


def _decode_batch(body: bytes) -> Batch:
    """Decode a batch whose messages may be broken, not the batch itself. Raises BadRequest 400."""
    try:
        return decode_json(BATCH, body)
    except BadRequest:
        members = split_members(body) or {}
        items = split_items(members.pop("batch", b""))
        if items is None:
            raise
        fields = [name for name in Batch.__struct_fields__ if name in members]
        shared = {name: decode_json(JSON_DECODER, members[name]) for name in fields}
        return Batch([msgspec.Raw(item) for item in items], **shared)


def check_message_count(messages: Sequence[object]) -> None:
    """Refuse a request of too many messages. Raises BadRequest 413."""
    if len(messages) > MAX_MESSAGES:
        raise BadRequest(413, MESSAGE_COUNT(count=MAX_MESSAGES), todo=SMALLER_BATCHES)


def validate_single(body: bytes, kind: str, source: str, received_at: datetime, rules: SourceRules) -> Request:
    """Validate one message whose type is in the path. Raises BadRequest 400 when it is not a JSON object."""
    if not isinstance(decode_json(JSON_DECODER, body), dict):
        raise BadRequest(400, BODY_NOT_OBJECT, todo=SEND_ONE_MESSAGE)
    return Request(source, received_at, [validate_message(body, received_at, rules, {"type": kind})])


JSON_DECODER = msgspec.json.Decoder()


def validate_message(raw: bytes, received_at: datetime, rules: SourceRules, shared: dict[str, Any]) -> Message:
    """Convert one message into a raw event, or into a rejected one with its reason."""
    event_id = original = message = None
    try:
        _check_size(raw, rules)
        original = JSON_DECODER.decode(raw)
        message, flags = complete_message(original, raw, received_at, rules, shared)
        event_id = text_of(message["messageId"])
        row: RawEvent = raw_event_of(message, rules.plan.plain)
        _check_secret(row["name"], rules)
        flags += _plan_flags(row["name"], message, rules.plan) + _doubt_flags(row)
        flags += consent_flags(row, message, rules.consent, is_secret=rules.is_secret)
        row["flags"] = flags or None
        if rules.is_history:
            row[KNOWN] = "occurred"
    except (BadEvent, msgspec.DecodeError, RecursionError, UnicodeDecodeError, OverflowError) as error:
        reason = error if isinstance(error, BadEvent) else FILE_UNREADABLE_CAUSE(cause=type(error).__name__)
        letter = {
            "line": _line_to_replay(message, original, raw).decode(errors="backslashreplace"),
            "is_secret": rules.is_secret,
            "is_history": rules.is_history,
        }
        payload = msgspec.json.encode(letter).decode()
        return Message(event_id, {"problem": f"bad_event:{reason}", "payload": payload})
    return Message(event_id, row)


def _line_to_replay(message: dict[str, Any] | None, original: Any, raw: bytes) -> bytes:
    """A rejected message as far as it was completed, so that a replay need not make up somebody's id."""
    if message is None:
        return raw
    try:
        # why: a replay corrects the clock again, so the time stays as it was sent
        return msgspec.json.encode(message | {"timestamp": original.get("timestamp")})
    except RecursionError:
        return raw


def _check_size(raw: bytes, rules: SourceRules) -> None:
    if is_too_deep(raw):
        raise BadEvent(EVENT_DEPTH(count=MAX_DEPTH), where="message", todo=EVENT_FLATTEN)
    if len(raw) > rules.longest_event_bytes:
        raise BadEvent(
            EVENT_BYTES(count=len(raw)),
            where="message",
            todo=EVENT_BYTES_MOST(count=rules.longest_event_bytes),
        )


def _plan_flags(name: str, message: dict[str, Any], plan: TrackingPlan) -> list[str]:
    """Flag what breaks the tracking plan. Raises BadEvent where the plan is strict."""
    violation = plan.violation(name, message.get("properties") or {})
    if violation and plan.is_strict:
        raise violation
    return ["off_plan"] if violation else []


def _doubt_flags(row: RawEvent) -> list[str]:
    """Flags of likely mistakes: a name close to one of the catalogue, an order without id or amount."""
    name = row["name"]
    if name == ORDER:
        has_money = any(row.get(one) is not None for one in ("total_cents", "revenue_cents", "products"))
        return [] if row.get("order_id") and has_money else ["bare_order"]
    return ["near_name"] if name not in BY_NAME and name.casefold() in NEAR else []


def _check_secret(name: str, rules: SourceRules) -> None:
    if name in rules.needs_secret and not rules.is_secret:
        raise BadEvent(NEEDS_SECRET_KEY, where=name, todo=SEND_FROM_SERVER)


def complete_message(
    original: Any, raw: bytes, received_at: datetime, rules: SourceRules, shared: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Complete a message with its batch's fields, an id and the corrected time; also its flags. Raises BadEvent."""
    if not isinstance(original, dict):
        raise BadEvent(NOT_OBJECT, where="message", todo=ONE_OBJECT)
    message = {**shared, **original}
    if isinstance(shared.get("context"), dict) and isinstance(original.get("context"), dict):
        message["context"] = {**shared["context"], **original["context"]}
    client_time = parse_time(message.get("originalTimestamp")) or parse_time(message.get("timestamp"))
    is_unreadable = client_time is None and (message.get("originalTimestamp") or message.get("timestamp")) is not None
    if not message.get("messageId"):
        # why: a retry has the same content and time; without a time a retry looks like a second event
        message["messageId"] = (
            f"derived-{blake2b(raw, digest_size=16).hexdigest()}" if client_time else f"random-{uuid4()}"
        )
    occurred_at, flags = correct_clock(client_time, parse_time(message.get("sentAt")), received_at, rules)
    flags = ["impossible_time"] if is_unreadable else flags
    message["timestamp"] = occurred_at
    context = message.get("context")
    agent = context.get("userAgent") if isinstance(context, dict) else None
    if isinstance(agent, str) and _is_bot(agent):
        flags.append("bot")
    if rules.is_test or (rules.test_hosts and _host(context) in rules.test_hosts):
        flags.append(TEST)
    return message, flags


@cache_short_texts(10_000)
def _is_bot(agent: str) -> bool:
    """Whether a user agent names a program; a shop meets the same few thousand again and again."""
    return bool(BOT.search(agent))


def _host(context: object) -> str:
    """Host of the page that an event happened on, or ''."""
    page = context.get("page") if isinstance(context, dict) else None
    url = page.get("url") if isinstance(page, dict) else None
    if not isinstance(url, str):
        return ""
    host = url.partition("://")[2].partition("/")[0].lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def parse_time(value: object) -> datetime | None:
    """Time as the protocol's clients write it: ISO 8601, or milliseconds since 1970; None for what is neither."""
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC)
        time = datetime.fromisoformat(str(value).strip())
        if time.tzinfo is UTC:  # why: nearly all clients write it so
            return time
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def correct_clock(
    client_time: datetime | None, sent_at: datetime | None, received_at: datetime, rules: SourceRules
) -> tuple[datetime, list[str]]:
    """Time of an event by the server's clock, and flags; the client's clock is assumed equally wrong at both its times.

    A time before 2000 or more than a day ahead is replaced by the time of receipt.
    """
    if client_time is None:
        return received_at, ["no_time"]
    if rules.is_history:
        return client_time, []
    try:
        time = received_at - (sent_at - client_time) if sent_at else client_time
    except OverflowError:
        return received_at, ["impossible_time"]
    if not MIN_TIME <= time <= received_at + MAX_AHEAD:
        return received_at, ["impossible_time"]
    return time, []
