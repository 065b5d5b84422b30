"""Several recommenders in one order, weighted by what users did last.

What users did last is held out, members are fitted to the rest, and the weights are chosen that rank the held-out items
best (forward selection, after the ensembles of Caruana et al. 2004). What a user had before and what is new to them are
two problems: each has weights of its own. Then the members that count are fitted to everything, so that a fit costs
twice the sum of its members'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Scores
from patron.recommenders.blend_weights import Ranking, choose_weights
from patron.recommenders.candidates import Candidates, candidates_of
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.co_visitation import CoVisitation
from patron.recommenders.ease import EASE
from patron.recommenders.holdouts import hold_out
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.item_hazard import ItemHazard
from patron.recommenders.item_knn import ItemKNN
from patron.recommenders.learner import Fitted, Learner, batches
from patron.recommenders.personal_frequency import PersonalFrequency
from patron.recommenders.recent_popularity import RecentPopularity
from patron.schema.numbers import Numbers

MEMBERS: tuple[type[Learner], ...] = (
    RecentPopularity,
    PersonalFrequency,
    ItemHazard,
    ItemKNN,
    CoVisitation,
    EASE,
)
"""What is blended, each with its default settings."""
LEAST_SCALE = 1e-3
"""New items keep so small a scale at least that they still follow repeats in their own order."""
MOST_JUDGED = 3_000
"""Users whose held-out items choose the weights, at most."""


@dataclass(frozen=True, eq=False)
class FittedBlend(Fitted):
    """Members and what each counts, for items that a user had before and for new ones."""

    members: tuple[Fitted, ...]
    repeat_weights: Numbers
    new_weights: Numbers

    def scores(self, users: Codes) -> Scores:
        """Weighted sum of the members' scores, each as a share of its best candidate's."""
        pairs = candidates_of(self.members, users, self.catalogue.history)
        weights = np.where(pairs.is_repeat[:, None], self.repeat_weights, self.new_weights)
        shape = len(users), len(self.catalogue.items)
        return sp.csr_array(((pairs.shares * weights).sum(axis=1), (pairs.row, pairs.item)), shape=shape)

    def similarities(self, items: Codes) -> Scores:
        """Those of the member that counts most for what is new to a user."""
        return self.members[int(np.argmax(self.new_weights))].similarities(items)


@dataclass(frozen=True)
class Blend(Learner):
    """Members weighted by how well they rank what users did last."""

    seed: int = 0
    """Which users choose the weights, where there are more than are needed."""

    name: ClassVar[str] = "blend"
    fitted: ClassVar[type[Fitted]] = FittedBlend

    def fit_interactions(self, known: Interactions) -> FittedBlend:
        """Choose weights on what users did last, then fit the members that count to all rows."""
        repeat_weights, new_weights = self._choose(known)
        counts = np.maximum(repeat_weights, new_weights) > 0
        members = (kind() for kind, does_count in zip(MEMBERS, counts, strict=True) if does_count)
        fitted = tuple(member.fit_interactions(known) for member in members)
        return FittedBlend(self, Catalogue.of(known), fitted, repeat_weights[counts], new_weights[counts])

    def _choose(self, known: Interactions) -> tuple[Numbers, Numbers]:
        """Weights of repeats, and of new items."""
        holdouts = hold_out(known, most=1)
        if not holdouts:
            return np.ones(len(MEMBERS)), np.ones(len(MEMBERS))
        before, after = holdouts[0].before, holdouts[0].after
        judged = some_users(after, MOST_JUDGED, np.random.default_rng(self.seed))
        members = fit_members(before)
        return weights_of_heads(pairs_of(members, judged, before), taken(after, judged), before.matrix()[judged])


def fit_members(known: Interactions) -> tuple[Fitted, ...]:
    """Every member with its default settings."""
    return tuple(kind().fit_interactions(known) for kind in MEMBERS)


def some_users(after: Interactions, most: int, rng: np.random.Generator) -> Codes:
    """Users with a row, so many of them at random at most, in order."""
    users = np.unique(after.user)
    return users if len(users) <= most else np.sort(rng.choice(users, most, replace=False))


def pairs_of(members: Sequence[Fitted], users: Codes, before: Interactions) -> Candidates:
    """Candidates of all members for these users, some users at a time."""
    history, parts, rows = before.matrix(), [], 0
    for batch in batches(users, len(before.items) * len(members)):
        part = candidates_of(members, batch, history)
        parts.append((part.row + rows, part.item, part.is_repeat, part.shares))
        rows += len(batch)
    return Candidates(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def taken(after: Interactions, users: Codes) -> sp.csr_array:
    """Users x items, 1 where a user took the item."""
    return sp.csr_array(after.matrix()[users].sign())


def weights_of_heads(pairs: Candidates, truth: sp.csr_array, history: sp.csr_array) -> tuple[Numbers, Numbers]:
    """Weights of repeats, and of new items: these first, on new items alone; then those together with their scale."""
    is_hit = np.asarray(truth[pairs.row, pairs.item]).ravel() > 0
    new = ~pairs.is_repeat
    new_count = np.asarray((truth - truth.multiply(history.sign())).sum(axis=1), dtype=np.int64)
    count = np.asarray(truth.sum(axis=1), dtype=np.int64)
    new_weights = choose_weights(Ranking(pairs.row[new], pairs.shares[new], is_hit[new], new_count))
    if not (is_hit & pairs.is_repeat).any():
        return new_weights, new_weights
    of_new = np.where(new, pairs.shares @ new_weights, 0.0)
    features = np.column_stack([pairs.shares * pairs.is_repeat[:, None], of_new])
    *repeat_weights, scale = choose_weights(Ranking(pairs.row, features, is_hit, count))
    return np.array(repeat_weights), new_weights * max(scale, LEAST_SCALE)
