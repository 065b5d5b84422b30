"""LightGBM on person-periods: small trees added to the life table, calibrated on customers left out of a fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from patron.estimators.boosted_trees import FittedTrees, train, tree_parameters
from patron.estimators.calibration import Calibration
from patron.schema.numbers import Numbers
from patron.tabular.columns import Index
from patron.tabular.hazards.life_table import LifeTable
from patron.tabular.hazards.person_periods import PersonPeriods, uniforms
from patron.tabular.hazards.tree_contributions import TreeTable, contributions, tree_tables

if TYPE_CHECKING:
    import lightgbm as lgb

Matrix = npt.NDArray[np.float32]
SAME_EVERY_TIME = {"deterministic": True, "force_col_wise": True, "verbose": -1, "num_threads": 1}
"""One thread: where others are at work, two that wait for each other at every split take several times as long."""
ROWS_TO_BIN = 50_000
FOLDS = 3
ROWS_FOR_ONE_FOLD = 200_000
"""From this many person-periods on a third of the customers is left out once, and not each third in turn."""
ROWS_TO_CALIBRATE = 400_000
"""Of more person-periods, the rounds and the calibration come from customers who have about so many."""
MIN_EVENTS = 10
"""Of fewer events no calibration is learned."""
FEW_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class FittedHazardTrees:
    """Log-odds of the life table, plus those of trees times the slope of the calibration, plus its shift."""

    trees: FittedTrees = field(repr=False)
    start: LifeTable = field(repr=False)
    mean_start: float
    """Mean log-odds of the life table over the rows that were learned from."""
    calibration: Calibration

    kind: ClassVar[str] = "lightgbm"

    def hazard(self, matrix: Numbers | Matrix, periods: Index, ahead: Index | None) -> Numbers:
        """Probability of leaving in the period, 0 to 1, for each row."""
        values = _with_time(matrix, periods, ahead, self.start)
        return self.calibration.probability(self.trees.raw(values), self.start.smooth_log_odds(periods))

    def contributions(self, matrix: Numbers | Matrix, periods: Index, ahead: Index | None) -> tuple[Numbers, float]:
        """Exact Shapley values of the log-odds (TreeSHAP, Lundberg 2020), the last column time; and where they start.

        A row's values and the start add up to its log-odds.
        """
        values = _with_time(matrix, periods, ahead, self.start)
        if self._tables is None:
            parts, mean = self.trees.contributions_and_mean(values)
        else:
            parts, mean = contributions(self._tables, values)
        width = matrix.shape[1]
        parts = self.calibration.slope * np.column_stack([parts[:, :width], parts[:, width:].sum(axis=1)])
        parts[:, -1] += self.start.smooth_log_odds(periods) - self.mean_start
        return parts, self.calibration.slope * mean + self.calibration.shift + self.mean_start

    @cached_property
    def _tables(self) -> tuple[TreeTable, ...] | None:
        return tree_tables(self.trees.booster)

    def facts(self) -> Mapping[str, str]:
        """What a summary shows."""
        slope, shift = self.calibration.slope, self.calibration.shift
        return {"trees": f"{self.trees.booster.num_trees()}", "calibration": f"slope {slope:.3f}, shift {shift:+.3f}"}

    def effects(self, names: tuple[str, ...]) -> Mapping[str, list[Any]]:
        """Share of the gain of all splits, by column of the matrix."""
        gains = self.trees.booster.feature_importance("gain")
        columns = [*names, "period", "periods ahead"][: len(gains)]
        return {"column": columns, "gain_share": (gains / max(gains.sum(), 1e-12)).tolist()}


@dataclass(frozen=True)
class HazardTrees:
    """Boosted trees; as many rounds as serve customers who were left out."""

    rounds: int = 150
    leaves: int = 8
    learning_rate: float = 0.1
    fewest_in_leaf: int = 40
    leaf_penalty: float = 10.0
    share_of_features: float = 0.5
    bins: int = 63

    name: ClassVar[str] = "lightgbm"

    def fit(
        self, matrix: Matrix, rows: PersonPeriods, life_table: LifeTable, *, has_landmarks: bool, seed: int
    ) -> FittedHazardTrees:
        """Choose the rounds and calibrate on customers left out, then fit to all."""
        import lightgbm as lgb  # noqa: PLC0415 - heavy, and not everybody fits trees

        ahead = rows.ahead if has_landmarks else None
        values = _with_time(matrix[rows.rows], rows.periods, ahead, life_table)
        start = life_table.smooth_log_odds(rows.periods)
        parameters = self._parameters(len(rows.rows), seed)
        data = lgb.Dataset(values, rows.label, weight=rows.weight, init_score=start, params=parameters)
        data.construct()
        calibration, rounds = Calibration(), min(self.rounds, FEW_ROUNDS)
        if rows.label.sum() >= MIN_EVENTS:
            calibration, rounds = self._calibrate(data, values, rows, start, parameters=parameters, seed=seed)
        mean_start = float(np.average(start, weights=rows.weight))
        return FittedHazardTrees(train(parameters, data, rounds), life_table, mean_start, calibration)

    def _calibrate(
        self,
        data: "lgb.Dataset",
        values: Matrix,
        rows: PersonPeriods,
        start: Numbers,
        *,
        parameters: dict[str, Any],
        seed: int,
    ) -> tuple[Calibration, int]:
        """Calibration, and the rounds with the least log loss, on customers that a fit has not met."""
        import lightgbm as lgb  # noqa: PLC0415 - heavy, and not everybody fits trees

        fold = (uniforms(rows.units, seed) * FOLDS).astype(np.intp)
        if len(fold) > ROWS_TO_CALIBRATE:
            fold[uniforms(rows.units, seed + 1) >= ROWS_TO_CALIBRATE / len(fold)] = -1
        folds = range(FOLDS if len(fold) < ROWS_FOR_ONE_FOLD else 1)
        boosters = []
        losses = np.zeros(self.rounds)
        judged = []
        for one in folds:
            inside, outside = np.flatnonzero((fold != one) & (fold >= 0)), np.flatnonzero(fold == one)
            if not len(outside) or not rows.label[inside].any():
                continue
            curve: dict[str, Any] = {}
            booster = lgb.train(
                {**parameters, "metric": "binary_logloss"},
                data.subset(inside.tolist()),
                num_boost_round=self.rounds,
                valid_sets=[data.subset(outside.tolist())],
                valid_names=["outside"],
                callbacks=[lgb.record_evaluation(curve)],
            )
            losses += np.array(curve["outside"]["binary_logloss"]) * rows.weight[outside].sum()
            boosters.append(booster)
            judged.append(outside)
        if not boosters:
            return Calibration(), min(self.rounds, FEW_ROUNDS)
        rounds = int(np.argmin(losses)) + 1
        raw = [
            np.asarray(booster.predict(values[at], raw_score=True, num_iteration=rounds))
            for booster, at in zip(boosters, judged, strict=True)
        ]
        places = np.concatenate(judged)
        if rows.label[places].sum() < MIN_EVENTS:
            return Calibration(), rounds
        with threadpool_limits(1):  # why: sums must not depend on the machine
            fit = Calibration.fit(np.concatenate(raw), rows.label[places], rows.weight[places], offset=start[places])
        return fit, rounds

    def _parameters(self, row_count: int, seed: int) -> dict[str, Any]:
        return {
            **tree_parameters(self),
            "objective": "binary",
            "min_data_in_leaf": min(self.fewest_in_leaf, max(1, row_count // 20)),
            "seed": seed,
            "bin_construct_sample_cnt": ROWS_TO_BIN,
            **SAME_EVERY_TIME,
        }


def _with_time(matrix: Numbers | Matrix, periods: Index, ahead: Index | None, life_table: LifeTable) -> Matrix:
    """Features, then the number of the period (those hardly anybody reached are as the last one), then those ahead."""
    width = matrix.shape[1]
    values = np.empty((len(periods), width + 1 + (ahead is not None)), dtype=np.float32)
    values[:, :width] = matrix
    values[:, width] = np.minimum(periods, life_table.longest_period)
    if ahead is not None:
        values[:, width + 1] = ahead
    return values
