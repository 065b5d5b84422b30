"""Several recommenders in one order, weighted by what users did last.

What users did last is held out, members are fitted to the rest, and the weights are chosen that rank the held-out items
best (forward selection, after the ensembles of Caruana et al. 2004). What a user had before and what is new to them are
two problems: each has weights of its own. Then the members that count are fitted to everything, so that a fit costs
twice the sum of its members'.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Flags, Scores
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.combined.blend_weights import Ranking, choose_weights
from patron.recommenders.combined.candidates import MAX_CANDIDATES, Candidates, candidates_in_batches, candidates_of
from patron.recommenders.combined.pair_features import value_of_pairs
from patron.recommenders.factors.als import ALS
from patron.recommenders.factors.matrix_factorisation import MatrixFactorisation
from patron.recommenders.holdouts import Asked, Holdout, hold_out, infer_asked
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.item_hazard import ItemHazard
from patron.recommenders.neighbours.co_visitation import CoVisitation
from patron.recommenders.neighbours.item_knn import ItemKNN
from patron.recommenders.neighbours.transition_mixture import TransitionMixture
from patron.recommenders.popularity.personal_frequency import PersonalFrequency
from patron.recommenders.popularity.recent_popularity import RecentPopularity
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.numbers import Numbers

MEMBERS: tuple[Recommender, ...] = (
    RecentPopularity(),
    PersonalFrequency(),
    ItemHazard(),
    ItemKNN(),
    CoVisitation(),
    ALS(factors=64, rounds=5),
)
"""What is blended; more factors and rounds cost three times as much, and gained nothing next to the others."""
MEMBERS_OF_NEXT: tuple[Recommender, ...] = (*MEMBERS, TransitionMixture())
"""What is blended where lists are of what comes next, which the order of rows says much of."""
MIN_SCALE = 1e-3
"""Repeats and new items keep so small a scale at least that they still follow the others in their own order."""
MAX_JUDGED = 3_000
"""Users whose held-out items choose the weights, at most."""


class Weights(NamedTuple):
    """What each member counts."""

    repeat: Numbers
    """For items that a user had before."""
    new: Numbers
    """For items that are new to the user."""


@dataclass(frozen=True, eq=False)
class FittedBlend(FittedRecommender):
    """Members and what each counts, for items that a user had before and for new ones."""

    members: tuple[FittedRecommender, ...]
    repeat_weights: Numbers
    new_weights: Numbers
    rater: FittedRecommender | None
    """Forecasts ratings, where weights differ."""

    def scores(self, users: Codes) -> Scores:
        """Weighted sum of the members' scores, each as a share of the user's best one."""
        return self.candidate_scores(users, np.ones(len(self.catalogue.items), dtype=np.bool_), MAX_CANDIDATES)

    def candidate_scores(self, users: Codes, allowed: Flags, k: int) -> Scores:
        """As `scores`, of the members' best allowed items."""
        members = [
            member
            for member, gives_candidates in zip(self.members, self.gives_candidates, strict=True)
            if gives_candidates
        ]
        pairs = candidates_of(members, users, self.catalogue.history, allowed, k)
        starts = np.searchsorted(pairs.row, np.arange(len(users) + 1))
        shape = len(users), len(self.catalogue.items)
        return sp.csr_array((self.values(pairs, users, k), pairs.item, starts), shape=shape)

    @property
    def gives_candidates(self) -> Flags:
        """Which members propose candidates: those with a weight."""
        return np.maximum(self.repeat_weights, self.new_weights) > 0

    def values(self, pairs: Candidates, users: Codes, k: int) -> Numbers:  # noqa: ARG002 - for orders that know users
        """Score of each pair, for lists of k items."""
        return blend_scores(
            pairs, Weights(self.repeat_weights[self.gives_candidates], self.new_weights[self.gives_candidates])
        )

    def similarities(self, items: Codes) -> Scores:
        """Those of item-KNN, where it is a member; else the cosine of their users."""
        of_items = next((member for member in self.members if isinstance(member.learner, ItemKNN)), None)
        return of_items.similarities(items) if of_items else super().similarities(items)

    def ratings(self, users: Codes, items: Codes) -> Numbers | None:
        """Those of matrix factorisation, where weights differ."""
        return self.rater.ratings(users, items) if self.rater else None

    def fold_rows(self, known: Interactions) -> Self:
        """The same members and weights, with other users."""
        members = tuple(member.fold_rows(known) for member in self.members)
        rater = self.rater.fold_rows(known) if self.rater else None
        return replace(self, catalogue=self.catalogue.fold_rows(known), members=members, rater=rater)


@dataclass(frozen=True)
class Blend(Recommender):
    """Members weighted by how well they rank what users did last."""

    asked: Asked | None = None
    """What lists are for; None: as `holdouts.infer_asked`."""
    seed: int = 0
    """Which users choose the weights, where there are more than are needed."""

    name: ClassVar[str] = "blend"
    fitted: ClassVar[type[FittedRecommender]] = FittedBlend

    def fit_interactions(self, known: Interactions) -> FittedBlend:
        """Choose weights on what users did last, then fit the members that count to all rows."""
        asked = self.asked or infer_asked(known)
        holdouts = hold_out(known, 1, asked)
        learners = members_for(asked)
        rng = np.random.default_rng(self.seed)
        weights = (
            weights_on(HeldOutPairs.of(holdouts[0], learners, MAX_JUDGED, rng))
            if holdouts
            else equal_weights(len(learners))
        )
        counts = np.maximum(weights.repeat, weights.new) > 0
        members = fit_members(known, [one for one, count in zip(learners, counts, strict=True) if count])
        return FittedBlend(
            self,
            Catalogue.of(known),
            members=members,
            repeat_weights=weights.repeat[counts],
            new_weights=weights.new[counts],
            rater=fit_rater(known),
        )


@dataclass(frozen=True, eq=False)
class HeldOutPairs:
    """Candidates of users whose last items are held out, by members that do not know these."""

    users: Codes
    pairs: Candidates
    is_hit: Flags
    """Whether the user took the item of each pair."""
    hit_count: Codes
    """Items that each user took, candidates or not."""
    new_hit_count: Codes
    """Those of them that were new to the user."""

    @classmethod
    def of(
        cls, held_out: Holdout, members: Sequence[Recommender], most_users: int, rng: np.random.Generator
    ) -> "HeldOutPairs":
        """Fit the members to what came before, for so many users at random at most; disliked items are no hits."""
        after = held_out.after.where(held_out.after.weight > 0)
        users = np.unique(after.user)
        if len(users) > most_users:
            users = np.sort(rng.choice(users, most_users, replace=False))
        history = held_out.before.matrix()
        hits = sp.csr_array(after.matrix()[users].sign())
        pairs = candidates_in_batches(fit_members(held_out.before, members), users, history)
        is_hit = value_of_pairs(hits, pairs.row, pairs.item) > 0
        new_hits = hits - hits.multiply(history[users].sign())
        counts = (np.asarray(one.sum(axis=1), dtype=np.int64) for one in (hits, new_hits))
        return cls(users, pairs, is_hit, *counts)

    def of_users(self, chosen: Flags) -> "HeldOutPairs":
        """Those of some of the users."""
        kept = chosen[self.pairs.row]
        pairs = self.pairs.where(kept)
        pairs = replace(pairs, row=(np.cumsum(chosen) - 1)[pairs.row])
        counts = self.hit_count[chosen], self.new_hit_count[chosen]
        return HeldOutPairs(self.users[chosen], pairs, self.is_hit[kept], *counts)

    def ndcg_by_user(self, scores: Numbers) -> Numbers:
        """NDCG@10 of the order by these scores, of each user who took something."""
        return Ranking(self.pairs.row, scores[:, None], self.is_hit, self.hit_count).ndcg_by_user(np.ones(1))


def blend_scores(pairs: Candidates, weights: Weights) -> Numbers:
    """Weighted sum of the shares of each pair."""
    return (pairs.shares * np.where(pairs.is_repeat[:, None], weights.repeat, weights.new)).sum(axis=1)


def members_for(asked: Asked) -> tuple[Recommender, ...]:
    """Members of a blend: those for what comes next, or for the coming weeks."""
    return MEMBERS_OF_NEXT if asked == "next" else MEMBERS


def fit_members(known: Interactions, members: Sequence[Recommender]) -> tuple[FittedRecommender, ...]:
    """Fit each member."""
    return tuple(one.fit_interactions(known) for one in members)


def fit_rater(known: Interactions) -> FittedRecommender | None:
    """A model that forecasts ratings; None where all weights are the same."""
    return MatrixFactorisation().fit_interactions(known) if np.ptp(known.weight) > 0 else None


def equal_weights(count: int) -> Weights:
    """The same weight for each of so many members."""
    return Weights(np.ones(count), np.ones(count))


def weights_on(held_out: HeldOutPairs) -> Weights:
    """Weights of new items, on new items alone; then those of repeats, together with the scale of the new ones."""
    pairs, is_hit = held_out.pairs, held_out.is_hit
    new = ~pairs.is_repeat
    new_weights = choose_weights(Ranking(pairs.row[new], pairs.shares[new], is_hit[new], held_out.new_hit_count))
    if not (is_hit & pairs.is_repeat).any():
        # why: where nobody takes an item again, new ones are first
        return Weights(new_weights * MIN_SCALE, new_weights)
    of_new = np.where(new, pairs.shares @ new_weights, 0.0)
    features = np.column_stack([pairs.shares * pairs.is_repeat[:, None], of_new])
    *repeat_weights, scale = choose_weights(Ranking(pairs.row, features, is_hit, held_out.hit_count))
    return Weights(np.array(repeat_weights), new_weights * max(scale, MIN_SCALE))
