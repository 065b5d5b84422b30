"""Candidates of several recommenders, ranked by trees that learned from what users did next: the default.

What users did last is held out, up to three windows, fewer where these have enough to learn from; members are fitted to
what came before; trees (LightGBM, LambdaRank: Burges 2010) learn to order the union of their best items by each
member's score and by what is known of the user, the item and the two together. The members' scores are among the
features: without them a ranker falls below the rule that it is meant to improve. The trees' order is drawn a little
towards the blend's, which costs nothing and helps new items most. Trees that know half of the users are judged on the
other half, next to the blend's weights. Unless they are better by a standard error, and where users took too few
candidates, the order is the blend's; where one member alone is better than that, it is that member's. Then the members
are fitted to everything. A fit costs up to four times the sum of its members', and one and a half times the trees.

Where the shop's plan is passed, lists are of the coming weeks, as a plan needs a cut at one time for everybody. Trees
with and without it are judged on all users of all windows, each half by trees that know the other: only if they are
better by a standard error, user by user, do promotions count. Otherwise the fit is the one without them. Where each
user's last time is held out after all, as it is asked for or too few were there before and after a cut, the plan is not
used.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Self, cast

import numpy as np
from scipy.special import ndtr

from patron.estimators.boosted_trees import FittedTrees, fit_trees, tree_parameters
from patron.estimators.multiple_tests import adjust_p_values
from patron.recommenders.best_items import Flags
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.combined.blend import (
    FittedBlend,
    HeldOutPairs,
    Weights,
    blend_scores,
    equal_weights,
    fit_members,
    fit_rater,
    members_for,
    weights_on,
)
from patron.recommenders.combined.candidates import Candidates, best_of_rows
from patron.recommenders.combined.pair_features import PairFacts
from patron.recommenders.holdouts import Asked, hold_out, infer_asked
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.promotions import Promotions
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.numbers import Numbers

MAX_USERS, MAX_PAIRS = 2_000, 100_000
"""Of each window; pairs that users did not take are thinned out to the share that this is of all."""
ENOUGH_HITS = 50_000
"""Pairs that users took; with so many no older window is learned from."""
MIN_HITS = 200
"""Pairs that users took; with fewer there are no trees."""
PARAMETERS = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 15,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "num_threads": 2,
}
SURE = 0.05
"""Level of the test by which a single member replaces the usual order."""
TINY = 1e-12
"""Standard error of a gain that is the same for everybody."""
BLEND_POWER, MIN_BLEND = 0.5, 1e-3
"""Of the blend's score in the score of a pair, and what is added to it so that its logarithm is finite."""
MAX_SCORE = 30.0
"""Scores beyond it are as good as it: their exponential stays finite."""
MIN_RANKED = 60
"""Candidates that trees order, of each user, or twice the length of the list; more did not change NDCG@10."""
MAX_ROWS = 50_000
"""Pairs whose features are held at a time."""


@dataclass(frozen=True, eq=False)
class FittedRanking(FittedBlend):
    """A blend whose order is that of trees, as LightGBM's text, and a little its own; without text its own alone."""

    facts: PairFacts
    trees: str

    @property
    def uses_promotions(self) -> bool:
        """Whether the shop's plan is part of the order: it was better with it, beyond noise."""
        return self.facts.promotions is not None

    @property
    def gives_candidates(self) -> Flags:
        """Every member where there are trees: they know the scores of all."""
        return np.ones(len(self.members), dtype=np.bool_) if self.trees else super().gives_candidates

    def fold_in(self, interactions: Any, at: Any = None, promotions: Any = None) -> Self:
        """As of any recommender, with what is planned `at` that time; by default what was planned at the fit.

        Promotions are a frame as for `LearnedRanking.fit`, and count where the fitted order uses them. Raises
        BadInteractions.
        """
        return super().fold_in(_with_promotions(interactions, promotions), at)

    def values(self, pairs: Candidates, users: Codes, k: int) -> Numbers:
        """Exponential of the trees' score of the best pairs by the blend, times a power of it; the others follow."""
        of_blend = super().values(pairs, users, k)
        if not self.trees:
            return of_blend
        ranked = best_of_rows(pairs.row, of_blend, max(MIN_RANKED, 2 * k))
        scores = of_blend * np.exp(-MAX_SCORE)
        scores[ranked] = np.exp(tree_scores(self.trees, pairs.where(ranked), users, self.facts, of_blend[ranked]))
        return scores

    def fold_rows(self, known: Interactions) -> Self:
        """The same members, weights and trees, with other users."""
        return replace(super().fold_rows(known), facts=self.facts.fold_rows(known))


@dataclass(frozen=True)
class LearnedRanking(Recommender):
    """Members' candidates in an order that trees learned."""

    rounds: int = 100
    leaves: int = 31
    learning_rate: float = 0.08
    windows: int = 3
    """How many holdouts are learned from, at most."""
    asked: Asked | None = None
    """What lists are for; None: the coming weeks where there is a plan, else as `holdouts.infer_asked`."""
    seed: int = 0
    """Which users and pairs these are, and the trees'."""

    name: ClassVar[str] = "learned_ranking"
    fitted: ClassVar[type[FittedRecommender]] = FittedRanking

    def fit(self, interactions: Any, promotions: Any = None) -> FittedRanking:
        """As any recommender; `promotions` is the shop's plan, a frame with item_id, starts and ends.

        It can have known_at (default: starts), kind, price_cut and reach (shares, 0 to 1). What was not known at a
        cutoff does not count there. Raises BadInteractions and NotEnoughData.
        """
        return cast("FittedRanking", super().fit(_with_promotions(interactions, promotions)))

    def fit_interactions(self, known: Interactions) -> FittedRanking:
        """Learn an order from holdouts, then fit the members to all rows."""
        rng = np.random.default_rng(self.seed)
        if known.promotions:
            known = replace(known, promotions=known.promotions.known_by(known.end_day))
        pairs = []
        facts = []
        days = None
        asked = self.asked or ("window" if known.promotions else infer_asked(known))
        learners = members_for(asked)
        for one in hold_out(known, self.windows, asked):
            days = one.days
            pairs.append(HeldOutPairs.of(one, learners, MAX_USERS, rng))
            facts.append(PairFacts.of(one.before, days))
            if _count_hits(pairs) >= ENOUGH_HITS:
                break
        weights, facts = self._choose_order(pairs, facts, rng) if pairs else (equal_weights(len(learners)), [])
        trees = self._fit_trees(TrainingRows.of(pairs, facts, rng)) if facts else ""
        if not (facts and facts[0].promotions):
            known = replace(known, promotions=None)
        members, rater = fit_members(known, learners), fit_rater(known)
        return FittedRanking(self, Catalogue.of(known), members, *weights, rater, PairFacts.of(known, days), trees)

    def _choose_order(
        self, pairs: list[HeldOutPairs], facts: list[PairFacts], rng: np.random.Generator
    ) -> tuple[Weights, list[PairFacts]]:
        """Weights of the members, and the facts by which trees order candidates better than these; else none.

        Each is judged on the half of the users that it does not know. A plan that is of no use is not among the facts.
        Where a single member is better than that, beyond noise, it orders alone.
        """
        is_first = [rng.random(len(pair.users)) < 1 / 2 for pair in pairs]
        known = [one.of_users(first) for one, first in zip(pairs, is_first, strict=True)]
        judged = pairs[0].of_users(~is_first[0])
        of_blend = blend_scores(judged.pairs, weights_on(known[0]))
        usual = judged.ndcg_by_user(of_blend)
        useful = self._useful_facts(pairs, facts, is_first, rng) if _count_hits(pairs) >= MIN_HITS else []
        if useful:
            trees = self._fit_trees(TrainingRows.of(known, useful, rng))
            of_trees = judged.ndcg_by_user(tree_scores(trees, judged.pairs, judged.users, useful[0], of_blend))
            is_better = is_above_noise(of_trees - usual)
            usual, useful = (of_trees, useful) if is_better else (usual, [])
        alone = choose_single_member(judged, usual)
        return (weights_on(pairs[0]), useful) if alone is None else (alone, [])

    def _useful_facts(
        self, pairs: list[HeldOutPairs], facts: list[PairFacts], is_first: list[Flags], rng: np.random.Generator
    ) -> list[PairFacts]:
        """The facts, without the shop's plan where that is of no use."""
        # why a copy: whether there is a plan must not change which pairs trees learn from
        is_useful = self._is_plan_useful(pairs, facts, is_first, deepcopy(rng))
        return facts if is_useful else [fact.without_promotions() for fact in facts]

    def _is_plan_useful(
        self, pairs: list[HeldOutPairs], facts: list[PairFacts], is_first: list[Flags], rng: np.random.Generator
    ) -> bool:
        """Whether trees that know the plan order candidates better, beyond noise: each half of the users by the other.

        Gains are small, so that all users of all windows are needed to see them.
        """
        if facts[0].promotions is None:
            return False
        past, gains = [fact.without_promotions() for fact in facts], []
        for chosen in (is_first, [~one for one in is_first]):
            known = [one.of_users(flags) for one, flags in zip(pairs, chosen, strict=True)]
            rows, weights = TrainingRows.of(known, facts, rng), weights_on(known[0])
            count = facts[0].promotions.feature_count
            with_plan, without = self._fit_trees(rows), self._fit_trees(rows.without_last(count))
            for one, flags, planned, unplanned in zip(pairs, chosen, facts, past, strict=True):
                judged = one.of_users(~flags)
                of_blend = blend_scores(judged.pairs, weights)
                gains.append(
                    judged.ndcg_by_user(tree_scores(with_plan, judged.pairs, judged.users, planned, of_blend))
                    - judged.ndcg_by_user(tree_scores(without, judged.pairs, judged.users, unplanned, of_blend))
                )
        return is_above_noise(np.concatenate(gains))

    def _fit_trees(self, rows: "TrainingRows") -> str:
        settings = {**tree_parameters(self), "seed": self.seed}
        return fit_trees(rows.matrix, rows.label, PARAMETERS | settings, rounds=self.rounds, group=rows.sizes).text


@lru_cache(maxsize=4)
def fitted_trees(text: str) -> FittedTrees:
    """Trees from LightGBM's text; the last ones are kept, since the same model answers for many histories."""
    return FittedTrees(text)


def tree_scores(trees: str, pairs: Candidates, users: Codes, facts: PairFacts, of_blend: Numbers) -> Numbers:
    """What trees say of each pair, and what the blend says; logarithms of scores."""
    fitted, raw = fitted_trees(trees), np.empty(len(pairs.row))
    for start in range(0, len(raw), MAX_ROWS):
        some = slice(start, start + MAX_ROWS)
        raw[some] = fitted.raw(features(pairs.where(some), users, facts))
    return np.clip(raw + BLEND_POWER * np.log(of_blend + MIN_BLEND), -MAX_SCORE, MAX_SCORE)


def features(pairs: Candidates, users: Codes, facts: PairFacts) -> Numbers:
    """One row per pair: shares of the members, and facts of the user, the item and the two together."""
    return np.column_stack([pairs.shares, facts.features(users[pairs.row], pairs.item)])


def _count_hits(pairs: list[HeldOutPairs]) -> int:
    return sum(int(pair.is_hit.sum()) for pair in pairs)


def _with_promotions(interactions: Any, promotions: Any) -> Interactions:
    known = interactions if isinstance(interactions, Interactions) else Interactions.of(interactions)
    if promotions is None:
        return known
    plan = promotions if isinstance(promotions, Promotions) else Promotions.of(promotions)
    return replace(known, promotions=plan)


def choose_single_member(judged: HeldOutPairs, usual: Numbers) -> Weights | None:
    """Weights of the one member whose order alone is better than the usual NDCG of these users, beyond noise.

    By a paired test of each member, adjusted for how many there are (Holm, 1979); None where none is.
    """
    gains = [judged.ndcg_by_user(shares) - usual for shares in judged.pairs.shares.T]
    if len(usual) < 2:
        return None
    errors = [max(float(gain.std(ddof=1)) / np.sqrt(len(gain)), TINY) for gain in gains]
    means = np.array([float(gain.mean()) for gain in gains])
    p_values = adjust_p_values(ndtr(-means / np.array(errors)))
    best = int(np.argmax(np.where(p_values < SURE, means, -np.inf)))
    if p_values[best] >= SURE:
        return None
    alone = np.eye(len(gains))[best]
    return Weights(alone, alone)


def is_above_noise(gain: Numbers) -> bool:
    """Whether the mean is above 0, by more than a standard error."""
    return len(gain) > 1 and float(gain.mean()) > float(gain.std(ddof=1) / np.sqrt(len(gain)))


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Pairs that trees learn from, by user."""

    matrix: Numbers
    """One row per pair: its features."""
    label: Numbers
    """1 where the user took the item."""
    sizes: Codes
    """How many rows each user has."""

    @classmethod
    def of(cls, pairs: list[HeldOutPairs], facts: list[PairFacts], rng: np.random.Generator) -> "TrainingRows":
        """All pairs that users took, and a sample of the others, of each holdout."""
        parts = [_sample(one, of_past, rng) for one, of_past in zip(pairs, facts, strict=True)]
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def without_last(self, count: int) -> "TrainingRows":
        """The same pairs without so many of the last features."""
        return replace(self, matrix=self.matrix[:, :-count])


def _sample(held_out: HeldOutPairs, facts: PairFacts, rng: np.random.Generator) -> tuple[Numbers, Numbers, Codes]:
    """Features, whether the user took the item, and how many rows each user has."""
    count = len(held_out.is_hit)
    kept = held_out.is_hit | (rng.random(count) < MAX_PAIRS / max(count, 1))
    pairs = held_out.pairs.where(kept)
    sizes = np.bincount(pairs.row, minlength=len(held_out.users))
    return features(pairs, held_out.users, facts), held_out.is_hit[kept].astype(np.float64), sizes[sizes > 0]
