"""Models of the probability of an order later in the visit: a linear one and small trees, both calibrated.

Their tables have FEATURES, `label` (1 where an order came later in the visit), `weight`, and the start of the visit,
`started_at`, by which they are cut in time. No learner looks at ids.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.clickstream.design import Design
from patron.clickstream.features import NUMBERS, Row
from patron.clickstream.rates import BaseRate, RateByCartAndViews, RateByEventCount, RateByLastEvent
from patron.clickstream.training_rows import STARTED_AT, forecasts, outcomes
from patron.schema.errors import NotEnoughData
from patron.schema.json_files import read_json, write_json
from patron.schema.models.calibration import Calibration
from patron.schema.numbers import Numbers

if TYPE_CHECKING:
    import lightgbm as lgb

SAVED, WEIGHTS, TREES = "order_model.json", "weights.npz", "trees.txt"
CALIBRATED_SHARE = 0.25
"""The newest share of the rows, by the start of their visits, that the calibration is learned from."""
FARTHEST = 5.0
"""Standardised columns are kept within this many standard deviations."""
SAME_EVERY_TIME = {"deterministic": True, "force_row_wise": True, "seed": 1, "verbose": -1, "num_threads": 1}


@dataclass(frozen=True, eq=False)
class FittedLogistic:
    """Weights of standardised, log-scaled numbers and of sequences of event types."""

    design: Design
    middle: Numbers
    spread: Numbers
    weights: Numbers
    intercept: float
    calibration: Calibration = field(default_factory=Calibration)

    def log_odds(self, matrix: Numbers) -> Numbers:
        """Log-odds before calibration, of rows of the design's matrix."""
        # why not `@`: BLAS sums in an order that depends on how many rows there are, and one must equal many
        return (_standardise(matrix, self.middle, self.spread) * self.weights).sum(axis=1) + self.intercept

    def predict(self, table: pa.Table) -> pa.Table:
        """Probability of an order later in the visit, 0 to 1, one `forecast` per row."""
        return forecasts(self.calibration.probability(self.log_odds(self.design.matrix(table))))

    def probability(self, row: Row) -> float:
        """The same of one row as `features_after` gives it."""
        return float(self.calibration.probability(self.log_odds(self.design.vector(row)))[0])

    def save(self, folder: Path) -> None:
        """Write weights as npz and the rest as JSON."""
        np.savez(folder / WEIGHTS, middle=self.middle, spread=self.spread, weights=self.weights)
        content = {"design": self.design.saved(), "intercept": self.intercept, "calibration": self.calibration.saved()}
        write_json(folder / SAVED, content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        saved = read_json(folder / SAVED)
        with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in ("middle", "spread", "weights")}
        calibration = Calibration(**saved["calibration"])
        return cls(Design.restored(saved["design"]), **parts, intercept=saved["intercept"], calibration=calibration)


@dataclass(frozen=True)
class LogisticOrder:
    """Logistic regression on counts, times and the last one, two and three event types, calibrated."""

    inverse_penalty: float = 0.05
    """scikit-learn's C: smaller shrinks more."""
    iterations: int = 200

    name: ClassVar[str] = "logistic"
    is_baseline: ClassVar[bool] = False
    complexity: ClassVar[int] = 3
    exemptions: ClassVar[Mapping[str, str]] = {}
    fitted: ClassVar[type] = FittedLogistic

    def fit(self, table: pa.Table) -> FittedLogistic:
        """Fit to labelled rows. Raises NotEnoughData."""
        return _calibrated(table, self._fit)

    def _fit(self, rows: pa.Table) -> FittedLogistic:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - heavy: who only predicts must not wait

        label, weight = outcomes(rows)
        design = Design.of(rows)
        matrix = design.matrix(rows)
        middle, spread = _middle_and_spread(_log_scaled(matrix))
        model = LogisticRegression(C=self.inverse_penalty, max_iter=self.iterations, tol=1e-3)
        model.fit(_standardise(matrix, middle, spread), label, sample_weight=weight)
        return FittedLogistic(design, middle, spread, np.ravel(model.coef_), float(np.ravel(model.intercept_)[0]))


@dataclass(frozen=True)
class FittedBoosted:
    """Trees for log-odds, then calibration."""

    design: Design
    text: str = field(repr=False)
    """The trees as LightGBM writes them."""
    calibration: Calibration = field(default_factory=Calibration)
    booster: "lgb.Booster" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the booster from its text, so that a saved model predicts the same bits."""
        import lightgbm as lgb  # noqa: PLC0415 - heavy, as scikit-learn

        object.__setattr__(self, "booster", lgb.Booster(model_str=self.text))

    def log_odds(self, matrix: Numbers) -> Numbers:
        """Log-odds before calibration, of rows of the design's matrix."""
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)

    def predict(self, table: pa.Table) -> pa.Table:
        """Probability of an order later in the visit, 0 to 1, one `forecast` per row."""
        return forecasts(self.calibration.probability(self.log_odds(self.design.matrix(table))))

    def probability(self, row: Row) -> float:
        """The same of one row as `features_after` gives it."""
        return float(self.calibration.probability(self.log_odds(self.design.vector(row)))[0])

    def save(self, folder: Path) -> None:
        """Write the trees as LightGBM's text and the rest as JSON."""
        (folder / TREES).write_text(self.text, encoding="utf-8")
        write_json(folder / SAVED, {"design": self.design.saved(), "calibration": self.calibration.saved()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        saved = read_json(folder / SAVED)
        text = (folder / TREES).read_text(encoding="utf-8")
        return cls(Design.restored(saved["design"]), text, Calibration(**saved["calibration"]))


@dataclass(frozen=True)
class BoostedOrder:
    """LightGBM on the same columns, small trees, calibrated."""

    rounds: int = 100
    leaves: int = 8
    learning_rate: float = 0.06
    fewest_in_leaf: int = 80
    leaf_penalty: float = 10.0
    """L2 penalty on leaf values."""

    name: ClassVar[str] = "boosted_order"
    is_baseline: ClassVar[bool] = False
    complexity: ClassVar[int] = 4
    exemptions: ClassVar[Mapping[str, str]] = {}
    fitted: ClassVar[type] = FittedBoosted

    def fit(self, table: pa.Table) -> FittedBoosted:
        """Fit to labelled rows. Raises NotEnoughData."""
        return _calibrated(table, self._fit)

    def _fit(self, rows: pa.Table) -> FittedBoosted:
        import lightgbm as lgb  # noqa: PLC0415 - heavy

        label, weight = outcomes(rows)
        design = Design.of(rows)
        settings = {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.fewest_in_leaf,
            "lambda_l2": self.leaf_penalty,
            "feature_fraction": 0.6,
            "max_bin": 63,
            **SAME_EVERY_TIME,
        }
        data = lgb.Dataset(design.matrix(rows), label, weight=weight, params=settings)
        booster = lgb.train(settings, data, num_boost_round=self.rounds)
        return FittedBoosted(design, booster.model_to_string())


FittedOrder = TypeVar("FittedOrder", FittedLogistic, FittedBoosted)


def _calibrated(table: pa.Table, fit: Callable[[pa.Table], FittedOrder]) -> FittedOrder:
    """The model of all rows, calibrated by how one of the earlier visits did on the newest; unchanged with too few."""
    started = table[STARTED_AT].to_numpy()
    cut = np.quantile(started, 1 - CALIBRATED_SHARE)
    is_new = pa.array(started >= cut)
    earlier, newest = table.filter(pc.invert(is_new)), table.filter(is_new)
    whole = fit(table)
    try:
        label, weight = outcomes(newest)
        past = fit(earlier)
    except NotEnoughData:
        return whole
    log_odds = past.log_odds(past.design.matrix(newest))
    return replace(whole, calibration=Calibration.fit(log_odds, label, weight))


def _standardise(matrix: Numbers, middle: Numbers, spread: Numbers) -> Numbers:
    """Standardised logarithms; what is unknown has the column's mean, 0."""
    scaled = (_log_scaled(matrix) - middle) / spread
    return np.clip(np.where(np.isnan(scaled), 0.0, scaled), -FARTHEST, FARTHEST)


def _middle_and_spread(matrix: Numbers) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of what is known in each column, (0, 1) where nothing is; a spread of 0 is 1."""
    known = ~np.isnan(matrix)
    count = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, matrix, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (matrix - middle) ** 2, 0.0).sum(axis=0) / count)
    return middle, np.where(spread > 0, spread, 1.0)


def _log_scaled(matrix: Numbers) -> Numbers:
    """Logarithm of one more than the numbers, which are counts and times, never below zero; sequences are 0 or 1."""
    numbers = np.log1p(np.maximum(matrix[:, : len(NUMBERS)], 0.0))
    return np.hstack([numbers, matrix[:, len(NUMBERS) :]])


LEARNERS = (
    BaseRate(),
    RateByEventCount(),
    RateByCartAndViews(),
    RateByLastEvent(),
    LogisticOrder(),
    BoostedOrder(),
)
