"""How often somebody may try to sign in: per account and address of the network, and each by itself.

Who tries too often waits for minutes, and nobody is locked out. An attacker elsewhere cannot keep a user from signing
in either: the limit of an account alone does not count at addresses from which its user signed in before.
"""

import hashlib
import ipaddress
import math
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence

TRY_AGAIN_IN = Sentence("try_again_in", "Try again in {seconds} seconds.")
TOO_MANY_ATTEMPTS = Sentence("too_many_attempts", "there were too many attempts")


@dataclass(frozen=True)
class Limit:
    """Attempts that are allowed in any stretch of time of a length."""

    name: str
    count: int
    within: timedelta


AT_THE_ADDRESS = Limit("account at address", 5, timedelta(minutes=5))
"""Attempts at one account from one address."""
OF_THE_ADDRESS = Limit("address", 60, timedelta(minutes=5))
OF_THE_ACCOUNT = Limit("account", 20, timedelta(minutes=5))
"""Attempts at one account from all addresses that are new to it."""
OF_CODES = Limit("code", 5, timedelta(minutes=5))
"""Codes or passwords of one user who is partly signed in."""
OF_RESETS = Limit("reset", 3, timedelta(minutes=60))
"""Letters to one address of e-mail."""
OF_CONFIRMATIONS = Limit("confirmation", 3, timedelta(minutes=60))
"""Letters to one address of e-mail that ask somebody who signed in whether it is theirs."""
IPV6_NETWORK = 64
"""Bits of an address that a household or a server has."""
CLOCK_TOLERANCE = timedelta(minutes=1)
"""Times that are later than now by more are of a clock that was wrong."""
MAX_KEPT = 10_000
"""Accounts and addresses that are kept before those of before are looked for."""


class SignInLimits:
    """Attempts of the last minutes, in the memory of one server."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, ...], deque[datetime]] = {}
        self._lock = threading.Lock()

    def count_attempt(self, email: str, address: str, *, is_known: bool, now: datetime) -> None:
        """Count an attempt to sign in. Raises AccessProblem (429) where there were too many."""
        account, network = _mark(email), _network(address)
        self._count(OF_THE_ADDRESS, network, now=now)  # why first: what it refuses takes no memory
        self._count(AT_THE_ADDRESS, account, network, now=now)
        if not is_known:
            self._count(OF_THE_ACCOUNT, account, now=now)

    def count_address(self, address: str, *, now: datetime) -> None:
        """Count an attempt that names no account. Raises AccessProblem (429) where there were too many."""
        self._count(OF_THE_ADDRESS, _network(address), now=now)

    def count_code(self, user_id: str, *, now: datetime) -> None:
        """Count a code or password of somebody who is partly signed in. Raises AccessProblem (429)."""
        self._count(OF_CODES, user_id, now=now)

    def count_reset(self, email: str, address: str, *, now: datetime) -> None:
        """Count a request for a letter. Raises AccessProblem (429)."""
        self._count(OF_THE_ADDRESS, _network(address), now=now)
        self._count(OF_RESETS, _mark(email), now=now)

    def count_confirmation(self, email: str, *, now: datetime) -> None:
        """Count a letter that somebody who signed in lets be sent to an address. Raises AccessProblem (429)."""
        self._count(OF_CONFIRMATIONS, _mark(email), now=now)

    def forget_attempts(self, email: str, address: str) -> None:
        """Start over after a success."""
        self._forget(AT_THE_ADDRESS, _mark(email), _network(address))

    def forget_codes(self, user_id: str) -> None:
        """Start over after a success."""
        self._forget(OF_CODES, user_id)

    def _count(self, limit: Limit, *names: str, now: datetime) -> None:
        with self._lock:
            if len(self._attempts) > MAX_KEPT:
                self._drop_before(now - OF_RESETS.within)
            times = self._attempts.setdefault((limit.name, *names), deque())
            while times and times[0] <= now - limit.within:
                times.popleft()
            while times and times[-1] > now + CLOCK_TOLERANCE:  # why: the clock went back, and nobody waits for it
                times.pop()
            if len(times) < limit.count:
                times.append(now)
                return
            seconds = math.ceil((times[0] + limit.within - now).total_seconds())
        todo = TRY_AGAIN_IN(seconds=seconds)
        raise AccessProblem("too_many", TOO_MANY_ATTEMPTS, status=429, todo=todo, retry_seconds=seconds)

    def _forget(self, limit: Limit, *names: str) -> None:
        with self._lock:
            self._attempts.pop((limit.name, *names), None)

    def _drop_before(self, time: datetime) -> None:
        self._attempts = {names: times for names, times in self._attempts.items() if times and times[-1] > time}


def _mark(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, IPV6_NETWORK), strict=False)) if ip.version == 6 else str(ip)
