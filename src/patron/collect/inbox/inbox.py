"""The inbox: accepted requests until they are in the lake, and the ids of all events that ever arrived.

A request's messages are one row, sealed under a key outside the workspace: the seal hides them and reveals every
changed bit. Next to it stand the marks of the customers it is about, 8 opaque bytes each, so that the few requests of
one customer can be selected from many.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import msgspec

from patron.collect.event_flags import TEST
from patron.collect.inbox.event_ids import HASH_BYTES, EventIds, with_checksum
from patron.collect.inbox.inbox_backend import InboxBackend
from patron.collect.inbox.inbox_postgres import PostgresBackend
from patron.collect.inbox.inbox_seal import ID_CHANGED, MARKS_CHANGED, STATE_CHANGED, InboxSeal
from patron.collect.inbox.inbox_sqlite import FIX, SqliteBackend
from patron.collect.request import Message, RawEvent, Request
from patron.schema.data.counts import IngestionCounts
from patron.schema.errors import InboxDamaged

IDS_PER_COMMIT = 20_000
REQUESTS_PER_QUERY = 2_000
RELEASED_PER_COMMIT = 500
"""Requests that are deleted in one commit: others are written in between."""
SUBJECTS = ("user_id", "anonymous_id")
ORDER = "Order Completed"
REPEATED = "repeated_order"
"""Flag of an event that completes an order which another event of the source completed before."""
CustomerMark = Callable[[str, str], bytes]
"""From the kind and value of an id to the mark of its customer, a few opaque bytes."""
IdentifierTokens = Callable[[Sequence[str]], Mapping[str, str]]
"""From identifiers to the tokens of those that the lake keeps as one, so that an id is the same here and there."""


@dataclass(frozen=True)
class PendingRequest:
    """One request's raw events that are not in the lake yet."""

    seq: int
    source: str
    received_at: datetime
    rows: list[RawEvent]


class Inbox:
    """An open inbox. One thread at a time may use it; several processes may have it open."""

    def __init__(
        self,
        at: Path | str,
        key: bytes,
        customer_mark: CustomerMark | None = None,
        identifier_tokens: IdentifierTokens | None = None,
    ) -> None:
        """Open the file of a path or the database of a URL, or create it.

        Raises InboxDamaged, NoSpace, WorkspaceError, and MissingExtra for a URL without the driver.
        """
        self._hash = blake2b(key=key, digest_size=HASH_BYTES)
        self._customer_mark = customer_mark
        self._identifier_tokens = identifier_tokens or (lambda _values: {})
        self.backend: InboxBackend = SqliteBackend(at) if isinstance(at, Path) else PostgresBackend(at)
        self._seal = InboxSeal(key, self.backend.name)
        self._ids = EventIds(self.backend)
        try:
            with self.backend.translated_errors():
                is_new = self.backend.execute(self.backend.sql.select_identity).fetchone() is None
            if is_new:
                self._update(self.backend.sql.insert_identity, secrets.token_hex(8))
            self._require_sealed_state()
        except BaseException:
            self.backend.abandon()
            raise

    @property
    def inbox_id(self) -> str:
        """Which inbox this is: another one numbers its requests anew."""
        return self._row(self.backend.sql.select_identity)[0]

    @property
    def lake_id(self) -> str | None:
        """Id of the lake that requests move into, whose events the inbox knows; None until it has one."""
        return self._row(self.backend.sql.select_identity)[1]

    def set_lake(self, lake_id: str) -> None:
        """Move requests into this lake from now on."""
        self._update(self.backend.sql.update_lake_id, lake_id)

    @property
    def app_id(self) -> str:
        """Name under which the lake keeps the number of the last request that it holds of this inbox."""
        return f"inbox-{self.inbox_id}"

    def renew_id(self) -> None:
        """Become another inbox, because the file is older than the lake."""
        self._update(self.backend.sql.update_inbox_id, secrets.token_hex(8))

    def check(self) -> None:
        """Verify every page, id and pending request. Raises InboxDamaged."""
        self.backend.check()
        with self.backend.translated_errors():
            if not self._ids.are_intact():
                raise InboxDamaged(ID_CHANGED, where=self.backend.name, todo=FIX)
        after = 0
        while requests := self.pending_requests(after=after):
            self._check_marks(requests)
            after = requests[-1].seq

    def _check_marks(self, requests: Sequence[PendingRequest]) -> None:
        """Raise InboxDamaged when requests would no longer be found by the customers that they are about."""
        if not self._customer_mark:
            return
        seqs = (requests[0].seq, requests[-1].seq)
        with self.backend.translated_errors():
            marks = dict(self.backend.execute(self.backend.sql.select_customer_marks, seqs).fetchall())
        for request in requests:
            expected = self._marks(request.rows)
            written = bytes(marks.get(request.seq, b""))
            is_changed = len(written) != sum(map(len, expected)) or not all(mark in written for mark in expected)
            # why: another process may have released the request, with its marks
            if is_changed and self._row(self.backend.sql.select_request, request.seq):
                raise InboxDamaged(MARKS_CHANGED(seq=request.seq), where=self.backend.name, todo=FIX)

    def id_of(self, source: str, event_id: str) -> bytes:
        """Id under which an event is remembered for ever."""
        keyed = self._hash.copy()
        keyed.update(f"{source}\0{event_id}".encode(errors="replace"))
        return with_checksum(keyed.digest())

    def append(self, requests: Sequence[Request]) -> list[IngestionCounts]:
        """Store requests in one durable commit; return the counts of each.

        Raises NoSpace or InboxDamaged; then nothing of them is stored.
        """
        messages = [message for request in requests for message in request.messages]
        names = [message.event_id for message in messages if message.event_id]
        names += [message.row["order_id"] for message in messages if message.row.get("order_id")]
        tokens = self._identifier_tokens(names)
        ids = [
            [self._message_ids(request.source, message, tokens) for message in request.messages] for request in requests
        ]
        with self._transaction():
            unknown = self._ids.unknown([one for of_request in ids for of_message in of_request for one in of_message])
            remaining = set(unknown)
            stored = []
            counts = []
            for seq, (request, message_ids) in enumerate(zip(requests, ids, strict=True), self.last_seq() + 1):
                rows, count = _deduplicated(request, message_ids, remaining)
                counts.append(count)
                if rows:
                    stored.append((seq, request, rows))
            self._insert_requests(stored)
            self._add_counts(zip((request.source for request in requests), counts, strict=True))
            if stored:
                self._ids.append(stored[-1][0], unknown - remaining)
        return counts

    def _message_ids(self, source: str, message: Message, tokens: Mapping[str, str]) -> tuple[bytes, ...]:
        """Id of a message, and of the order it completes; nothing for a rejected one, no order for test traffic."""
        if message.is_rejected or message.event_id is None:
            return ()
        is_order = message.row.get("name") == ORDER and TEST not in (message.row.get("flags") or ())
        order = message.row.get("order_id") if is_order else None
        event = self.id_of(source, tokens.get(message.event_id, message.event_id))
        return (event, self.id_of(source, f"\0{tokens.get(order, order)}")) if order else (event,)

    def _insert_requests(self, requests: list[tuple[int, Request, list[RawEvent]]]) -> None:
        sealed, marked = [], []
        for seq, request, rows in requests:
            received_us = int(request.received_at.timestamp() * 1_000_000)
            content = self._seal.close(msgspec.msgpack.encode(rows), seq, request.source, received_us)
            sealed.append((seq, request.source, received_us, content))
            marks = b"".join(self._marks(rows))
            if marks:
                marked.append((seq, marks))
        self.backend.insert_rows(self.backend.sql.insert_request, sealed)
        self.backend.insert_rows(self.backend.sql.insert_customer_marks, marked)

    def _add_counts(self, counts: Iterable[tuple[str, IngestionCounts]]) -> None:
        by_source: dict[str, IngestionCounts] = {}
        for source, count in counts:
            by_source[source] = by_source.get(source, IngestionCounts()) + count
        rows = [(source, one.stored, one.duplicate, one.rejected) for source, one in sorted(by_source.items())]
        self.backend.insert_rows(self.backend.sql.add_counts, rows)

    def _marks(self, rows: Sequence[RawEvent]) -> set[bytes]:
        """Marks of the customers that raw events are about."""
        mark = self._customer_mark
        return {mark(kind, row[kind]) for row in rows for kind in SUBJECTS if row.get(kind)} if mark else set()

    def pending_requests(self, *, after: int | None = None, max_bytes: int = 16_000_000) -> list[PendingRequest]:
        """The oldest requests after a number, at least one if there is any; without it, those not in the lake yet.

        Raises InboxDamaged.
        """
        requests, size = [], 0
        after = self.moved_seq() if after is None else after
        with self.backend.translated_errors():
            while size < max_bytes:
                query = self.backend.sql.select_requests
                rows = self.backend.execute(query, (after, REQUESTS_PER_QUERY)).fetchall()
                for row in rows:
                    requests.append(self._unsealed_request(*row))
                    size += len(row[-1])
                    if size >= max_bytes:
                        break
                if len(rows) < REQUESTS_PER_QUERY:
                    break
                after = rows[-1][0]
        return requests

    def requests_about(self, marks: Collection[bytes], *, after: int) -> Iterator[PendingRequest]:
        """Requests after a number with only the raw events of these customers, oldest first. Raises InboxDamaged."""
        with self.backend.translated_errors():
            for seq in self.backend.seqs_of_customers(sorted(marks), after=after):
                row = self.backend.execute(self.backend.sql.select_request, (seq,)).fetchone()
                if row:  # why: it may have been released meanwhile
                    request = self._unsealed_request(*row)
                    rows = [one for one in request.rows if not self._marks([one]).isdisjoint(marks)]
                    yield replace(request, rows=rows)

    def _unsealed_request(self, seq: int, source: str, received_us: int, sealed: bytes) -> PendingRequest:
        content = self._seal.open(sealed, seq, source, received_us)
        at = datetime.fromtimestamp(received_us / 1_000_000, UTC)
        return PendingRequest(seq, source, at, msgspec.msgpack.decode(content))

    def mark_moved(
        self, seq: int, rejected: Counter[str], duplicate: Counter[str] | None = None, *, is_loaded: bool = False
    ) -> None:
        """Note that all requests up to `seq` are durable in the lake; with `is_loaded` the lake's log names the last.

        Of the events counted as stored, so many of a source were `rejected`, or `duplicate`: in the lake already.
        """
        with self._transaction():
            self.backend.execute(self.backend.sql.update_moved_seq, (seq,))
            if is_loaded:
                self.backend.execute(self.backend.sql.update_loaded_seq, (seq,))
            corrections = [(one, IngestionCounts(stored=-n, rejected=n)) for one, n in rejected.items()]
            corrections += [(one, IngestionCounts(stored=-n, duplicate=n)) for one, n in (duplicate or {}).items()]
            self._add_counts(corrections)

    def moved_seq(self) -> int:
        """Number of the last request that is in the lake."""
        return self._row(self.backend.sql.select_moved_seq)[0]

    def loaded_seq(self) -> int:
        """Number of the last request that the lake's log must name: without it, the lake has lost events."""
        return self._row(self.backend.sql.select_loaded_seq)[0]

    def clear_loaded_seq(self) -> None:
        """Take the lake as it is, although it has lost events."""
        with self._transaction():
            self.backend.execute(self.backend.sql.clear_loaded_seq)

    def is_empty(self) -> bool:
        """Whether nothing ever arrived or was remembered."""
        with self.backend.translated_errors():
            ids = self.backend.execute(self.backend.sql.select_event_ids, (b"", 1)).fetchall()
        return not ids and self.last_seq() == 0 and self._row(self.backend.sql.select_id_log_range)[1] == 0

    def release(self, profiles_seq: int) -> None:
        """Delete the requests that are in the lake and, up to `profiles_seq`, in the profiles."""
        last = min(self.moved_seq(), profiles_seq)
        with self.backend.translated_errors():
            seqs = self.backend.execute(self.backend.sql.select_stored_seqs, (last,)).fetchall()
        for start in range(0, len(seqs), RELEASED_PER_COMMIT):
            until = seqs[start : start + RELEASED_PER_COMMIT][-1]
            with self._transaction():
                self.backend.execute(self.backend.sql.delete_requests, until)
                self.backend.execute(self.backend.sql.delete_customer_marks, until)

    def remember(self, source: str, events: Iterable[tuple[str, str | None]]) -> None:
        """Remember events, and the orders they completed, that reached the lake by another way, such as an import."""
        keys = (one for event, order in events for one in (event, f"\0{order}" if order else None) if one)
        ids = sorted(self.id_of(source, key) for key in keys)
        for start in range(0, len(ids), IDS_PER_COMMIT):  # why: requests are written in between
            with self._transaction():
                self._ids.insert(ids[start : start + IDS_PER_COMMIT])

    def is_known(self, source: str, event_id: str) -> bool:
        """Whether the event ever arrived."""
        with self.backend.translated_errors():
            stored_id = self._identifier_tokens([event_id]).get(event_id, event_id)
            return self._ids.is_known(self.id_of(source, stored_id))

    def counts(self) -> dict[str, IngestionCounts]:
        """What became of all messages, by source."""
        with self.backend.translated_errors():
            rows = self.backend.execute(self.backend.sql.select_counts).fetchall()
        return {
            source: IngestionCounts(stored=stored, duplicate=duplicate, rejected=rejected)
            for source, stored, duplicate, rejected in rows
        }

    def pending_count(self) -> int:
        """Requests that are not in the lake yet."""
        return self._row(self.backend.sql.count_requests, self.moved_seq())[0]

    def last_seq(self) -> int:
        """Number of the last request that was stored; 0 before the first."""
        return max(self._row(self.backend.sql.select_last_seq)[0], self.moved_seq())

    def last_before_newest(self, age: timedelta) -> int:
        """Number of the last request that was received so long before the newest one; 0 when there is none."""
        newest_us = self._row(self.backend.sql.select_newest_us)[0]
        until_us = newest_us - int(age.total_seconds() * 1_000_000)
        return self._row(self.backend.sql.select_last_seq_before, until_us)[0]

    def scrub(self) -> None:
        """Leave nothing of deleted rows. Raises WorkspaceBusy while others read."""
        self.backend.scrub()

    def settle(self) -> None:
        """Write everything that was committed to disk once more. Raises WorkspaceBusy while others read."""
        self.backend.settle()

    def abandon(self) -> None:
        """Close the backend after a failure, and write nothing on the way."""
        self.backend.abandon()

    def close(self) -> None:
        """Close the backend."""
        self.backend.close()

    def __enter__(self) -> Self:
        """Use the inbox and close it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def _row(self, query: str, *values: object) -> Any:
        with self.backend.translated_errors():
            return self.backend.execute(query, values).fetchone()

    def _update(self, statement: str, value: str) -> None:
        with self._transaction():
            self.backend.execute(statement, (value,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One durable commit, or nothing at all."""
        try:
            with self.backend.transaction():
                yield
                self._seal_state()
        except BaseException:
            self._ids.reset()
            raise

    def _seal_state(self) -> None:
        """Seal counts, positions and identity: a changed bit in them would lose or repeat requests."""
        if self.backend.sql.select_state:
            *state, _, _ = self.backend.execute(self.backend.sql.select_state).fetchone()
            self.backend.execute(self.backend.sql.update_seal, (self._seal.of_state(state),))

    def _require_sealed_state(self) -> None:
        """Raise InboxDamaged when counts, positions or identity are not what was written."""
        if self.backend.sql.select_state:
            *state, has_commits, seal = self._row(self.backend.sql.select_state)
            if has_commits and seal != self._seal.of_state(state):
                raise InboxDamaged(STATE_CHANGED, where=self.backend.name, todo=FIX)


def _deduplicated(
    request: Request, ids: list[tuple[bytes, ...]], unknown: set[bytes]
) -> tuple[list[RawEvent], IngestionCounts]:
    """Raw events of a request to store, and its counts; ids of stored messages are taken out of `unknown`."""
    rows = []
    duplicate = 0
    rejected = 0
    for message, message_ids in zip(request.messages, ids, strict=True):
        if message.is_rejected:
            rejected += 1
            rows.append(message.row)
        elif message_ids and message_ids[0] in unknown:
            unknown.discard(message_ids[0])
            is_first = unknown.issuperset(message_ids[1:])
            rows.append(message.row if is_first else _repeated_order(message.row))
            unknown.difference_update(message_ids)
        else:
            duplicate += 1
    return rows, IngestionCounts(stored=len(rows) - rejected, duplicate=duplicate, rejected=rejected)


def _repeated_order(row: RawEvent) -> RawEvent:
    """An order that arrived before under another id: it stays an event, and counts as no order."""
    return {**row, "flags": [*(row.get("flags") or ()), REPEATED]}
