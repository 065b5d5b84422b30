"""The collector: it checks keys and limits, validates requests, and answers once they are durable in the inbox."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from patron.collect.inbox.inbox import Inbox
from patron.collect.inbox.inbox_writer import InboxWriter
from patron.collect.inbox.workspace_inbox import collector_state, open_inbox
from patron.collect.request import (
    MAX_BODY_BYTES,
    Request,
    SourceRules,
    check_encoding,
    inflate_body,
    key_in_body,
    source_rules,
    validate_batch,
    validate_single,
)
from patron.collect.sensors_data import sensors_json, validate_sensors
from patron.collect.tracking_plan import NO_PLAN, TrackingPlan, load_tracking_plan
from patron.govern.access.api_keys import KEY_PREFIX, USED_EVERY, Key, key_hash, keys_by_hash, mark_used
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.data.collector_state import CollectorState
from patron.schema.data.counts import IngestionCounts
from patron.schema.errors import BadKey, InboxDamaged, PatronError, TooMany
from patron.schema.sentences import Sentence
from patron.service.compaction_worker import CompactionProcess
from patron.storage.shop import Shop

CHANGED_SETTINGS = Sentence("changed_settings", "the changed settings cannot be read ({kind}: {cause})")
KEY_LACKS_SEND = Sentence("key_lacks_send", "this {kind} key may not send events: it lacks {right}")
FIX_SETTINGS_OR_TRACKING = Sentence("fix_settings_or_tracking", "Fix patron.toml or tracking/.")

WRITE_KEY_INVALID = Sentence("write_key_invalid", "the write key is missing, unknown, revoked or expired")
SECRET_IN_ADDRESS = Sentence("secret_in_address", "the address contains a secret key")
REQUEST_RATE = Sentence("request_rate", "more than {rate:g} requests a second")
SEND_IN_HEADER = Sentence("send_in_header", "Send it in a header, and make a new one.")
LARGER_BATCHES = Sentence("larger_batches", "Send larger batches, less often.")

__all__ = ["KEY_PREFIX", "MAX_BODY_BYTES", "Collector", "Key", "check_encoding", "request_body"]

BATCH, HISTORY, SENSORS = "batch", "import", "sensors"
"""Kinds of bodies; any other kind is the type of the one message in it."""
MAX_ERRORS = 10
BURST_SECONDS = 10.0
COMPACT_AFTER_MESSAGES = 5_000
"""Messages after which compaction starts without waiting for its time."""
CACHE_SECONDS = 1.0
"""How long keys, settings and the tracking plan are cached."""
CREATE_KEY = Sentence("create_key", "Make one: patron keys create --source SOURCE.")
SEND = Right(Action.ACT, Area.STOREFRONT)
"""What a key needs to send events."""
RELOAD_SECONDS = 0.01
"""How long an unknown key is unknown before the store is read again: a new key works at once, and a flood of unknown
keys does not read it each time."""
MAX_KEY_LENGTH = 100
"""Longer keys are unknown."""


def request_body(raw: bytes, body_kind: str, *, encoding: str) -> bytes:
    """JSON body of a request, inflated. Raises BadRequest 400, 413, 415."""
    body = inflate_body(raw, encoding=encoding)
    return sensors_json(body) if body_kind == SENSORS else body


@dataclass(frozen=True)
class ReceivedRequest:
    """A validated request; its counts are known once it is on disk."""

    request: Request
    counts: "Future[IngestionCounts]"

    @property
    def errors(self) -> list[dict[str, str | int | None]]:
        """The first rejected messages, for the answer to the sender."""
        rejected = [(n, message) for n, message in enumerate(self.request.messages) if message.is_rejected]
        return [
            {"index": n, "messageId": message.event_id, "reason": message.row["problem"].partition(":")[2]}
            for n, message in rejected[:MAX_ERRORS]
        ]


@dataclass
class Collector:
    """Accepts messages into the inbox; the compaction process, if there is one, moves them into the lake."""

    shop: Shop
    compaction: CompactionProcess | None = None
    on_accepted: Callable[[list[Request]], None] = lambda _: None
    """Called with requests after they are on disk."""
    writer: InboxWriter = field(init=False)
    _plan: TrackingPlan = NO_PLAN
    _keys: dict[str, Key] = field(default_factory=dict)
    _keys_in_use: dict[str, Key] = field(default_factory=dict)
    """Valid keys by their secrets, which need not be hashed again."""
    _keys_loaded_at: float = float("-inf")
    _next_use_marks: dict[str, datetime] = field(default_factory=dict)
    """When the use of a key is written next."""
    _marks: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "key use"))
    _rules: dict[tuple[str, bool], SourceRules] = field(default_factory=dict)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    _buckets_lock: threading.Lock = field(default_factory=threading.Lock)
    _uncompacted_count: int = 0
    """Messages since compaction was last requested."""
    _is_checked: bool = False
    _reloaded_at: float = 0.0
    _settings_error: PatronError | None = None
    """Why changed settings are not applied."""

    def __post_init__(self) -> None:
        """Create the writer."""
        self.writer = InboxWriter(self._open, self._on_commit)
        if self.compaction:
            self.compaction.on_report = self._on_compaction_report

    def _open(self) -> Inbox:
        """Open the inbox; the first time all of it is verified."""
        inbox = open_inbox(self.shop, is_checked=not self._is_checked)
        self._is_checked = True
        return inbox

    def _on_commit(self, committed: list[tuple[Request, IngestionCounts]]) -> None:
        self._uncompacted_count += sum(counts.stored for _, counts in committed)
        if self.compaction and self._uncompacted_count >= COMPACT_AFTER_MESSAGES:
            self._uncompacted_count = 0
            self.compaction.wake()
        self.on_accepted([request for request, _ in committed])

    def _on_compaction_report(self, trouble: PatronError | None) -> None:
        """Reload the settings; accept nothing more when compaction has found damage."""
        self._reload_settings()
        if isinstance(trouble, InboxDamaged):
            self.writer.trouble = trouble

    def start(self) -> None:
        """Start accepting, and compaction. Raises SettingsError for a tracking plan that cannot be used."""
        self._plan = self._load_plan()
        self.writer.start()
        if self.compaction:
            self.compaction.start()

    def _load_plan(self) -> TrackingPlan:
        return load_tracking_plan(self.shop.folder, is_strict=self.shop.settings.collect.tracking_plan == "refuse")

    def _reload_settings(self) -> None:
        """Apply changed settings, policy and tracking plan; invalid ones are reported and ignored."""
        now = time.monotonic()
        if now < self._reloaded_at + CACHE_SECONDS:
            return
        self._reloaded_at = now
        try:
            self.shop.reload_settings()
            self._plan = self._load_plan()
            self._rules = {}
            self._settings_error = None
        except PatronError as error:
            self._settings_error = error
        except Exception as error:  # noqa: BLE001 - whatever it is, events are taken by what was known before
            what = CHANGED_SETTINGS(kind=type(error).__name__, cause=error)
            self._settings_error = PatronError(what, where=str(self.shop.folder), todo=FIX_SETTINGS_OR_TRACKING)

    def stop(self) -> None:
        """Write what waits, run compaction a last time, and end."""
        self.writer.stop()
        self._marks.shutdown()
        if self.compaction:
            self.compaction.stop()

    def find_key(self, secret: str, *, now: datetime) -> Key | None:
        """The key of a secret, unless it is unknown, revoked or expired. Keys are kept for CACHE_SECONDS."""
        key = self._cached_key(secret)
        if key is None or not key.is_valid(now):
            return None
        if key.is_use_due(now) and now >= self._next_use_marks.get(key.key_id, now):
            self._next_use_marks[key.key_id] = now + USED_EVERY
            self._marks.submit(self._mark_used, key.key_id, now)  # why: no request waits for it
        return key

    def _mark_used(self, key_id: str, now: datetime) -> None:
        with suppress(PatronError, SQLAlchemyError):  # why: events are taken whether or not this can be written
            mark_used(self.shop, [key_id], at=now)

    def _cached_key(self, secret: str) -> Key | None:
        if not 0 < len(secret) <= MAX_KEY_LENGTH:
            return None
        age = time.monotonic() - self._keys_loaded_at
        known = self._keys_in_use.get(secret)
        if known is not None and age <= CACHE_SECONDS:
            return known
        hashed = key_hash(secret)
        if age > CACHE_SECONDS or (age > RELOAD_SECONDS and hashed not in self._keys):
            self._keys = keys_by_hash(self.shop)
            self._keys_in_use = {}
            self._keys_loaded_at = time.monotonic()
        key = self._keys.get(hashed)
        if key is not None:
            self._keys_in_use[secret] = key
        return key

    def admit(self, key: str, body_kind: str, *, now: datetime, is_in_address: bool = False) -> Key | None:
        """The sender of a request before its body is read; None when only its body can contain the key.

        Addresses are kept in logs and histories, so a secret key in one is refused where the client can send it in
        another way. Raises BadKey, TooMany, Overloaded, NoSpace, InboxDamaged.
        """
        sender = self.find_key(key, now=now)
        if sender is None and (key or body_kind == SENSORS):
            raise BadKey(401, WRITE_KEY_INVALID, todo=CREATE_KEY)
        if sender is not None:
            if sender.kind == "secret" and is_in_address and body_kind != SENSORS:
                raise BadKey(401, SECRET_IN_ADDRESS, todo=SEND_IN_HEADER)
            self._check_sender(sender)
        self.writer.check_open()
        return sender

    def receive(self, body: bytes, body_kind: str, *, sender: Key | None, received_at: datetime) -> "ReceivedRequest":
        """Validate an inflated body and hand its messages to the writer; several threads may do so at once.

        Without a sender the body contains the key. Raises BadRequest, BadKey, Overloaded, NoSpace, InboxDamaged.
        """
        self._reload_settings()
        if sender is None:
            sender = self.find_key(key_in_body(body), now=received_at)
            if sender is None:
                raise BadKey(401, WRITE_KEY_INVALID, todo=CREATE_KEY)
            self._check_sender(sender)
        rules = self._rules_of(sender, is_history=body_kind == HISTORY)
        if body_kind == SENSORS:
            request = validate_sensors(body, sender.source, received_at, rules)
        elif body_kind in {BATCH, HISTORY}:
            request = validate_batch(body, sender.source, received_at, rules)
        else:
            request = validate_single(body, body_kind, sender.source, received_at, rules)
        return ReceivedRequest(request, self.accept(request))

    def _rules_of(self, sender: Key, *, is_history: bool) -> SourceRules:
        """Rules of a key, kept until the settings are read again."""
        rules = self._rules.get((sender.key_id, is_history))
        if rules is None:
            is_secret = sender.kind == "secret"
            rules = source_rules(self.shop, sender.source, self._plan, is_secret=is_secret, is_history=is_history)
            self._rules[sender.key_id, is_history] = rules
        return rules

    def _check_sender(self, sender: Key) -> None:
        """Let a key pass that may send. Raises BadKey, TooMany."""
        if not sender.may(SEND):
            raise BadKey(401, KEY_LACKS_SEND(kind=sender.kind, right=SEND), todo=CREATE_KEY)
        self._limit(sender)

    def _limit(self, key: Key) -> None:
        """Take one request out of a key's token bucket, which holds those of BURST_SECONDS. Raises TooMany."""
        rate = self.shop.settings.collect.requests_per_second
        if not rate:
            return
        with self._buckets_lock:
            now = time.monotonic()
            left, at = self._buckets.get(key.key_id, (rate * BURST_SECONDS, now))
            left = min(left + (now - at) * rate, max(rate * BURST_SECONDS, 1.0))
            if left < 1:
                raise TooMany(429, REQUEST_RATE(rate=rate), todo=LARGER_BATCHES)
            self._buckets[key.key_id] = (left - 1, now)

    def accept(self, request: Request) -> "Future[IngestionCounts]":
        """Queue a request; the counts come once it is on disk. Raises Overloaded, NoSpace, InboxDamaged."""
        return self.writer.submit(request)

    def state(self) -> CollectorState:
        """State of the collector."""
        state = replace(collector_state(self.shop), is_accepting=self.writer.trouble is None)
        trouble = self.writer.trouble or self._settings_error or (self.compaction and self.compaction.trouble)
        return replace(state, trouble=str(trouble)) if trouble else state


def stored_state(shop: Shop) -> CollectorState:
    """State of the collector from what is on disk, for a process that runs none."""
    return collector_state(shop)
