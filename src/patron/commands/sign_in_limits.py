"""How often somebody may try to sign in: per account and address of the network, and each by itself.

Who tries too often waits for minutes, and nobody is locked out. An attacker elsewhere cannot keep a user from signing
in either: the limit of an account alone does not count at addresses from which its user signed in before.
"""

import hashlib
import ipaddress
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from patron.schema.errors import AccessProblem

AT_THE_ADDRESS = parse("5 per 5 minutes")
"""Attempts at one account from one address."""
OF_THE_ADDRESS = parse("60 per 5 minutes")
OF_THE_ACCOUNT = parse("20 per 5 minutes")
"""Attempts at one account from all addresses that are new to it."""
OF_CODES = parse("5 per 5 minutes")
"""Codes or passwords of one user who is partly signed in."""
OF_RESETS = parse("3 per 1 hour")
"""Letters to one address of e-mail."""
IPV6_NETWORK = 64
"""Bits of an address that a household or a server has."""


class SignInLimits:
    """Attempts of the last minutes, in the memory of one server."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count_attempt(self, email: str, address: str, *, is_known: bool) -> None:
        """Count an attempt to sign in. Raises AccessProblem (429) where there were too many."""
        account, network = _mark(email), _network(address)
        self._count(AT_THE_ADDRESS, "both", account, network)
        self._count(OF_THE_ADDRESS, "address", network)
        if not is_known:
            self._count(OF_THE_ACCOUNT, "account", account)

    def count_code(self, user_id: str) -> None:
        """Count a code or password of somebody who is partly signed in. Raises AccessProblem (429)."""
        self._count(OF_CODES, "code", user_id)

    def count_reset(self, email: str, address: str) -> None:
        """Count a request for a letter. Raises AccessProblem (429)."""
        self._count(OF_THE_ADDRESS, "address", _network(address))
        self._count(OF_RESETS, "reset", _mark(email))

    def forget_attempts(self, email: str, address: str) -> None:
        """Start over after a success."""
        self._limiter.clear(AT_THE_ADDRESS, "both", _mark(email), _network(address))

    def forget_codes(self, user_id: str) -> None:
        """Start over after a success."""
        self._limiter.clear(OF_CODES, "code", user_id)

    def _count(self, limit: RateLimitItem, *names: str) -> None:
        if not self._limiter.hit(limit, *names):
            until = self._limiter.get_window_stats(limit, *names).reset_time
            seconds = max(1, round(until - time.time()))
            todo = f"Try again in {seconds} seconds."
            raise AccessProblem(
                "too_many", "there were too many attempts", status=429, todo=todo, retry_seconds=seconds
            )


def _mark(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, IPV6_NETWORK), strict=False)) if ip.version == 6 else str(ip)
