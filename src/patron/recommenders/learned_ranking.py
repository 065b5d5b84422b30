"""Candidates of several recommenders, ranked by trees that learned from what users did next.

What users did last is held out, up to three windows; members are fitted to what came before; trees (LightGBM,
LambdaRank: Burges 2010) learn to order the union of their best items by each member's score and by what is known of the
user, the item and the two together. The members' scores are among the features: without them a ranker falls below the
rule that it is meant to improve. Then members are fitted to everything. A fit costs up to four times the sum of its
members', and the trees.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Scores
from patron.recommenders.blend import fit_members, pairs_of, some_users, taken
from patron.recommenders.candidates import Candidates, candidates_of
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.holdouts import Holdout, hold_out
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.learner import Fitted, Learner
from patron.recommenders.pair_features import PairFacts
from patron.schema.numbers import Numbers

if TYPE_CHECKING:
    import lightgbm as lgb

MOST_USERS, MOST_PAIRS = 2_000, 400_000
"""Of each window; pairs that users did not take are thinned out beyond this number."""
FEWEST_HITS = 200
"""With fewer the members count alike."""
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
FARTHEST = 30.0


@dataclass(frozen=True, eq=False)
class FittedRanking(Fitted):
    """Members, facts of the past, and trees as LightGBM's text; no text where there was too little to learn from."""

    members: tuple[Fitted, ...]
    facts: PairFacts
    trees: str

    def scores(self, users: Codes) -> Scores:
        """Exponential of the trees' score of each candidate; the mean share of the members without trees."""
        pairs = candidates_of(self.members, users, self.catalogue.history)
        shape = len(users), len(self.catalogue.items)
        return sp.csr_array((self._values(pairs, users), (pairs.row, pairs.item)), shape=shape)

    def similarities(self, items: Codes) -> Scores:
        """Those of the last member but one."""
        return self.members[-2].similarities(items)

    def _values(self, pairs: Candidates, users: Codes) -> Numbers:
        if not self.trees:
            return pairs.shares.mean(axis=1)
        raw = np.asarray(self._booster().predict(features(pairs, users, self.facts), raw_score=True))
        return np.exp(np.clip(raw, -FARTHEST, FARTHEST))

    def _booster(self) -> "lgb.Booster":
        import lightgbm as lgb  # noqa: PLC0415 - heavy: whoever ranks by other recommenders must not wait for it

        return lgb.Booster(model_str=self.trees)


@dataclass(frozen=True)
class LearnedRanking(Learner):
    """Members' candidates in an order that trees learned."""

    rounds: int = 150
    leaves: int = 31
    learning_rate: float = 0.05
    windows: int = 3
    """How many holdouts are learned from, at most."""
    seed: int = 0
    """Which users and pairs these are, and the trees'."""

    name: ClassVar[str] = "learned_ranking"
    fitted: ClassVar[type[Fitted]] = FittedRanking

    def fit_interactions(self, known: Interactions) -> FittedRanking:
        """Learn an order from holdouts, then fit the members to all rows."""
        rng = np.random.default_rng(self.seed)
        parts = [_training_rows(one, rng) for one in hold_out(known, self.windows)]
        trees = self._fit_trees(parts) if sum(int(hits.sum()) for _, hits, _ in parts) >= FEWEST_HITS else ""
        return FittedRanking(self, Catalogue.of(known), fit_members(known), PairFacts.of(known), trees)

    def _fit_trees(self, parts: list[tuple[Numbers, Numbers, Codes]]) -> str:
        import lightgbm as lgb  # noqa: PLC0415 - as above

        matrix, label, sizes = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        data = lgb.Dataset(matrix, label, group=sizes)
        own = {"num_leaves": self.leaves, "learning_rate": self.learning_rate, "seed": self.seed}
        return lgb.train(PARAMETERS | own, data, num_boost_round=self.rounds).model_to_string()


def features(pairs: Candidates, users: Codes, facts: PairFacts) -> Numbers:
    """One row per pair: shares of the members, and facts of the user, the item and the two together."""
    return np.column_stack([pairs.shares, facts.features(users[pairs.row], pairs.item)])


def _training_rows(held_out: Holdout, rng: np.random.Generator) -> tuple[Numbers, Numbers, Codes]:
    """Features, whether the user took the item, and how many rows each user has."""
    users = some_users(held_out.after, MOST_USERS, rng)
    pairs = pairs_of(fit_members(held_out.before), users, held_out.before)
    label = np.asarray(taken(held_out.after, users)[pairs.row, pairs.item], dtype=np.float64).ravel()
    kept = (label > 0) | (rng.random(len(label)) < MOST_PAIRS / max(len(label), 1))
    chosen = Candidates(pairs.row[kept], pairs.item[kept], pairs.is_repeat[kept], pairs.shares[kept])
    sizes = np.bincount(chosen.row, minlength=len(users))
    matrix = features(chosen, users, PairFacts.of(held_out.before))
    return matrix, label[kept], sizes[sizes > 0]
