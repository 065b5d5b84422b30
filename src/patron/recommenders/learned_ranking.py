"""Candidates of several recommenders, ranked by trees that learned from what users did next: the default.

What users did last is held out, up to three windows, fewer where these have enough to learn from; members are fitted to
what came before; trees (LightGBM, LambdaRank: Burges 2010) learn to order the union of their best items by each
member's score and by what is known of the user, the item and the two together. The members' scores are among the
features: without them a ranker falls below the rule that it is meant to improve. The trees' order is drawn a little
towards the blend's, which costs nothing and helps new items most. Trees that know half of the users are judged on the
other half, next to the blend's weights. Unless they are better by a standard error, and where users took too few
candidates, the order is the blend's. Then the members are fitted to everything. A fit costs up to four times the sum of
its members', and one and a half times the trees.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from patron.recommenders.blend import (
    FittedBlend,
    HeldOutPairs,
    blend_scores,
    equal_weights,
    fit_members,
    fit_rater,
    weights_on,
)
from patron.recommenders.candidates import Candidates
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.holdouts import hold_out
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.learner import Fitted, Learner
from patron.recommenders.pair_features import PairFacts
from patron.schema.numbers import Numbers

if TYPE_CHECKING:
    import lightgbm as lgb

MOST_USERS, MOST_PAIRS = 2_000, 100_000
"""Of each window; pairs that users did not take are thinned out to the share that this is of all."""
ENOUGH_HITS = 50_000
"""Pairs that users took; with so many no older window is learned from."""
FEWEST_HITS = 200
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
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbose": -1,
}
BLEND_POWER, LEAST_BLEND = 0.5, 1e-3
"""Of the blend's score in the score of a pair, and what is added to it so that its logarithm is finite."""
FARTHEST = 30.0
"""Scores beyond it are as good as it: their exponential stays finite."""


@dataclass(frozen=True, eq=False)
class FittedRanking(FittedBlend):
    """A blend whose order is that of trees, as LightGBM's text, and a little its own; without text its own alone."""

    facts: PairFacts
    trees: str

    def values(self, pairs: Candidates, users: Codes) -> Numbers:
        """Exponential of the trees' score of each pair, times a power of the blend's."""
        of_blend = super().values(pairs, users)
        return np.exp(tree_scores(self.trees, pairs, users, self.facts, of_blend)) if self.trees else of_blend

    def fold_rows(self, known: Interactions) -> Self:
        """The same members, weights and trees, with other users."""
        return replace(super().fold_rows(known), facts=self.facts.fold_rows(known))


@dataclass(frozen=True)
class LearnedRanking(Learner):
    """Members' candidates in an order that trees learned."""

    rounds: int = 100
    leaves: int = 31
    learning_rate: float = 0.08
    windows: int = 3
    """How many holdouts are learned from, at most."""
    seed: int = 0
    """Which users and pairs these are, and the trees'."""

    name: ClassVar[str] = "learned_ranking"
    fitted: ClassVar[type[Fitted]] = FittedRanking

    def fit_interactions(self, known: Interactions) -> FittedRanking:
        """Learn an order from holdouts, then fit the members to all rows."""
        rng = np.random.default_rng(self.seed)
        pairs, facts = [], []
        for one in hold_out(known, self.windows):
            pairs.append(HeldOutPairs.of(one, MOST_USERS, rng))
            facts.append(PairFacts.of(one.before))
            if _count_hits(pairs) >= ENOUGH_HITS:
                break
        weights = weights_on(pairs[0]) if pairs else equal_weights()
        are_better = _count_hits(pairs) >= FEWEST_HITS and self._are_better(pairs, facts, rng)
        trees = self._fit_trees(pairs, facts, rng) if are_better else ""
        members, rater = fit_members(known), fit_rater(known)
        return FittedRanking(self, Catalogue.of(known), members, *weights, rater, PairFacts.of(known), trees)

    def _are_better(self, pairs: list[HeldOutPairs], facts: list[PairFacts], rng: np.random.Generator) -> bool:
        """Whether trees that know half of the users order the others' candidates better than weights, beyond noise."""
        is_first = [rng.random(len(one.users)) < 1 / 2 for one in pairs]
        known = [one.of_users(first) for one, first in zip(pairs, is_first, strict=True)]
        judged = pairs[0].of_users(~is_first[0])
        trees, of_blend = self._fit_trees(known, facts, rng), blend_scores(judged.pairs, weights_on(known[0]))
        of_trees = tree_scores(trees, judged.pairs, judged.users, facts[0], of_blend)
        gain = judged.ndcg_by_user(of_trees) - judged.ndcg_by_user(of_blend)
        return len(gain) > 1 and float(gain.mean()) > float(gain.std(ddof=1) / np.sqrt(len(gain)))

    def _fit_trees(self, pairs: list[HeldOutPairs], facts: list[PairFacts], rng: np.random.Generator) -> str:
        import lightgbm as lgb  # noqa: PLC0415 - heavy: whoever ranks by other recommenders must not wait for it

        parts = [_training_rows(one, of_past, rng) for one, of_past in zip(pairs, facts, strict=True)]
        matrix, label, sizes = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        data = lgb.Dataset(matrix, label, group=sizes)
        settings = {"num_leaves": self.leaves, "learning_rate": self.learning_rate, "seed": self.seed}
        return lgb.train(PARAMETERS | settings, data, num_boost_round=self.rounds).model_to_string()


@lru_cache(maxsize=4)
def booster(trees: str) -> "lgb.Booster":
    """Trees from LightGBM's text; the last ones are kept, since the same model answers for many histories."""
    import lightgbm as lgb  # noqa: PLC0415 - as above

    return lgb.Booster(model_str=trees)


def tree_scores(trees: str, pairs: Candidates, users: Codes, facts: PairFacts, of_blend: Numbers) -> Numbers:
    """What trees say of each pair, and what the blend says; logarithms of scores."""
    raw = np.asarray(booster(trees).predict(features(pairs, users, facts), raw_score=True, num_threads=1))
    return np.clip(raw + BLEND_POWER * np.log(of_blend + LEAST_BLEND), -FARTHEST, FARTHEST)


def features(pairs: Candidates, users: Codes, facts: PairFacts) -> Numbers:
    """One row per pair: shares of the members, and facts of the user, the item and the two together."""
    return np.column_stack([pairs.shares, facts.features(users[pairs.row], pairs.item)])


def _count_hits(pairs: list[HeldOutPairs]) -> int:
    return sum(int(one.is_hit.sum()) for one in pairs)


def _training_rows(
    held_out: HeldOutPairs, facts: PairFacts, rng: np.random.Generator
) -> tuple[Numbers, Numbers, Codes]:
    """Features, whether the user took the item, and how many rows each user has."""
    count = len(held_out.is_hit)
    kept = held_out.is_hit | (rng.random(count) < MOST_PAIRS / max(count, 1))
    pairs = held_out.pairs.where(kept)
    sizes = np.bincount(pairs.row, minlength=len(held_out.users))
    return features(pairs, held_out.users, facts), held_out.is_hit[kept].astype(np.float64), sizes[sizes > 0]
