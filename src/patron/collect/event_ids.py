"""The ids of all that ever arrived, of which millions must be known and thousands a second added.

A new id put into its place in a table of millions changes a page of its own, 4 KB written for 16 bytes. So new ids are
logged as they come and remembered in memory; when many are, they are put into the table in its own order, some with
every commit, so that neighbours share a page (a log-structured merge tree with one level).
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct

import numpy as np

from patron.collect.inbox_backend import Place

HASH_BYTES, ID_BYTES = 12, 16
WORDS = Struct("<III")
GENERATION = 500_000
"""Ids that are remembered before they are settled; about 80 bytes of memory each."""
SETTLED_FOR_EACH = 2
"""Ids that are settled for each new one: a generation is settled when the next one is half full."""
ASKED_TOGETHER = 1_000
READ_TOGETHER = 200_000


class Seen:
    """Ids as the open file knows them; what a transaction did is undone with `reset` when it is."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.reset()

    @property
    def count(self) -> int:
        """Ids in memory."""
        return len(self._fresh) + len(self._settling)

    def reset(self) -> None:
        """Remember nothing; the file is read again when it is asked."""
        self._first = self._last = 0
        """Requests whose ids are remembered, as far as they are not settled."""
        self._fresh: set[bytes] = set()
        self._settling: set[bytes] = set()
        self._ordered: list[bytes] = []
        self._until = 0

    def new(self, ids: Sequence[bytes]) -> set[bytes]:
        """Those that never arrived."""
        self._catch_up()
        asked = sorted({one for one in ids if one not in self._fresh and one not in self._settling})
        return set(asked).difference(*(self._settled(some) for some in _parts(asked, ASKED_TOGETHER)))

    def add(self, seq: int, ids: set[bytes]) -> None:
        """Remember new ids with the commit of a request, and settle some older ones."""
        self._place.execute("insert into inbox_fresh values (?, ?)", (seq, b"".join(ids)))
        self._fresh |= ids
        self._last = seq
        self._settle(SETTLED_FOR_EACH * len(ids))

    def holds(self, one: bytes) -> bool:
        """Whether an id ever arrived, as any process can tell; the log first, from which ids go into the table."""
        logged = self._place.execute("select ids from inbox_fresh").fetchall()
        return any(one in set(_split(ids)) for (ids,) in logged if one in ids) or bool(self._settled([one]))

    def mark(self, ids: Sequence[bytes]) -> None:
        """Put ids into the table at once; cheap when they are many and in order."""
        self._place.executemany("insert into inbox_seen values (?) on conflict do nothing", [(one,) for one in ids])

    def are_whole(self) -> bool:
        """Whether every id is as it was written."""
        after, asked = b"", f"select id from inbox_seen where id > ? order by id limit {READ_TOGETHER}"
        while some := [row[0] for row in self._place.execute(asked, (after,)).fetchall()]:
            if not _are_whole(some):
                return False
            after = some[-1]
        return all(_are_whole([ids], each=False) for (ids,) in self._place.execute("select ids from inbox_fresh"))

    def _catch_up(self) -> None:
        """Know what another process, or this one before, has logged, and forget what another has settled."""
        asked = "select coalesce(min(seq), 0), coalesce(max(seq), 0) from inbox_fresh"
        oldest, newest = self._place.execute(asked).fetchone()
        if self._first < oldest and self.count > 2 * GENERATION:
            self.reset()
        if self._first == 0:
            self._first = oldest
        if newest > self._last:
            logged = self._place.execute("select ids from inbox_fresh where seq > ?", (self._last,))
            self._fresh.update(one for (ids,) in logged for one in _split(ids))
            self._last = newest

    def _settled(self, ids: Sequence[bytes]) -> set[bytes]:
        places = ",".join("?" * len(ids))
        asked = f"select id from inbox_seen where id in ({places})"
        return {row[0] for row in self._place.execute(asked, ids)}

    def _settle(self, count: int) -> None:
        if not self._ordered and len(self._fresh) >= GENERATION:
            self._settling, self._fresh, self._until = self._fresh, set(), self._last
            self._ordered = sorted(self._settling, reverse=True)
        if self._ordered:
            some = self._ordered[-count:]
            del self._ordered[-count:]
            self.mark(some[::-1])
            if not self._ordered:
                self._place.execute("delete from inbox_fresh where seq <= ?", (self._until,))
                self._settling = set()


def checked(digest: bytes) -> bytes:
    """An id: 12 bytes of a hash, and 4 that tell when one of its bits was changed."""
    first, second, third = WORDS.unpack(digest)
    return digest + (first ^ second ^ third).to_bytes(4, "little")


def _are_whole(ids: list[bytes], *, each: bool = True) -> bool:
    """Whether the last word of each id is the exclusive or of the others."""
    if any(not isinstance(one, bytes) or (len(one) != ID_BYTES if each else len(one) % ID_BYTES) for one in ids):
        return False
    words = np.frombuffer(b"".join(ids), dtype="<u4").reshape(-1, ID_BYTES // 4)
    return not np.bitwise_xor.reduce(words, axis=1).any()


def _split(ids: bytes) -> Iterator[bytes]:
    return (ids[n : n + ID_BYTES] for n in range(0, len(ids), ID_BYTES))


def _parts(items: Sequence[bytes], size: int) -> Iterable[Sequence[bytes]]:
    return (items[start : start + size] for start in range(0, len(items), size))
