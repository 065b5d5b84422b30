"""The inbox: accepted messages until they are in the lake, and the ids of all that ever arrived.

One SQLite file with its write-ahead log, synced at every commit. A request's messages are one row, sealed under a key
outside the workspace: the seal hides them, and tells of every changed bit. An id is 12 bytes of a keyed hash and 4
bytes that check them.
"""

import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from struct import Struct

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patron.base.errors import NoSpace, WorkspaceBusy, WorkspaceError
from patron.collect.arrival import Arrival, Told

HASH_BYTES, ID_BYTES, NONCE_BYTES = 12, 16, 12
WORDS = Struct("<III")
CACHE_KIB = 131_072
CHECKPOINT_PAGES = 8_000
MARKED_TOGETHER = 20_000
SCHEMA = """
create table if not exists batches (
    seq integer primary key, source text not null, received_us integer not null, sealed blob not null);
create table if not exists seen (id blob primary key) without rowid;
create table if not exists counts (
    source text primary key, stored integer not null, duplicate integer not null, dead integer not null) without rowid;
create table if not exists moved (one integer primary key check (one = 1), seq integer not null);
create table if not exists meta (one integer primary key check (one = 1), inbox_id text not null);
create temp table arrived (place integer primary key, id blob not null);
"""
ADD = """
insert into counts values (?, ?, ?, ?) on conflict (source) do update set
    stored = stored + excluded.stored, duplicate = duplicate + excluded.duplicate, dead = dead + excluded.dead
"""

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

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._key = key
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
            ids = self._con.execute("select id from seen")
            while some := ids.fetchmany(200_000):
                if not _are_whole([row[0] for row in some]):
                    raise InboxDamaged("holds a changed id", where=str(self.path), todo=MEND)
        after = 0
        while requests := self.waiting(after=after):
            after = requests[-1].seq

    def id_of(self, source: str, event_id: str) -> bytes:
        """Id under which an event is remembered for ever."""
        told = f"{source}\0{event_id}".encode(errors="replace")
        digest = blake2b(told, key=self._key, digest_size=HASH_BYTES).digest()
        first, second, third = WORDS.unpack(digest)
        return digest + (first ^ second ^ third).to_bytes(4, "little")

    def put(self, arrivals: Sequence[Arrival]) -> list[Verdicts]:
        """Take requests in one durable commit, and say what became of their messages.

        Raises NoSpace or InboxDamaged; then nothing of them is taken.
        """
        flat = [(place, message) for place, arrival in enumerate(arrivals) for message in arrival.messages]
        ids = [
            (n, self.id_of(arrivals[place].source, one.event_id))
            for n, (place, one) in enumerate(flat)
            if not one.is_dead and one.event_id is not None
        ]
        with self._transaction():
            new = self._remember(ids)
            first = self.last() + 1
            placed = enumerate(zip(arrivals, _starts(arrivals), strict=True), first)
            verdicts = [self._store(seq, arrival, new, start) for seq, (arrival, start) in placed]
            self._count(arrivals, verdicts)
        return verdicts

    def _remember(self, ids: list[tuple[int, bytes]]) -> set[int]:
        """Mark ids as seen; return the places of those that were new, the first of equal ones."""
        self._con.execute("delete from arrived")
        self._con.executemany("insert into arrived values (?, ?)", ids)
        new = self._con.execute("select min(place) from arrived where id not in (select id from seen) group by id")
        places = {row[0] for row in new}
        self._con.execute("insert or ignore into seen select id from arrived order by id")
        return places

    def _store(self, seq: int, arrival: Arrival, new: set[int], start: int) -> Verdicts:
        kept = [one for n, one in enumerate(arrival.messages, start) if one.is_dead or n in new]
        dead = sum(one.is_dead for one in kept)
        if kept:
            received = int(arrival.received_at.timestamp() * 1_000_000)
            content = msgspec.msgpack.encode([one.row for one in kept])
            sealed = self._sealed(content, seq, arrival.source, received)
            self._con.execute("insert into batches values (?, ?, ?, ?)", (seq, arrival.source, received, sealed))
        return Verdicts(len(kept) - dead, len(arrival.messages) - len(kept), dead)

    def _count(self, arrivals: Sequence[Arrival], verdicts: Sequence[Verdicts]) -> None:
        for arrival, one in zip(arrivals, verdicts, strict=True):
            self._con.execute(ADD, (arrival.source, one.stored, one.duplicate, one.dead))

    def waiting(self, *, after: int | None = None, bytes_at_most: int = 16_000_000) -> list[Waiting]:
        """The oldest requests after a number, at least one if there is any; those not in the lake yet if none is named.

        Raises InboxDamaged.
        """
        found, size = [], 0
        with self._refusals():
            after = self.moved() if after is None else after
            rows = self._con.execute(
                "select seq, source, received_us, sealed from batches where seq > ? order by seq", (after,)
            )
            for seq, source, received, sealed in rows:
                content = self._unsealed(sealed, seq, source, received)
                at = datetime.fromtimestamp(received / 1_000_000, UTC)
                found.append(Waiting(seq, source, at, msgspec.msgpack.decode(content)))
                size += len(content)
                if size >= bytes_at_most:
                    break
            rows.close()
        return found

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
            if self._con.execute("select 1 from batches where seq <= ? limit 1", (last,)).fetchone():
                self._con.execute("delete from batches where seq <= ?", (last,))

    def mark(self, source: str, event_ids: Iterable[str]) -> None:
        """Remember events that reached the lake by another way, such as an import."""
        ids = sorted(self.id_of(source, one) for one in event_ids)
        for start in range(0, len(ids), MARKED_TOGETHER):  # why: requests are written in between
            with self._transaction():
                some = ((one,) for one in ids[start : start + MARKED_TOGETHER])
                self._con.executemany("insert or ignore into seen values (?)", some)

    def has_seen(self, source: str, event_id: str) -> bool:
        """Whether the event ever arrived."""
        with self._refusals():
            found = self._con.execute("select 1 from seen where id = ?", (self.id_of(source, event_id),)).fetchone()
        return found is not None

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


def _starts(arrivals: Sequence[Arrival]) -> list[int]:
    """Place of each request's first message among all."""
    sizes = [len(arrival.messages) for arrival in arrivals]
    return [sum(sizes[:n]) for n in range(len(sizes))]


def _are_whole(ids: list[bytes]) -> bool:
    """Whether the last word of each id is the exclusive or of the others."""
    if any(not isinstance(one, bytes) or len(one) != ID_BYTES for one in ids):
        return False
    words = np.frombuffer(b"".join(ids), dtype="<u4").reshape(-1, ID_BYTES // 4)
    return not np.bitwise_xor.reduce(words, axis=1).any()


def _refusal(path: Path, error: sqlite3.DatabaseError) -> WorkspaceError:
    if "full" in str(error):
        return NoSpace("the disk is full; nothing of the request was taken", where=str(path), todo="Free some space.")
    if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
        return WorkspaceError(f"cannot be written ({error})", where=str(path), todo="Look at the disk; clients retry.")
    return InboxDamaged(f"is damaged ({error})", where=str(path), todo=MEND)
