"""LightGBM with small trees: many shallow steps, a share of the columns each, the same result every time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from patron.schema.numbers import Numbers
from patron.tabular.learners.learner import TriedAsItIs

if TYPE_CHECKING:
    import lightgbm as lgb

SAME_EVERY_TIME = {"deterministic": True, "force_row_wise": True, "verbose": -1, "num_threads": 1}


@dataclass(frozen=True, eq=False)
class FittedBoosting:
    """A fitted LightGBM model."""

    booster: "lgb.Booster"

    def predict(self, matrix: Numbers) -> Numbers:
        """Probability of a positive."""
        return np.asarray(self.booster.predict(matrix, num_threads=1), dtype=np.float64)


@dataclass(frozen=True)
class LightGBM(TriedAsItIs):
    """Boosted trees; the default settings are small, which loses little on any table and wins much on small ones."""

    rounds: int = 200
    leaves: int = 8
    learning_rate: float = 0.05
    fewest_in_leaf: int = 20
    leaf_penalty: float = 10.0
    share_of_features: float = 0.3

    name: ClassVar[str] = "lightgbm"
    complexity: ClassVar[int] = 7
    trials: ClassVar[int] = 6
    most_rows: ClassVar[int] = 1_000_000

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> FittedBoosting:  # noqa: ARG002 - the protocol's signature
        """Boost the trees."""
        import lightgbm as lgb  # noqa: PLC0415 - heavy, and not everybody compares with it

        parameters = {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": min(self.fewest_in_leaf, max(1, len(label) // 20)),
            "lambda_l2": self.leaf_penalty,
            "feature_fraction": self.share_of_features,
            "seed": seed,
            **SAME_EVERY_TIME,
        }
        data = lgb.Dataset(matrix, label, params={"max_bin": 127, **SAME_EVERY_TIME})
        return FittedBoosting(lgb.train(parameters, data, num_boost_round=self.rounds))

    def suggest(self, trial: Any) -> Self:
        """Vary how many trees there are, how large, and on how many columns."""
        return replace(
            self,
            rounds=trial.suggest_int("rounds", 60, 250, log=True),
            leaves=trial.suggest_int("leaves", 3, 16, log=True),
            fewest_in_leaf=trial.suggest_int("fewest_in_leaf", 5, 80, log=True),
            leaf_penalty=trial.suggest_float("leaf_penalty", 1.0, 30.0, log=True),
            share_of_features=trial.suggest_float("share_of_features", 0.2, 0.9),
        )
