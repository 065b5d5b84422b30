"""The collector at work: keys, limits, and the writer that makes what was accepted durable in the inbox."""

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime

from patron.collect.inbox import Inbox
from patron.collect.inbox_writer import InboxWriter
from patron.collect.request import (
    LARGEST_BODY,
    Request,
    inflate_body,
    key_in_body,
    rules_for,
    validate_batch,
    validate_single,
)
from patron.collect.sensors_data import sensors_json, validate_sensors
from patron.collect.tracking_plan import NO_PLAN, TrackingPlan, load_tracking_plan
from patron.collect.workspace_inbox import collector_state, open_inbox
from patron.govern.api_keys import Key, find_key
from patron.schema.collector_state import CollectorState
from patron.schema.counts import IngestionCounts
from patron.schema.errors import BadKey, InboxDamaged, PatronError, TooMany
from patron.service.compaction_worker import CompactionProcess
from patron.storage.shop import Shop

__all__ = ["LARGEST_BODY", "Collector", "inflated"]

BATCH, HISTORY, SENSORS = "batch", "import", "sensors"
"""How a body is read; any other way is the type of the one message in it."""
ERRORS_SHOWN = 10
BURST_SECONDS = 10.0
MANY_MESSAGES = 5_000
"""So many are moved at once."""
KEY_SECONDS = 1.0
"""How long a key, the settings and the tracking plan are believed without looking again."""
MAKE = "Make one: patron keys create --source SOURCE."
LONGEST_KEY = 100
"""Longer ones are nobody's, and are not kept in memory either."""


def inflated(raw: bytes, how: str, *, encoding: str) -> bytes:
    """Body of a request as it is judged. Raises BadRequest 400, 413."""
    body = inflate_body(raw, encoding=encoding)
    return sensors_json(body) if how == SENSORS else body


@dataclass(frozen=True)
class Received:
    """A request that was judged; `verdicts` come once it is on disk."""

    arrival: Request
    verdicts: "Future[IngestionCounts]"

    @property
    def errors(self) -> list[dict[str, str | int | None]]:
        """The first dead letters, as the sender may read them."""
        listed = [(n, one) for n, one in enumerate(self.arrival.messages) if one.is_rejected][:ERRORS_SHOWN]
        return [
            {"index": n, "messageId": one.event_id, "reason": one.row["problem"].partition(":")[2]} for n, one in listed
        ]


@dataclass
class Collector:
    """One process that accepts messages; another one, if there is one, moves them into the lake."""

    shop: Shop
    mover: CompactionProcess | None = None
    writer: InboxWriter = field(init=False)
    _plan: TrackingPlan = NO_PLAN
    _keys: dict[str, tuple[float, Key | None]] = field(default_factory=dict)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    _limiting: threading.Lock = field(default_factory=threading.Lock)
    _arrived: int = 0
    """Messages since compaction was last requested."""
    _is_checked: bool = False
    _looked_at: float = 0.0
    _trouble: PatronError | None = None
    """Why changed settings are not taken over."""

    def __post_init__(self) -> None:
        """Prepare the writer."""
        self.writer = InboxWriter(self._open, self._committed)
        if self.mover:
            self.mover.heard = self._heard

    def _open(self) -> Inbox:
        """Open the inbox; the first time every page is looked at."""
        inbox = open_inbox(self.shop, is_checked=not self._is_checked)
        self._is_checked = True
        return inbox

    def _committed(self, committed: list[tuple[Request, IngestionCounts]]) -> None:
        self._arrived += sum(one.stored for _, one in committed)
        if self.mover and self._arrived >= MANY_MESSAGES:
            self._arrived = 0
            self.mover.wake()

    def _heard(self, trouble: PatronError | None) -> None:
        """Accept nothing more when the mover has found damage; a moment to look at the settings, too."""
        self._look_again()
        if isinstance(trouble, InboxDamaged):
            self.writer.trouble = trouble

    def start(self) -> None:
        """Begin to accept and to move. Raises SettingsError for a tracking plan that cannot be used."""
        self._plan = self._load_plan()
        self.writer.start()
        if self.mover:
            self.mover.start()

    def _load_plan(self) -> TrackingPlan:
        return load_tracking_plan(self.shop.folder, is_strict=self.shop.settings.collect.tracking_plan == "refuse")

    def _look_again(self) -> None:
        """Apply changed settings, policy and tracking plan; what cannot be used is reported and ignored."""
        now = time.monotonic()
        if now < self._looked_at + KEY_SECONDS:
            return
        self._looked_at = now
        try:
            self.shop.reread()
            self._plan = self._load_plan()
            self._trouble = None
        except PatronError as error:
            self._trouble = error
        except Exception as error:  # noqa: BLE001 - whatever it is, events are taken by what was known before
            what = f"changed settings cannot be read ({type(error).__name__}: {error})"
            self._trouble = PatronError(what, where=str(self.shop.folder), todo="Fix patron.toml or tracking/.")

    def stop(self) -> None:
        """Write what waits, let it be moved into the lake if nobody else is at work, and end."""
        self.writer.stop()
        if self.mover:
            self.mover.stop()

    def find_key(self, secret: str) -> Key | None:
        """The key of a secret, as it was at most KEY_SECONDS ago."""
        if not 0 < len(secret) <= LONGEST_KEY:
            return None
        now = time.monotonic()
        known = self._keys.get(secret)
        if known is None or known[0] < now:
            key = find_key(self.shop, secret)
            if len(self._keys) > 10_000:
                self._keys.clear()
            known = self._keys[secret] = (now + KEY_SECONDS, key)
        return known[1]

    def receive(
        self, body: bytes, how: str, *, key: str, received_at: datetime, is_in_address: bool = False
    ) -> "Received":
        """Judge an inflated request and hand its messages to the writer.

        When `key` is none of ours, it is looked for in the body. Several threads may do it at once.

        An address is kept in logs and histories: a secret key in it is refused where a client can send it otherwise.

        Raises BadRequest, BadKey, Overloaded, NoSpace, InboxDamaged.
        """
        self._look_again()
        sender = self.find_key(key) if key else None
        if sender is None and how != SENSORS:  # why: some send a key of a proxy of theirs in the header
            sender = self.find_key(key_in_body(body))
        if sender is None:
            raise BadKey(401, "the write key is missing, unknown or revoked", todo=MAKE)
        if sender.kind == "read":
            raise BadKey(401, "this is a read key; events are sent with a write or secret key", todo=MAKE)
        if sender.kind == "secret" and is_in_address and how != SENSORS:
            raise BadKey(401, "a secret key stands in the address", todo="Send it in a header, and make a new one.")
        self._limit(sender)
        rules = rules_for(
            self.shop, sender.source, self._plan, is_secret=sender.kind == "secret", is_history=how == HISTORY
        )
        if how == SENSORS:
            arrival = validate_sensors(body, sender.source, received_at, rules)
        elif how in {BATCH, HISTORY}:
            arrival = validate_batch(body, sender.source, received_at, rules)
        else:
            arrival = validate_single(body, how, sender.source, received_at, rules)
        return Received(arrival, self.accept(arrival))

    def _limit(self, key: Key) -> None:
        """Take one request out of a key's bucket, which holds those of BURST_SECONDS. Raises TooMany."""
        rate = self.shop.settings.collect.requests_per_second
        if not rate:
            return
        with self._limiting:
            now = time.monotonic()
            left, at = self._buckets.get(key.key_id, (rate * BURST_SECONDS, now))
            left = min(left + (now - at) * rate, max(rate * BURST_SECONDS, 1.0))
            if left < 1:
                raise TooMany(429, f"more than {rate:g} requests a second", todo="Send larger batches, less often.")
            self._buckets[key.key_id] = (left - 1, now)

    def accept(self, arrival: Request) -> "Future[IngestionCounts]":
        """Promise the verdicts once the messages are on disk. Raises Overloaded, NoSpace, InboxDamaged."""
        return self.writer.submit(arrival)

    def state(self) -> CollectorState:
        """State of the collector."""
        state = collector_state(self.shop)
        trouble = self.writer.trouble or self._trouble or (self.mover and self.mover.trouble)
        return replace(state, trouble=str(trouble)) if trouble else state


def stored_state(shop: Shop) -> CollectorState:
    """State of the collector from what is on disk, for a process that runs none."""
    return collector_state(shop)
