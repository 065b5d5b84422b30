"""The collector at work: keys, the writer of the inbox, and the compactor that moves it into the lake."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime

from patron.actions.inbox import INBOX_FILE, has_inbox, open_inbox, sources_with_keys
from patron.actions.inbox import remember as learn
from patron.actions.live import LiveThread, ProfilesBehind, catch_up, fold_now, folded, is_current, note
from patron.base.errors import BadKey, PatronError, TooMany, WorkspaceBusy
from patron.base.shop import Shop
from patron.base.tables import EVENTS
from patron.collect import unremembered
from patron.collect.arrival import LARGEST_BODY, Arrival, batch_of, body_of, key_in_body, rules_of, single_of
from patron.collect.compact import LIVE, Compacted, compact
from patron.collect.inbox import Inbox, InboxDamaged, Verdicts
from patron.collect.plan import NO_PLAN, Plan, load_plan
from patron.collect.sensors import content_of, sensors_of
from patron.collect.writer import Overloaded, Writer
from patron.govern.access import Key, find_key

__all__ = [
    "INBOX_FILE",
    "LARGEST_BODY",
    "LIVE",
    "Collector",
    "Counters",
    "Overloaded",
    "State",
    "Verdicts",
    "collected",
    "drain",
    "inflated",
    "open_inbox",
    "remember",
    "revived",
]

BATCH, HISTORY, SENSORS = "batch", "import", "sensors"
"""How a body is read; any other way is the type of the one message in it."""
ERRORS_SHOWN = 10
BURST_SECONDS = 10.0
COMPACT_SECONDS = 10.0
"""How long what waits may wait for the lake, which gets a file and a commit each time."""
MANY_MESSAGES = 5_000
"""So many are moved at once."""
JOINED_BYTES = 1_000_000
"""Files of events up to this size are joined as they pile up, larger ones by a turn: each is written few times."""
KEY_SECONDS = 1.0
"""How long a key is believed without looking again: a revoked one is refused after that."""
LONGEST_KEY = 100
"""Longer ones are nobody's, and are not kept in memory either."""


@dataclass(frozen=True)
class Counters:
    """What became of every message that ever arrived: accepted = stored + duplicate + dead."""

    source: str
    accepted: int
    stored: int
    duplicate: int
    dead: int


@dataclass(frozen=True)
class State:
    """How the collector is."""

    counters: tuple[Counters, ...]
    waiting_requests: int
    """Requests on disk that are not in the lake yet."""
    trouble: str
    """Why nothing is accepted, or nothing moves into the lake; empty when all is well."""


def drain(shop: Shop) -> Compacted:
    """Empty the inbox into the lake and the profiles; the caller holds the lock. Raises InboxDamaged, NoSpace.

    What profiles cannot take stays in the inbox too: events never wait for them.
    """
    moved = move(shop)
    with suppress(ProfilesBehind):
        if fold_now(shop):
            move(shop)
    return moved


def move(shop: Shop) -> Compacted:
    """Move all that the inbox holds into the lake, and delete from it what profiles hold; the caller holds the lock.

    What came into the lake by another way is known to the inbox afterwards.
    """
    if not has_inbox(shop):
        return Compacted(0, 0)
    was_current = is_current(shop)
    marked = unremembered.marked(shop.store)
    inbox = open_inbox(shop)
    try:
        for source in sorted({*marked} & {*sources_with_keys(shop)}):
            learn(shop, inbox, source)
        moved = compact(shop, inbox, marked) if inbox.waiting_count() else Compacted(0, 0)
        inbox.release(folded(shop, inbox))
    finally:
        inbox.close()
    unremembered.clear(shop.store, marked)
    if was_current and moved.stored:
        note(shop)
    return moved


def remember(shop: Shop, source: str) -> None:
    """Let the collector know the events of a source that came by a file: a client may send them again."""
    inbox = open_inbox(shop)
    try:
        learn(shop, inbox, source)
    finally:
        inbox.close()


def revived(shop: Shop, stored: Mapping[str, int]) -> None:
    """Dead letters that were stored by a replay: move them from one counter to the other."""
    inbox = open_inbox(shop)
    try:
        inbox.done(0, Counter({source: -count for source, count in stored.items() if count}))
    finally:
        inbox.close()


def counters(inbox: Inbox) -> tuple[Counters, ...]:
    """Counters of every source."""
    return tuple(
        Counters(source, one.stored + one.duplicate + one.dead, **asdict(one)) for source, one in inbox.counts().items()
    )


def collected(shop: Shop) -> State:
    """State of the inbox as any process can read it."""
    if not has_inbox(shop):
        return State((), 0, "")
    try:
        with closing(open_inbox(shop)) as inbox:
            return State(counters(inbox), inbox.waiting_count(), "")
    except PatronError as error:
        return State((), 0, str(error))


def inflated(raw: bytes, how: str, *, encoding: str) -> bytes:
    """Body of a request as it is judged. Raises BadRequest 400, 413."""
    body = body_of(raw, encoding=encoding)
    return content_of(body) if how == SENSORS else body


@dataclass(frozen=True)
class Received:
    """A request that was judged; `verdicts` come once it is on disk."""

    arrival: Arrival
    verdicts: "Future[Verdicts]"

    @property
    def errors(self) -> list[dict[str, str | int | None]]:
        """The first dead letters, as the sender may read them."""
        listed = [(n, one) for n, one in enumerate(self.arrival.messages) if one.is_dead][:ERRORS_SHOWN]
        return [
            {"index": n, "messageId": one.event_id, "reason": one.row["problem"].partition(":")[2]} for n, one in listed
        ]


@dataclass
class Collector:
    """One process that accepts messages and moves them into the lake."""

    shop: Shop
    writer: Writer = field(init=False)
    live: LiveThread = field(init=False)
    compaction_trouble: PatronError | None = None
    _plan: Plan = NO_PLAN
    _keys: dict[str, tuple[float, Key | None]] = field(default_factory=dict)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    _limiting: threading.Lock = field(default_factory=threading.Lock)
    _arrived: int = 0
    """Messages since the last move."""
    _due: threading.Event = field(default_factory=threading.Event)
    _is_checked: bool = False
    _is_ending: bool = False
    _compactor: threading.Thread | None = None

    def __post_init__(self) -> None:
        """Prepare the writer."""
        self.live = LiveThread(self.shop)
        self.writer = Writer(self._open, self._committed)

    def _open(self) -> Inbox:
        """Open the inbox; the first time every page is looked at."""
        inbox = open_inbox(self.shop, is_checked=not self._is_checked)
        self._is_checked = True
        return inbox

    def _committed(self, told: list[tuple[Arrival, Verdicts]]) -> None:
        self.live.wake()
        self._arrived += sum(one.stored for _, one in told)
        if self._arrived >= MANY_MESSAGES:
            self._due.set()

    def start(self) -> None:
        """Begin to accept and to move. Raises SettingsError for a tracking plan that cannot be used."""
        self._plan = load_plan(self.shop.folder, is_strict=self.shop.settings.collect.tracking_plan == "refuse")
        self.writer.start()
        self.live.start()
        self._compactor = threading.Thread(target=self._compact, name="compactor", daemon=True)
        self._compactor.start()

    def stop(self) -> None:
        """Write what waits, move it into the lake if nobody else is at work, and end."""
        self.writer.stop()
        self.live.stop()
        self._is_ending = True
        self._due.set()
        if self._compactor:
            self._compactor.join()

    def key(self, told: str) -> Key | None:
        """The key that was told, as it was at most KEY_SECONDS ago."""
        if not 0 < len(told) <= LONGEST_KEY:
            return None
        now = time.monotonic()
        known = self._keys.get(told)
        if known is None or known[0] < now:
            found = find_key(self.shop, told)
            if len(self._keys) > 10_000:
                self._keys.clear()
            known = self._keys[told] = (now + KEY_SECONDS, found)
        return known[1]

    def receive(
        self, body: bytes, how: str, *, key: str, received_at: datetime, is_in_address: bool = False
    ) -> "Received":
        """Judge an inflated request and hand its messages to the writer; without `key` it is looked for in the body.

        Several threads may do it at once.

        An address is kept in logs and histories: a secret key in it is refused where a client can send it otherwise.

        Raises BadRequest, BadKey, Overloaded, NoSpace, InboxDamaged.
        """
        found = self.key(key or ("" if how == SENSORS else key_in_body(body)))
        if found is None or found.kind == "read":
            raise BadKey(401, "the write key is missing, unknown or revoked", todo="Make one: patron keys create.")
        if found.kind == "secret" and is_in_address and how != SENSORS:
            raise BadKey(401, "a secret key stands in the address", todo="Send it in a header, and make a new one.")
        self._limit(found)
        asked, is_secret = self.shop.settings.collect, found.kind == "secret"
        rules = rules_of(asked, self._plan, is_secret=is_secret, is_history=how == HISTORY)
        if how == SENSORS:
            arrival = sensors_of(body, found.source, received_at, rules)
        elif how in {BATCH, HISTORY}:
            arrival = batch_of(body, found.source, received_at, rules)
        else:
            arrival = single_of(body, how, found.source, received_at, rules)
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

    def accept(self, arrival: Arrival) -> "Future[Verdicts]":
        """Promise the verdicts once the messages are on disk. Raises Overloaded, NoSpace, InboxDamaged."""
        return self.writer.submit(arrival)

    def state(self) -> State:
        """State of the collector."""
        seen = collected(self.shop)
        trouble = self.writer.trouble or self.compaction_trouble
        return State(
            seen.counters, seen.waiting_requests, str(trouble) if trouble else seen.trouble or self.live.trouble
        )

    def _compact(self) -> None:
        is_last = False
        while not is_last:
            self._due.wait(COMPACT_SECONDS)
            self._due.clear()
            self._arrived, is_last = 0, self._is_ending
            self.compact_once()

    def compact_once(self) -> None:
        """Move what waits into the lake unless another process is at work; trouble is kept for the answers."""
        try:
            with self.shop.lock(patience_seconds=0):
                moved = move(self.shop)
                catch_up(self.shop)
                if moved.stored and self.shop.lake.compact(EVENTS, self.shop.engine, smaller_than=JOINED_BYTES):
                    note(self.shop)
            self.compaction_trouble = None
        except WorkspaceBusy:
            return  # why: a turn or an import is at work; what waits is safe and moves afterwards
        except PatronError as error:
            self.compaction_trouble = error
            if isinstance(error, InboxDamaged):
                self.writer.trouble = error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said, and the thread goes on
            said = f"what waits cannot be moved into the lake ({error})"
            self.compaction_trouble = PatronError(said, todo="It is tried again by itself.")
