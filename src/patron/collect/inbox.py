"""The inbox: accepted messages until they are in the lake, and the ids of all that ever arrived.

A request's messages are one row, sealed under a key outside the workspace: the seal hides them, and tells of every
changed bit. Beside it stands whom they are about, in 8 opaque bytes each, so that the few requests of one customer are
found among many.
"""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patron.collect.event_flags import TEST
from patron.collect.event_ids import HASH_BYTES, Seen, checked
from patron.collect.inbox_backend import MEND, File, Place, Server
from patron.collect.request import Arrival, Message, Told
from patron.schema.errors import InboxDamaged

NONCE_BYTES = 12
MARKED_TOGETHER = 20_000
ASKED_TOGETHER = 200
READ_TOGETHER = 2_000
RELEASED_TOGETHER = 500
"""Requests that are deleted in one commit: others are written in between."""
SUBJECTS = ("user_id", "anonymous_id")
ORDER = "Order Completed"
REPEATED = "repeated_order"
"""Flag of an event that completes an order which another event of the source completed before."""
Whose = Callable[[str, str], bytes]
"""Mark of a customer: kind and value of an id to a few opaque bytes."""
ADD = """
insert into inbox_counts values (?, ?, ?, ?) on conflict (source) do update set
    stored = inbox_counts.stored + excluded.stored, duplicate = inbox_counts.duplicate + excluded.duplicate,
    dead = inbox_counts.dead + excluded.dead
"""
WAITING = "select seq, source, received_us, sealed from inbox_batches"
MOVE = """
insert into inbox_moved values (1, ?) on conflict (one) do update set
    seq = case when excluded.seq > inbox_moved.seq then excluded.seq else inbox_moved.seq end
"""
NEW_ID = "insert into inbox_meta (one, inbox_id) values (1, ?) on conflict (one) do nothing"


@dataclass(frozen=True)
class Verdicts:
    """What became of a request's messages: stored + duplicate + dead is all of them."""

    stored: int
    duplicate: int
    dead: int


@dataclass(frozen=True)
class Waiting:
    """One request's messages that are not in the lake yet."""

    seq: int
    source: str
    received_at: datetime
    rows: list[Told]


class Inbox:
    """An open inbox. One thread at a time may use it; several processes may have it open."""

    def __init__(self, at: Path | str, key: bytes, whose: Whose | None = None) -> None:
        """Open a file or the database of a URL, or make it; `whose` tells the mark of a user or visitor id.

        Raises InboxDamaged, NoSpace, WorkspaceError, and MissingExtra for a URL without the driver.
        """
        self._key = key
        self._whose = whose
        self._seal = AESGCM(key)
        self.place: Place = File(at) if isinstance(at, Path) else Server(at)
        self._seen = Seen(self.place)
        try:
            with self.place.refusals():
                is_new = self.place.execute("select 1 from inbox_meta").fetchone() is None
            if is_new:
                with self._transaction():
                    self.place.execute(NEW_ID, (secrets.token_hex(8),))
        except BaseException:
            self.place.close()
            raise

    @property
    def inbox_id(self) -> str:
        """Which inbox this is: another one numbers its requests anew."""
        return self._one("select inbox_id from inbox_meta")

    @property
    def lake(self) -> str | None:
        """Id of the lake that requests move into, whose events the inbox knows; None until it has one."""
        return self._one("select lake from inbox_meta")

    def belong_to(self, lake: str) -> None:
        """Move into this lake from now on."""
        with self._transaction():
            self.place.execute("update inbox_meta set lake = ?", (lake,))

    @property
    def load(self) -> str:
        """Name under which the lake keeps the number of the last request that it holds of this inbox."""
        return f"inbox-{self.inbox_id}"

    def renew(self) -> None:
        """Be another inbox from now on, because the file is older than the lake."""
        with self._transaction():
            self.place.execute("update inbox_meta set inbox_id = ?", (secrets.token_hex(8),))

    def check(self) -> None:
        """Look at every page, id and waiting message. Raises InboxDamaged."""
        self.place.check()
        with self.place.refusals():
            if not self._seen.are_whole():
                raise InboxDamaged("holds a changed id", where=self.place.name, todo=MEND)
        after = 0
        while requests := self.waiting(after=after):
            after = requests[-1].seq

    def id_of(self, source: str, event_id: str) -> bytes:
        """Id under which an event is remembered for ever."""
        told = f"{source}\0{event_id}".encode(errors="replace")
        return checked(blake2b(told, key=self._key, digest_size=HASH_BYTES).digest())

    def put(self, arrivals: Sequence[Arrival]) -> list[Verdicts]:
        """Take requests in one durable commit, and say what became of their messages.

        Raises NoSpace or InboxDamaged; then nothing of them is taken.
        """
        ids = [[self._ids(arrival.source, one) for one in arrival.messages] for arrival in arrivals]
        with self._transaction():
            new = self._seen.new([one for own in ids for of_message in own for one in of_message])
            left, stored, verdicts = set(new), [], []
            for seq, (arrival, own) in enumerate(zip(arrivals, ids, strict=True), self.last() + 1):
                rows, verdict = _judged(arrival, own, left)
                verdicts.append(verdict)
                if rows:
                    stored.append((seq, arrival, rows))
            self._store(stored)
            self._count(zip((arrival.source for arrival in arrivals), verdicts, strict=True))
            if stored:
                self._seen.add(stored[-1][0], new - left)
        return verdicts

    def _ids(self, source: str, message: Message) -> tuple[bytes, ...]:
        """Id of a message, and of the order that it tells; nothing for a dead letter, no order for test traffic."""
        if message.is_dead or message.event_id is None:
            return ()
        is_order = message.row.get("name") == ORDER and TEST not in (message.row.get("flags") or ())
        order = message.row.get("order_id") if is_order else None
        event = self.id_of(source, message.event_id)
        return (event, self.id_of(source, f"\0{order}")) if order else (event,)

    def _store(self, requests: list[tuple[int, Arrival, list[Told]]]) -> None:
        sealed, about = [], []
        for seq, arrival, rows in requests:
            received = int(arrival.received_at.timestamp() * 1_000_000)
            content = self._sealed(msgspec.msgpack.encode(rows), seq, arrival.source, received)
            sealed.append((seq, arrival.source, received, content))
            whose = b"".join({one for row in rows for one in self._marks(row)})
            if whose:
                about.append((seq, whose))
        self.place.executemany("insert into inbox_batches values (?, ?, ?, ?)", sealed)
        self.place.executemany("insert into inbox_about values (?, ?)", about)

    def _count(self, verdicts: Iterable[tuple[str, Verdicts]]) -> None:
        by_source: dict[str, list[int]] = {}
        for source, one in verdicts:
            sums = by_source.setdefault(source, [0, 0, 0])
            sums[:] = sums[0] + one.stored, sums[1] + one.duplicate, sums[2] + one.dead
        self.place.executemany(ADD, [(source, *sums) for source, sums in sorted(by_source.items())])

    def _marks(self, row: Told) -> Iterator[bytes]:
        """Marks of those whom a told row is about."""
        if self._whose:
            for kind in SUBJECTS:
                if row.get(kind):
                    yield self._whose(kind, row[kind])

    def waiting(self, *, after: int | None = None, bytes_at_most: int = 16_000_000) -> list[Waiting]:
        """The oldest requests after a number, at least one if there is any; those not in the lake yet if none is named.

        Raises InboxDamaged.
        """
        found, size = [], 0
        after = self.moved() if after is None else after
        with self.place.refusals():
            while size < bytes_at_most:
                asked = f"{WAITING} where seq > ? order by seq limit {READ_TOGETHER}"
                rows = self.place.execute(asked, (after,)).fetchall()
                for row in rows:
                    found.append(self._opened(*row))
                    size += len(row[-1])
                    if size >= bytes_at_most:
                        break
                if len(rows) < READ_TOGETHER:
                    break
                after = rows[-1][0]
        return found

    def about(self, marks: Collection[bytes], *, after: int) -> Iterator[Waiting]:
        """What requests after a number tell of those with one of these marks, oldest first. Raises InboxDamaged."""
        listed, found = sorted(marks), set[int]()
        with self.place.refusals():
            for start in range(0, len(listed), ASKED_TOGETHER):
                some = listed[start : start + ASKED_TOGETHER]
                named = " or ".join(self.place.holds.format("whose", "?") for _ in some)
                asked = f"select seq from inbox_about where seq > ? and ({named})"
                found.update(seq for (seq,) in self.place.execute(asked, (after, *some)))
            for seq in sorted(found):
                row = self.place.execute(f"{WAITING} where seq = ?", (seq,)).fetchone()
                if row:  # why: it may have been released meanwhile
                    request = self._opened(*row)
                    rows = [one for one in request.rows if not {*marks}.isdisjoint(self._marks(one))]
                    yield replace(request, rows=rows)

    def _opened(self, seq: int, source: str, received: int, sealed: bytes) -> Waiting:
        content = self._unsealed(sealed, seq, source, received)
        at = datetime.fromtimestamp(received / 1_000_000, UTC)
        return Waiting(seq, source, at, msgspec.msgpack.decode(content))

    def done(self, seq: int, died: Counter[str], known: Counter[str] | None = None) -> None:
        """Note that all up to `seq` is durable in the lake.

        `died` of a source proved to be dead letters, `known` to be in the lake already by another way.
        """
        with self._transaction():
            self.place.execute(MOVE, (seq,))
            finished = [(source, -count, 0, count) for source, count in sorted(died.items())]
            finished += [(source, -count, count, 0) for source, count in sorted((known or {}).items())]
            self.place.executemany(ADD, finished)

    def moved(self) -> int:
        """The last request that is in the lake."""
        return self._one("select coalesce(max(seq), 0) from inbox_moved")

    def release(self, folded: int) -> None:
        """Delete what is in the lake and, up to `folded`, in the profiles."""
        last = min(self.moved(), folded)
        with self.place.refusals():
            chosen = "select seq from inbox_batches where seq <= ? order by seq"
            listed = self.place.execute(chosen, (last,)).fetchall()
        for start in range(0, len(listed), RELEASED_TOGETHER):
            until = listed[start : start + RELEASED_TOGETHER][-1]
            with self._transaction():
                self.place.execute("delete from inbox_batches where seq <= ?", until)
                self.place.execute("delete from inbox_about where seq <= ?", until)

    def mark(self, source: str, events: Iterable[tuple[str, str | None]]) -> None:
        """Remember events, and the orders they completed, that reached the lake by another way, such as an import."""
        named = (one for event, order in events for one in (event, f"\0{order}" if order else None) if one)
        ids = sorted(self.id_of(source, one) for one in named)
        for start in range(0, len(ids), MARKED_TOGETHER):  # why: requests are written in between
            with self._transaction():
                self._seen.mark(ids[start : start + MARKED_TOGETHER])

    def has_seen(self, source: str, event_id: str) -> bool:
        """Whether the event ever arrived."""
        with self.place.refusals():
            return self._seen.holds(self.id_of(source, event_id))

    def counts(self) -> dict[str, Verdicts]:
        """What became of all messages, by source."""
        with self.place.refusals():
            chosen = "select source, stored, duplicate, dead from inbox_counts order by source"
            rows = self.place.execute(chosen).fetchall()
        return {row[0]: Verdicts(*row[1:]) for row in rows}

    def waiting_count(self) -> int:
        """Requests that are not in the lake yet."""
        return self._one("select count(*) from inbox_batches where seq > ?", self.moved())

    def last(self) -> int:
        """Number of the last request that was taken; 0 before the first."""
        return max(self._one("select coalesce(max(seq), 0) from inbox_batches"), self.moved())

    def last_before_newest(self, age: timedelta) -> int:
        """Number of the last request that was received so long before the newest one; 0 when there is none."""
        newest = self._one("select coalesce(max(received_us), 0) from inbox_batches")
        until = newest - int(age.total_seconds() * 1_000_000)
        return self._one("select coalesce(max(seq), 0) from inbox_batches where received_us < ?", until)

    def scrub(self) -> None:
        """Leave nothing of deleted rows. Raises WorkspaceBusy while others read."""
        self.place.scrub()

    def close(self) -> None:
        """Close it."""
        self.place.close()

    def __enter__(self) -> Self:
        """Use the inbox and close it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def _one(self, asked: str, *values: object) -> Any:
        with self.place.refusals():
            return self.place.execute(asked, values).fetchone()[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One durable commit, or nothing at all."""
        try:
            with self.place.transaction():
                yield
        except BaseException:
            self._seen.reset()
            raise

    def _sealed(self, content: bytes, seq: int, source: str, received: int) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._seal.encrypt(nonce, content, _bound(seq, source, received))

    def _unsealed(self, sealed: bytes, seq: int, source: str, received: int) -> bytes:
        try:
            return self._seal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(seq, source, received))
        except (InvalidTag, ValueError, TypeError):
            raise InboxDamaged(
                f"request {seq} was changed after it was written", where=self.place.name, todo=MEND
            ) from None


def _bound(seq: int, source: str, received: int) -> bytes:
    """What a seal tells of besides its content."""
    return f"{seq}\0{source}\0{received}".encode()


def _judged(arrival: Arrival, ids: list[tuple[bytes, ...]], new: set[bytes]) -> tuple[list[Told], Verdicts]:
    """Rows of a request to keep, and what became of its messages; what is kept is taken out of `new`."""
    rows, duplicate, dead = [], 0, 0
    for message, own in zip(arrival.messages, ids, strict=True):
        if message.is_dead:
            dead += 1
            rows.append(message.row)
        elif own and own[0] in new:
            new.discard(own[0])
            rows.append(message.row if new.issuperset(own[1:]) else _repeated(message.row))
            new.difference_update(own)
        else:
            duplicate += 1
    return rows, Verdicts(len(rows) - dead, duplicate, dead)


def _repeated(row: Told) -> Told:
    """An order that was told before, under another id: it is an event, and no order."""
    return {**row, "flags": [*(row.get("flags") or ()), REPEATED]}
