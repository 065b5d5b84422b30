"""The inbox: accepted messages until they are in the lake, and the ids of all that ever arrived.

One SQLite file with its write-ahead log, synced at every commit. A request's messages are one row, sealed under a key
outside the workspace: the seal hides them, and tells of every changed bit. Beside it stands whom they are about, in 8
opaque bytes each, so that the few requests of one customer are found among many.
"""

import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patron.base.errors import NoSpace, WorkspaceBusy, WorkspaceError
from patron.collect.arrival import Arrival, Message, Told
from patron.collect.seen import HASH_BYTES, Seen, checked
from patron.collect.seen import SCHEMA as SEEN_SCHEMA

NONCE_BYTES = 12
CACHE_KIB = 131_072
CHECKPOINT_PAGES = 8_000
MARKED_TOGETHER = 20_000
RELEASED_TOGETHER = 500
"""Requests that are deleted in one commit: others are written in between."""
SUBJECTS = ("user_id", "anonymous_id")
ORDER = "Order Completed"
REPEATED = "repeated_order"
"""Flag of an event that completes an order which another event of the source completed before."""
Whose = Callable[[str, str], bytes]
"""Mark of a customer: kind and value of an id to a few opaque bytes."""
SCHEMA = f"""
{SEEN_SCHEMA}
create table if not exists batches (
    seq integer primary key, source text not null, received_us integer not null, sealed blob not null);
create table if not exists about (seq integer primary key, whose blob not null);
create table if not exists counts (
    source text primary key, stored integer not null, duplicate integer not null, dead integer not null) without rowid;
create table if not exists moved (one integer primary key check (one = 1), seq integer not null);
create table if not exists meta (one integer primary key check (one = 1), inbox_id text not null);
"""
ADD = """
insert into counts values (?, ?, ?, ?) on conflict (source) do update set
    stored = stored + excluded.stored, duplicate = duplicate + excluded.duplicate, dead = dead + excluded.dead
"""
WAITING = "select seq, source, received_us, sealed from batches"
MOVE = "insert into moved values (1, ?) on conflict (one) do update set seq = max(seq, excluded.seq)"


class InboxDamaged(WorkspaceError):
    """The inbox does not hold what was written."""


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

    def __init__(self, path: Path, key: bytes, whose: Whose | None = None) -> None:
        """Open a file, or make it; `whose` tells the mark of a user or visitor id."""
        self.path = path
        self._key = key
        self._whose = whose
        self._seal = AESGCM(key)
        is_new = not path.exists()
        if is_new:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._con = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._con.close()
            raise _refusal(path, error) from error

    def _prepare(self) -> None:
        for pragma in (
            "journal_mode = wal",
            "synchronous = full",
            "secure_delete = on",
            f"cache_size = -{CACHE_KIB}",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            "temp_store = memory",
        ):
            self._con.execute(f"pragma {pragma}")
        self._con.executescript(SCHEMA)
        self._seen = Seen(self._con)
        if self._con.execute("select 1 from meta").fetchone() is None:
            self._con.execute("insert or ignore into meta values (1, ?)", (secrets.token_hex(8),))

    @property
    def inbox_id(self) -> str:
        """Which inbox this is: another one numbers its requests anew."""
        with self._refusals():
            return self._con.execute("select inbox_id from meta").fetchone()[0]

    @property
    def load(self) -> str:
        """Name under which the lake keeps the number of the last request that it holds of this inbox."""
        return f"inbox-{self.inbox_id}"

    def renew(self) -> None:
        """Be another inbox from now on, because the file is older than the lake."""
        with self._transaction():
            self._con.execute("update meta set inbox_id = ?", (secrets.token_hex(8),))

    def check(self) -> None:
        """Look at every page, id and waiting message. Raises InboxDamaged."""
        with self._refusals():
            found = self._con.execute("pragma quick_check").fetchone()[0]
            if found != "ok":
                raise InboxDamaged(f"is damaged ({found})", where=str(self.path), todo=MEND)
            if not self._seen.are_whole():
                raise InboxDamaged("holds a changed id", where=str(self.path), todo=MEND)
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
            left, first, stored = set(new), self.last() + 1, 0
            verdicts = []
            for seq, (arrival, own) in enumerate(zip(arrivals, ids, strict=True), first):
                rows, verdict = _judged(arrival, own, left)
                if rows:
                    self._store(seq, arrival, rows)
                    stored = seq
                self._con.execute(ADD, (arrival.source, verdict.stored, verdict.duplicate, verdict.dead))
                verdicts.append(verdict)
            if new:
                self._seen.add(stored, new)
        return verdicts

    def _ids(self, source: str, message: Message) -> tuple[bytes, ...]:
        """Id of a message, and of the order that it tells; nothing for a dead letter."""
        if message.is_dead or message.event_id is None:
            return ()
        order = message.row.get("order_id") if message.row.get("name") == ORDER else None
        event = self.id_of(source, message.event_id)
        return (event, self.id_of(source, f"\0{order}")) if order else (event,)

    def _store(self, seq: int, arrival: Arrival, rows: list[Told]) -> None:
        received = int(arrival.received_at.timestamp() * 1_000_000)
        sealed = self._sealed(msgspec.msgpack.encode(rows), seq, arrival.source, received)
        self._con.execute("insert into batches values (?, ?, ?, ?)", (seq, arrival.source, received, sealed))
        whose = b"".join({one for row in rows for one in self._marks(row)})
        if whose:
            self._con.execute("insert into about values (?, ?)", (seq, whose))

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
        with self._refusals():
            after = self.moved() if after is None else after
            rows = self._con.execute(f"{WAITING} where seq > ? order by seq", (after,))
            for row in rows:
                found.append(self._opened(*row))
                size += len(row[-1])
                if size >= bytes_at_most:
                    break
            rows.close()
        return found

    def about(self, marks: Collection[bytes], *, after: int) -> Iterator[Waiting]:
        """What requests after a number tell of those with one of these marks, oldest first. Raises InboxDamaged."""
        named = " or ".join("instr(whose, ?)" for _ in marks)
        with self._refusals():
            asked = f"select seq from about where seq > ? and ({named or 'false'}) order by seq"
            for (seq,) in self._con.execute(asked, (after, *marks)).fetchall():
                row = self._con.execute(f"{WAITING} where seq = ?", (seq,)).fetchone()
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

        `died` of a source turned out to be dead letters, `known` to be in the lake already by another way.
        """
        with self._transaction():
            self._con.execute(MOVE, (seq,))
            for source, count in sorted(died.items()):
                self._con.execute(ADD, (source, -count, 0, count))
            for source, count in sorted((known or {}).items()):
                self._con.execute(ADD, (source, -count, count, 0))

    def moved(self) -> int:
        """The last request that is in the lake."""
        with self._refusals():
            return self._con.execute("select coalesce(max(seq), 0) from moved").fetchone()[0]

    def release(self, folded: int) -> None:
        """Delete what is in the lake and, up to `folded`, in the profiles."""
        last = min(self.moved(), folded)
        with self._refusals():
            listed = self._con.execute("select seq from batches where seq <= ? order by seq", (last,)).fetchall()
        for start in range(0, len(listed), RELEASED_TOGETHER):
            until = listed[start : start + RELEASED_TOGETHER][-1]
            with self._transaction():
                self._con.execute("delete from batches where seq <= ?", until)
                self._con.execute("delete from about where seq <= ?", until)

    def mark(self, source: str, events: Iterable[tuple[str, str | None]]) -> None:
        """Remember events, and the orders they completed, that reached the lake by another way, such as an import."""
        named = (one for event, order in events for one in (event, f"\0{order}" if order else None) if one)
        ids = sorted(self.id_of(source, one) for one in named)
        for start in range(0, len(ids), MARKED_TOGETHER):  # why: requests are written in between
            with self._transaction():
                self._seen.mark(ids[start : start + MARKED_TOGETHER])

    def has_seen(self, source: str, event_id: str) -> bool:
        """Whether the event ever arrived."""
        with self._refusals():
            return self._seen.holds(self.id_of(source, event_id))

    def counts(self) -> dict[str, Verdicts]:
        """What became of all messages, by source."""
        with self._refusals():
            rows = self._con.execute("select source, stored, duplicate, dead from counts order by source").fetchall()
        return {row[0]: Verdicts(*row[1:]) for row in rows}

    def waiting_count(self) -> int:
        """Requests that are not in the lake yet."""
        with self._refusals():
            return self._con.execute("select count(*) from batches where seq > ?", (self.moved(),)).fetchone()[0]

    def last(self) -> int:
        """Number of the last request that was taken; 0 before the first."""
        with self._refusals():
            waits = self._con.execute("select coalesce(max(seq), 0) from batches").fetchone()[0]
        return max(waits, self.moved())

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the file or its write-ahead log. Raises WorkspaceBusy while others read."""
        with self._refusals():
            self._con.execute("vacuum")
            is_read = self._con.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
        if is_read:
            raise WorkspaceBusy("others read the inbox", where=str(self.path), todo="Try again in a moment.")

    def close(self) -> None:
        """Close the file."""
        self._con.close()

    def __enter__(self) -> Self:
        """Use the inbox and close it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Say in our words what SQLite found."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _refusal(self.path, error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One durable commit, or nothing at all."""
        with self._refusals():
            self._con.execute("begin immediate")
            try:
                yield
                self._con.execute("commit")
            except BaseException:
                self._seen.reset()
                raise
            finally:
                if self._con.in_transaction:
                    self._con.execute("rollback")

    def _sealed(self, content: bytes, seq: int, source: str, received: int) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._seal.encrypt(nonce, content, _bound(seq, source, received))

    def _unsealed(self, sealed: bytes, seq: int, source: str, received: int) -> bytes:
        try:
            return self._seal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(seq, source, received))
        except (InvalidTag, ValueError, TypeError):
            raise InboxDamaged(
                f"request {seq} was changed after it was written", where=str(self.path), todo=MEND
            ) from None


MEND = (
    "Stop the collector and restore the workspace from a backup. Without one, move the file away and keep it: the next"
    " start makes a new inbox, and only what waited in the old one is missing."
)


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
    return {**row, "flags": f"{row['flags']},{REPEATED}" if row.get("flags") else REPEATED}


def _refusal(path: Path, error: sqlite3.DatabaseError) -> WorkspaceError:
    if "full" in str(error):
        return NoSpace("the disk is full; nothing of the request was taken", where=str(path), todo="Free some space.")
    if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
        return WorkspaceError(f"cannot be written ({error})", where=str(path), todo="Look at the disk; clients retry.")
    return InboxDamaged(f"is damaged ({error})", where=str(path), todo=MEND)
