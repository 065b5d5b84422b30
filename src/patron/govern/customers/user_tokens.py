"""User tokens of customers and back, as the last run has them: in memory, as a page needs many of a million."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from patron.govern.vault import PREFIXES
from patron.schema.errors import NoRunYet
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot

USER = f"{PREFIXES['user_id']}_"
MAX_TOKENS = 20
"""Users of one customer that are looked at: a customer merged from more is a fault of the data."""


@dataclass(frozen=True, eq=False)
class UserTokens:
    """Pairs of customer and user token in order of the customers' ids, and where each token is."""

    customer_ids: np.ndarray
    """As bytes, ascending."""
    tokens: np.ndarray
    """As bytes."""
    by_token: np.ndarray
    """Places of the pairs, in order of their tokens."""

    def of_customers(self, customer_ids: Iterable[str]) -> dict[str, list[str]]:
        """User tokens of customers, the first known first; unknown customers are left out."""
        tokens: dict[str, list[str]] = {}
        for customer_id in customer_ids:
            wanted = np.bytes_(customer_id.encode())
            start, end = (int(np.searchsorted(self.customer_ids, wanted, side)) for side in ("left", "right"))
            if start < end:
                tokens[customer_id] = [token.decode() for token in self.tokens[start : min(end, start + MAX_TOKENS)]]
        return tokens

    def customers(self, tokens: Iterable[str]) -> dict[str, str]:
        """Customer of each user token; unknown tokens are left out."""
        customers: dict[str, str] = {}
        for token in tokens:
            wanted = np.bytes_(token.encode())
            place = int(np.searchsorted(self.tokens, wanted, sorter=self.by_token))
            if place < len(self.tokens) and self.tokens[self.by_token[place]] == wanted:
                customers[token] = self.customer_ids[self.by_token[place]].decode()
        return customers


_KNOWN: WeakKeyDictionary[Shop, tuple[object, UserTokens]] = WeakKeyDictionary()
_LOCKS: WeakKeyDictionary[Shop, threading.Lock] = WeakKeyDictionary()
_LOCK = threading.Lock()


def known_user_tokens(shop: Shop) -> UserTokens:
    """Pairs as the last run left them, read once a run; before any run, as they are now."""
    view = run_or_none(shop) or shop.newest_snapshot()
    version = (view.run.run_id, view.table_version("identities"))
    with _LOCK:
        lock = _LOCKS.setdefault(shop, threading.Lock())
    with lock:  # many may ask at once, one reads
        known = _KNOWN.get(shop)
        if known is None or known[0] != version:
            known = _KNOWN[shop] = (version, _read(view))
        return known[1]


def run_or_none(shop: Shop) -> Snapshot | None:
    """The last completed run; None before any."""
    try:
        return last_run(shop)
    except NoRunYet:
        return None


def _read(view: Snapshot) -> UserTokens:
    rows = view.query(
        f"select customer_id, token from identities where is_user and starts_with(token, '{USER}')"
        " order by customer_id, known_at, token"
    )
    customer_ids, tokens = (rows[name].to_numpy().astype(np.bytes_) for name in ("customer_id", "token"))
    return UserTokens(customer_ids, tokens, np.argsort(tokens, kind="stable").astype(np.int32))
