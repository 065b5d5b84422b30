"""A mixture of what may come next in a sequence: what is near, what follows, what the user had, what is popular.

    p(b) = a x mean over the last rows of P(b | near the item of that row)         neighbours
         + sum over steps k of t_k P(b | the item k rows back, k rows later)      transitions
         + sum over spans s of o_s x share of b among the user's rows in s        the user's own past
         + e P(b)                                                                popularity

The shares a, t, o and e add up to 1, and are those under which users' last rows are most likely (expectation
maximisation: Dempster, Laird and Rubin, 1977), by neighbours and transitions that do not know these rows. Transitions
over several steps are mixed as by Raftery (1985); neighbours and popularity are what is left where nothing is known to
follow. A pair of rows counts 0.5^(days between / half_life_days). Rows of one time count in the order in which they
came.

Cost: twice that of `CoVisitation`, and histories x parts; memory: items x neighbours, and rows x steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Flags
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.neighbours.co_visitation import CoVisitation, Sequences
from patron.recommenders.neighbours.neighbours import MAX_HALVINGS, FittedProfiles
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

SPANS = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, 1_000))
"""Rows back, first and last, among which a user's items count alike; older rows do not count."""
MAX_POPULAR = 2_000
"""Most popular items that everybody is scored on."""
MAX_JUDGED = 10_000
"""Users whose last rows choose the shares, at most."""
ROUNDS = 200
"""Of expectation maximisation."""
PRIOR_ROWS = 1.0
"""Rows that each part is taken to explain beforehand, so that a few held-out rows do not decide."""


@dataclass(frozen=True, eq=False)
class FittedTransitionMixture(FittedProfiles):
    """Users' histories by part, each weighted by its share, times what the parts say comes next.

    `neighbours` has one row per item for what is near, for each transition and for the item itself, one part below the
    other; the last row is popularity.
    """

    learner: "TransitionMixture"
    shares: Numbers
    """Share of each part: near, transitions by step, the user's past by span, popularity."""

    def fold_rows(self, known: Interactions) -> Self:
        """The same mixture of what other users had."""
        profiles = self.learner.weighted_histories(known, self.shares)
        return replace(self, catalogue=self.catalogue.fold_rows(known), profiles=profiles)


@dataclass(frozen=True)
class TransitionMixture(Recommender):
    """What comes next in a sequence: what is near and what follows, the user's own past, what is popular."""

    steps: int = 3
    """How many rows back the mixture looks for what leads to the next item."""
    window: int = 10
    """Rows around a row whose items are near to its item."""
    step_decay: float = 0.9
    """How much a further row counts for what is near, of the row before it; 0 to 1."""
    half_life_days: float = 30.0
    """Time between two rows, and age of a row that makes popular, after which they count half, days."""
    neighbours: int = 200
    """Items that are kept as near to each item."""
    held_out_rows: int = 3
    """Last rows of each user that choose the shares; at most half of the user's."""
    seed: int = 0
    """Which users choose the shares, where there are more than are needed."""

    name: ClassVar[str] = "transition_mixture"
    fitted: ClassVar[type[FittedRecommender]] = FittedTransitionMixture

    def fit_interactions(self, known: Interactions) -> FittedTransitionMixture:
        """Choose the shares on users' last rows, then count what is near and what follows in all rows."""
        parts = MixtureParts.of(known, self)
        shares = self._choose_shares(known)
        profiles = self.weighted_histories(known, shares)
        return FittedTransitionMixture(self, Catalogue.of(known), profiles, parts.as_one_matrix(), shares)

    def weighted_histories(self, known: Interactions, shares: Numbers) -> sp.csr_array:
        """Users x rows of `as_one_matrix`: items of each history, times the share of the part that looks at them."""
        rows = Sequences.of(known, {})
        counts = np.bincount(rows.user, minlength=len(known.users))
        ends = np.cumsum(counts)
        histories = self._histories_by_part(rows, ends - counts, ends, known)
        weighted = [share * history for share, history in zip(shares[:-1], histories, strict=True)]
        of_pairs, of_past = weighted[: self.steps + 1], weighted[self.steps + 1 :]
        popular = sp.csr_array(np.full((len(known.users), 1), shares[-1]))
        return sp.csr_array(sp.hstack([*of_pairs, sum(of_past[1:], of_past[0]), popular]))

    def _histories_by_part(
        self, rows: Sequences, first: Codes, end: Codes, known: Interactions
    ) -> Iterator[sp.csr_array]:
        """Histories x items, for each part but popularity: what it looks at in rows `first` to `end`; sums of 1."""
        length = np.minimum(end - first, SPANS[-1][1])
        history = np.repeat(np.arange(len(first)), length)
        back = np.arange(1, len(history) + 1) - np.repeat(np.cumsum(length) - length, length)
        item, shape = rows.item[end[history] - back], (len(first), len(known.items))
        for start, last, decay in (
            (1, self.window, self.step_decay),
            *((step, step, 1.0) for step in range(1, self.steps + 1)),
            *((*span, 1.0) for span in SPANS),
        ):
            places = np.flatnonzero((back >= start) & (back <= last))
            values = decay ** (back[places] - float(start))
            yield as_shares(sp.csr_array((values, (history[places], item[places])), shape=shape))

    def _choose_shares(self, known: Interactions) -> Numbers:
        """Shares under which users' last rows are most likely, by parts that do not know these rows."""
        order = np.argsort(known.user, kind="stable")
        known = replace(known.where(order[known.weight[order] > 0]), as_of=known.end_day)
        rows = Sequences.of(known, {})
        rows_left = rows.end - np.arange(len(known))
        is_held_out = rows_left <= np.minimum(self.held_out_rows, (rows.end - rows.first) // 2)
        users = np.unique(rows.user[is_held_out])
        if len(users) > MAX_JUDGED:
            users = np.random.default_rng(self.seed).choice(users, MAX_JUDGED, replace=False)
            is_held_out &= np.isin(rows.user, users)
        held_out = np.flatnonzero(is_held_out)
        if not len(held_out):
            count = 2 + self.steps + len(SPANS)
            return np.full(count, 1 / count)
        parts = MixtureParts.of(known.where(~is_held_out), self)
        target = rows.item[held_out]
        histories = self._histories_by_part(rows, rows.first[held_out], held_out, known)
        return most_likely_shares(
            np.column_stack(
                [
                    *(likelihoods(one, part, target) for one, part in zip(histories, parts.in_order(), strict=True)),
                    parts.popularity[target],
                ]
            )
        )


@dataclass(frozen=True, eq=False)
class MixtureParts:
    """What comes next after an item, by each part; rows add up to 1, or are empty."""

    near: sp.csr_array
    transitions: tuple[sp.csr_array, ...]
    """One step back, two steps back, and so on."""
    popularity: Numbers
    """Share of each item."""

    @classmethod
    def of(cls, known: Interactions, learner: TransitionMixture) -> Self:
        """Count pairs of rows."""
        near = CoVisitation(
            learner.neighbours,
            steps=learner.window,
            step_decay=learner.step_decay,
            half_life_days=learner.half_life_days,
            backward=1.0,
            popularity_discount=0.0,
        )
        rows, count = Sequences.of(known, {}), len(known.items)
        ages = np.minimum((known.end_day - rows.day) / learner.half_life_days, MAX_HALVINGS)
        popularity = np.bincount(rows.item, rows.weight * 0.5**ages, minlength=count)
        return cls(
            as_shares(near.fit_interactions(known).neighbours),
            tuple(
                as_shares(count_transitions(rows, step, learner.half_life_days, count))
                for step in range(1, learner.steps + 1)
            ),
            popularity / max(popularity.sum(), np.finfo(float).tiny),
        )

    @property
    def identity(self) -> sp.csr_array:
        """Each item leads to itself: what users come back to."""
        return sp.csr_array(sp.eye_array(len(self.popularity)))

    def in_order(self) -> list[sp.csr_array]:
        """Parts in the order of the shares, without popularity."""
        return [self.near, *self.transitions, *[self.identity] * len(SPANS)]

    def as_one_matrix(self) -> sp.csr_array:
        """All parts, one below the other; the last row is the popularity of the most popular items."""
        popular = np.sort(np.argsort(-self.popularity, kind="stable")[:MAX_POPULAR])
        row = np.zeros(len(popular), dtype=np.int64)
        last = sp.csr_array((self.popularity[popular], (row, popular)), shape=(1, len(self.popularity)))
        return sp.csr_array(sp.vstack([self.near, *self.transitions, self.identity, last]))


def count_transitions(rows: Sequences, step: int, half_life_days: float, items: int) -> sp.csr_array:
    """Items x items: how often each item came so many rows after each, discounted by the time between."""
    start = np.flatnonzero(rows.user[:-step] == rows.user[step:])
    halvings = np.minimum((rows.day[start + step] - rows.day[start]) / half_life_days, MAX_HALVINGS)
    values = rows.weight[start + step] * 0.5**halvings
    return sp.csr_array((values, (rows.item[start], rows.item[start + step])), shape=(items, items))


def as_shares(matrix: sp.csr_array) -> sp.csr_array:
    """Each row divided by its sum; empty rows stay empty."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return sp.csr_array(sp.diags_array(1 / np.where(sums > 0, sums, 1.0)) @ matrix)


def likelihoods(histories: sp.csr_array, part: sp.csr_array, target: Codes) -> Numbers:
    """Probability that a part gave to the item that came next, of each history."""
    part = part.sorted_indices()
    of_histories, of_part = ((one.indptr, one.indices, one.data) for one in (histories, part))
    return _likelihoods(of_histories, of_part, target)


@kernel(nogil=True)
def _likelihoods(histories, part, target):  # noqa: ANN001, ANN202
    """SciPy would copy the column of every target, and popular items have long ones."""
    starts, places, values = histories
    of_starts, of_places, of_values = part
    sums = np.zeros(len(target))
    for row in range(len(target)):
        for place in range(starts[row], starts[row + 1]):
            first, end = of_starts[places[place]], of_starts[places[place] + 1]
            at = first + np.searchsorted(of_places[first:end], target[row])
            if at < end and of_places[at] == target[row]:
                sums[row] += values[place] * of_values[at]
    return sums


def most_likely_shares(likelihoods_of_parts: Numbers) -> Numbers:
    """Shares of the parts under which what came is most likely; rows that no part expected do not count."""
    is_expected: Flags = likelihoods_of_parts.sum(axis=1) > 0
    expected, count = likelihoods_of_parts[is_expected], likelihoods_of_parts.shape[1]
    shares = np.full(count, 1 / count)
    for _ in range(ROUNDS):
        explained = expected * shares
        explained /= explained.sum(axis=1, keepdims=True)
        shares = explained.sum(axis=0) + PRIOR_ROWS
        shares /= shares.sum()
    return shares
