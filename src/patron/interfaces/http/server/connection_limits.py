"""How many connections are open, and which gives way when there are too many."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class ConnectionLimits:
    """What one client may take of the server's time, memory and connections."""

    connections: int = 1_000
    connections_per_peer: int = 500
    reserved_connections: int = 32
    """Connections beyond all others, on which nothing but /health is answered."""
    head_bytes: int = 32_768
    """Bytes of a request line and headers, and of what frames a chunked body."""
    address_bytes: int = 8_192
    header_count: int = 100
    pipelined_requests: int = 32
    head_seconds: float = 10.0
    """Time for a request line and headers."""
    body_seconds: float = 10.0
    """How far a body may fall behind `bytes_per_second`: the longest pause, too."""
    bytes_per_second: int = 4_000
    answer_seconds: float = 30.0
    """Time in which a client must go on reading its answer."""
    linger_seconds: float = 5.0
    """Time in which a client whose request was refused early can read why; what it still sends is dropped."""
    idle_seconds: float = 5.0
    """Time between two requests of a connection."""
    check_seconds: float = 0.5
    """How often times are checked."""


class Connection(Protocol):
    """What the table of connections asks of each."""

    def is_waiting(self) -> bool:
        """Whether the next move is the client's."""
        ...

    def evict(self) -> None:
        """Close it at once, for another."""
        ...

    def check_time(self, now: float) -> None:
        """Close it if the client is late."""
        ...


@dataclass
class OpenConnections:
    """Open connections by peer. Who has kept us waiting longest gives way: nobody shuts out others by waiting."""

    limits: ConnectionLimits
    proxies: Collection[str] = ()
    """Peers that stand for many, so that no share holds for them."""
    count: int = 0
    _by_peer: dict[str, dict[Connection, None]] = field(default_factory=dict)
    """Connections of each peer, in order of their last answer."""
    _timer: asyncio.TimerHandle | None = None

    def admit(self, connection: Connection, peer: str) -> bool:
        """Add a connection, in place of one that waits if there are too many; False when none waits."""
        of_peer = self._by_peer.setdefault(peer, {})
        of_peer[connection] = None
        self.count += 1
        if self._timer is None:
            self._check_later()
        if len(of_peer) > self.limits.connections_per_peer and peer not in self.proxies:
            crowd = of_peer
        elif self.count > self.limits.connections:
            crowd = max(self._by_peer.values(), key=len)
        else:
            return True
        slowest = next((one for one in crowd if one is not connection and one.is_waiting()), None)
        if slowest is None:
            return False
        slowest.evict()
        return True

    def renew(self, connection: Connection, peer: str) -> None:
        """Note that a request of this connection was answered."""
        of_peer = self._by_peer.get(peer)
        if of_peer and connection in of_peer:
            del of_peer[connection]
            of_peer[connection] = None

    def discard(self, connection: Connection, peer: str) -> None:
        """Forget a connection that is closed."""
        of_peer = self._by_peer.get(peer, {})
        if connection in of_peer:
            del of_peer[connection]
            self.count -= 1
            if not of_peer:
                del self._by_peer[peer]

    def _check_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.limits.check_seconds, self._check)

    def _check(self) -> None:
        now = asyncio.get_running_loop().time()
        for of_peer in list(self._by_peer.values()):
            for connection in list(of_peer):
                connection.check_time(now)
        self._timer = None
        if self._by_peer:
            self._check_later()
