"""The ids of all events that ever arrived, of which millions must be known and thousands a second added.

A new id put into its place in a table of millions changes a page of its own, 4 KB written for 16 bytes. So new ids are
logged as they come and remembered in memory; when many are, they are put into the table in its own order, some with
every commit, so that neighbours share a page (a log-structured merge tree with one level).
"""

from collections.abc import Iterator, Sequence
from struct import Struct

import numpy as np

from patron.collect.inbox.inbox_backend import InboxBackend

HASH_BYTES, ID_BYTES = 12, 16
WORDS = Struct("<III")
GENERATION = 500_000
"""Ids that are remembered before they are settled; about 80 bytes of memory each."""
SETTLED_PER_NEW = 2
"""Ids that are settled for each new one: a generation is settled when the next one is half full."""
IDS_PER_CHECK = 200_000


class EventIds:
    """Known ids of the open inbox; call `reset` after a rollback."""

    def __init__(self, backend: InboxBackend) -> None:
        self._backend = backend
        self.reset()

    @property
    def count(self) -> int:
        """Ids in memory."""
        return len(self._fresh) + len(self._settling)

    def reset(self) -> None:
        """Clear the memory; the next call reads the log again."""
        self._first = self._last = 0
        """Requests whose ids are in memory, as far as they are not settled."""
        self._fresh: set[bytes] = set()
        self._settling: set[bytes] = set()
        self._ordered: list[bytes] = []
        self._until = 0

    def unknown(self, ids: Sequence[bytes]) -> set[bytes]:
        """The ids among these that never arrived."""
        self._catch_up()
        candidates = sorted(
            {identifier for identifier in ids if identifier not in self._fresh and identifier not in self._settling}
        )
        return set(candidates) - self._backend.known_event_ids(candidates)

    def append(self, seq: int, ids: set[bytes]) -> None:
        """Log new ids with the commit of a request, and settle some older ones."""
        self._backend.execute(self._backend.sql.insert_id_log, (seq, b"".join(ids)))
        self._fresh |= ids
        self._last = seq
        self._settle(SETTLED_PER_NEW * len(ids))

    def is_known(self, event_id: bytes) -> bool:
        """Whether an id ever arrived, as any process can tell; the log first, from which ids go into the table."""
        logged = self._backend.execute(self._backend.sql.select_id_log, (0,)).fetchall()
        if any(event_id in set(_split(ids)) for (ids,) in logged if event_id in ids):
            return True
        return bool(self._backend.known_event_ids([event_id]))

    def insert(self, ids: Sequence[bytes]) -> None:
        """Put ids into the table at once; cheap when they are many and in order."""
        self._backend.insert_rows(self._backend.sql.insert_event_ids, [(identifier,) for identifier in ids])

    def are_intact(self) -> bool:
        """Whether every id is as it was written."""
        sql, after = self._backend.sql, b""
        while some := [
            row[0] for row in self._backend.execute(sql.select_event_ids, (after, IDS_PER_CHECK)).fetchall()
        ]:
            if not _are_intact(some):
                return False
            after = some[-1]
        return all(_are_intact([ids], each=False) for (ids,) in self._backend.execute(sql.select_id_log, (0,)))

    def _catch_up(self) -> None:
        """Read what another process, or this one before, has logged, and forget what another has settled."""
        sql = self._backend.sql
        oldest, newest = self._backend.execute(sql.select_id_log_range).fetchone()
        if self._first < oldest and self.count > 2 * GENERATION:
            self.reset()
        if self._first == 0:
            self._first = oldest
        if newest > self._last:
            logged = self._backend.execute(sql.select_id_log, (self._last,))
            self._fresh.update(one for (ids,) in logged for one in _split(ids))
            self._last = newest

    def _settle(self, count: int) -> None:
        if not self._ordered and len(self._fresh) >= GENERATION:
            self._settling = self._fresh
            self._fresh = set()
            self._until = self._last
            self._ordered = sorted(self._settling, reverse=True)
        if self._ordered:
            some = self._ordered[-count:]
            del self._ordered[-count:]
            self.insert(some[::-1])
            if not self._ordered:
                self._backend.execute(self._backend.sql.delete_id_log, (self._until,))
                self._settling = set()


def with_checksum(digest: bytes) -> bytes:
    """An id: 12 bytes of a hash, and 4 that show when one of its bits was changed."""
    first, second, third = WORDS.unpack(digest)
    return digest + (first ^ second ^ third).to_bytes(4, "little")


def _are_intact(ids: list[bytes], *, each: bool = True) -> bool:
    """Whether the last word of each id is the exclusive or of the others."""
    if any(
        not isinstance(identifier, bytes) or (len(identifier) != ID_BYTES if each else len(identifier) % ID_BYTES)
        for identifier in ids
    ):
        return False
    words = np.frombuffer(b"".join(ids), dtype="<u4").reshape(-1, ID_BYTES // 4)
    return not np.bitwise_xor.reduce(words, axis=1).any()


def _split(ids: bytes) -> Iterator[bytes]:
    return (ids[n : n + ID_BYTES] for n in range(0, len(ids), ID_BYTES))
