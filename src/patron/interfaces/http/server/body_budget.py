"""Memory for the bodies of requests: in all, and a share a peer; when it runs out, the slowest sender gives way."""

import asyncio
from dataclasses import dataclass, field

from patron.schema.common_sentences import TOO_MUCH_AT_ONCE, TRY_IN_A_SECOND
from patron.schema.errors import Overloaded


@dataclass
class BodyBudget:
    """Bytes of bodies that may be in memory at once. They count as they arrive, not as they are promised."""

    limit: int
    peer_limit: int
    held: int = 0
    _held_by_peer: dict[str, int] = field(default_factory=dict)
    _arriving: "dict[BodyReservation, None]" = field(default_factory=dict)
    """Bodies that are not complete, the longest under way first."""

    def reserve(self, peer: str) -> "BodyReservation":
        """Start counting the body of a peer's request, which the current task reads."""
        reservation = BodyReservation(self, peer, asyncio.current_task())
        self._arriving[reservation] = None
        return reservation

    def count(self, reservation: "BodyReservation", size: int) -> None:
        """Count bytes of a reservation; whoever has been sending longest gives way to it. Raises Overloaded."""
        peer = reservation.peer
        self.held += size
        held = self._held_by_peer[peer] = self._held_by_peer.get(peer, 0) + size
        if not held:
            del self._held_by_peer[peer]
        while size > 0 and (self._held_by_peer[peer] > self.peer_limit or self.held > self.limit):
            slowest = self._slowest(peer)
            if slowest is None or slowest is reservation:
                raise Overloaded(TOO_MUCH_AT_ONCE, where="collector", todo=TRY_IN_A_SECOND)
            slowest.evict()

    def _slowest(self, peer: str) -> "BodyReservation | None":
        """The body longest under way: of the peer that is above its share, else of the one that holds most."""
        if self._held_by_peer[peer] <= self.peer_limit:
            peer = max(self._held_by_peer, key=lambda one: self._held_by_peer[one])
        return next((one for one in self._arriving if one.peer == peer and one.size), None)

    def complete(self, reservation: "BodyReservation") -> None:
        """A body has arrived as a whole, or is given up."""
        self._arriving.pop(reservation, None)


@dataclass(eq=False, slots=True)
class BodyReservation:
    """Bytes that one request holds."""

    budget: BodyBudget
    peer: str
    task: "asyncio.Task[object] | None"
    size: int = 0
    is_complete: bool = False
    is_evicted: bool = False

    def grow(self, size: int) -> None:
        """Count more bytes. Raises Overloaded when there is no memory for them."""
        self.size += size
        self.budget.count(self, size)

    def complete(self) -> None:
        """Keep what has arrived until `release`: it is the whole body."""
        self.is_complete = True
        self.budget.complete(self)

    def evict(self) -> None:
        """Free the bytes, and wake the task with a cancellation that is not meant for all of it."""
        self.is_evicted = True
        self.release()
        if self.task:
            self.task.cancel()

    def release(self) -> None:
        """Free what the request holds."""
        self.budget.complete(self)
        size, self.size = self.size, 0
        if size:
            self.budget.count(self, -size)
