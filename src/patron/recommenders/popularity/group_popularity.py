"""Popularity within groups of customers, such as those of a channel or campaign, shrunk to that of the wider group.

What a group's customers buy are draws from its own shares of items, which are Dirichlet with the wider group's shares
as mean; the posterior mean is (count of the item in the group + strength x wider share) / (count + strength). The
strength of a level is the one with which each half of the customers forecasts the other half's purchases best: where
groups do not differ it is high, and their lists are those of everybody. Items of one customer are no independent draws,
so that the likelihood of all counts together would call noise a difference. A group of a few customers has the wider
group's list: its own would disclose what they buy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from patron.recommenders.ids import Codes
from patron.schema.numbers import Numbers

STRENGTHS = np.geomspace(1, 1e7, 36)
"""Purchases that the wider group's shares may count as."""
MIN_SHARE = 0.01
"""What is spread over all items evenly, as a share of all purchases: none is impossible."""
MIN_CUSTOMERS = 20
"""Customers with a purchase from which a group has counts of its own."""
BOTH = (0, 1)


@dataclass(frozen=True, eq=False)
class GroupPopularity:
    """Counts of items by group, from wide to narrow groups."""

    everybody: Numbers
    """How often each half of all customers bought each item (halves x items)."""
    strengths: tuple[float, ...]
    """Of each level."""
    groups: dict[tuple[int, ...], tuple[Codes, Numbers]]
    """Items of each group, by its path, and how often each half of its customers bought them (halves x items)."""

    @classmethod
    def fit(cls, customer: Codes, item: Codes, levels: Sequence[Codes], item_count: int) -> Self:
        """Count rows (a customer bought an item), each pair once.

        `levels` are the numbers of each row's groups, from wide to narrow, -1 where they are not known; a group is
        known by its whole path.
        """
        rows = np.unique(np.column_stack([customer, item, *levels]), axis=0)
        customer = rows[:, 0]
        item = rows[:, 1]
        paths = rows[:, 2:]
        fitted = cls(_by_half(customer, item, item_count), (), {})
        for depth in range(1, paths.shape[1] + 1):
            is_known = (paths[:, :depth] >= 0).all(axis=1)
            fitted = fitted._with_level(paths[is_known, :depth], customer[is_known], item[is_known])
        return fitted

    def shares(self, path: Sequence[int] = (), halves: Sequence[int] = BOTH) -> Numbers:
        """Share of purchases of each item in a group, or in the narrowest known group around it; adds up to 1."""
        counts = self.everybody[list(halves)].sum(axis=0)
        shares = counts + MIN_SHARE * max(counts.sum(), 1.0) / max(len(counts), 1)
        shares /= shares.sum()
        for depth, strength in enumerate(self.strengths, start=1):
            group = self.groups.get(tuple(path[:depth]))
            if len(path) < depth or group is None:
                break
            items, counts = group[0], group[1][list(halves)].sum(axis=0)
            shares = shares * (strength / (strength + counts.sum()))
            shares[items] += counts / (strength + counts.sum())
        return shares

    def _with_level(self, path: np.ndarray, customer: Codes, item: Codes) -> Self:
        """The same with the groups of one more level that have enough customers."""
        is_large = _customers_of_group(path, customer) >= MIN_CUSTOMERS
        path, customer, item = path[is_large], customer[is_large], item[is_large]
        paths, group = np.unique(path, axis=0, return_inverse=True)
        item_count = self.everybody.shape[1]
        pairs, place = np.unique(group * item_count + item, return_inverse=True)
        of_group, of_item = np.divmod(pairs, max(item_count, 1))
        counts = _by_half(customer, place, len(pairs))
        ends = np.searchsorted(of_group, np.arange(len(paths) + 1))
        spans = {tuple(one): slice(ends[at], ends[at + 1]) for at, one in enumerate(paths.tolist())}
        wider = np.empty(counts.shape)
        for one, span in spans.items():
            for half in BOTH:
                wider[half, span] = self.shares(one[:-1], [half])[of_item[span]]
        strength = _best_strength(of_group, counts, wider)
        added = {one: (of_item[span], counts[:, span]) for one, span in spans.items()}
        return type(self)(self.everybody, (*self.strengths, strength), self.groups | added)


def _customers_of_group(path: np.ndarray, customer: Codes) -> Codes:
    """How many customers the group of each row has."""
    _, group = np.unique(path, axis=0, return_inverse=True)
    pairs = np.unique(np.column_stack([group, customer]), axis=0)
    return np.bincount(pairs[:, 0], minlength=1)[group]


def _by_half(customer: Codes, place: Codes, count: int) -> Numbers:
    """Rows at each place of either half of the customers."""
    halves = [np.bincount(place[customer % 2 == half], minlength=count) for half in BOTH]
    return np.array(halves, dtype=np.float64)


def _best_strength(group: Codes, counts: Numbers, wider: Numbers) -> float:
    """The strength with which each half of the customers forecasts the other half's purchases best.

    `counts` of each half and pair of a group and an item; `wider` is the item's share in the wider group by that half.
    """
    likelihood = np.zeros(len(STRENGTHS))
    for known, share, other in zip(counts, wider, counts[::-1], strict=True):
        total = np.bincount(group, known, minlength=1)[group]
        for at, strength in enumerate(STRENGTHS):
            likelihood[at] += other @ np.log((known + strength * share) / (total + strength))
    return float(STRENGTHS[len(STRENGTHS) - 1 - np.argmax(likelihood[::-1])])
