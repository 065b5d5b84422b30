"""Value in two stages: whether somebody buys, times what those who buy spend (Groupon's, KDD 2016; ZILN, Wang 2019)."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
from scipy.special import expit

from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.estimators.learner import Learner, forecasts
from patron.estimators.saving import Saved
from patron.predict.feature_matrix import Design
from patron.predict.value.boosted_value import LATER
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.predict.value.training_matrix import TrainingMatrix, cap_of, with_history
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers

FEWEST_BUYERS = 50
NEARLY_SURE = 7.0
"""Log-odds of 999 in 1,000."""
LARGEST_VARIANCE = 4.0
"""Of the logarithm of spend: ZILN's mean grows with exp of half of it, and blows up on few buyers."""


@dataclass(frozen=True)
class FittedStages(Saved, file="stages.json"):
    """Two boosted models: the log-odds to buy, and the logarithm of spend of those who do."""

    design: Design
    models: OrdersAndSpend | None
    """What buying history says next to the features; None for people without one."""
    buys: FittedTrees
    spends: FittedTrees
    cap_cents: float
    """Nobody is forecast to spend more than this."""
    log_factor: float
    """What is added to the logarithm, so that buyers' spend is right on the mean."""
    log_odds: float
    """What is added to the log-odds to buy: a shop where everybody bought has nothing for trees to tell apart."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        rows = _with_history(table, self.models)
        return forecasts(self.forecast(rows, self.design.matrix(rows)))

    def forecast(self, rows: pa.Table, matrix: Numbers) -> Numbers:  # noqa: ARG002 - as of the other models
        """The forecast of rows `with_history`, cents; `matrix` is the design's of them."""
        spend = np.exp(np.minimum(self.spends.raw(matrix) + self.log_factor, np.log(self.cap_cents)))
        return self._probability(matrix) * spend

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast; of the log-odds, what is left of them where nearly all buy."""
        matrix = self.design.matrix(_with_history(table, self.models))
        rest = 1 - self._probability(matrix)
        return self.design.names, rest[:, None] * self.buys.contributions(matrix) + self.spends.contributions(matrix)

    def _probability(self, matrix: Numbers) -> Numbers:
        return expit(self.buys.raw(matrix) + self.log_odds)


@dataclass(frozen=True)
class TwoStage(Learner):
    """P(buy) times spend given buy, both boosted on all features and what Pareto/NBD says, cents."""

    trees: Trees = field(default_factory=Trees)
    cap_quantile: float = 0.99
    """Labels above this quantile of buyers' count as its value."""

    name: ClassVar[str] = "two_stage"
    complexity: ClassVar[int] = 5
    fitted: ClassVar[type] = FittedStages

    def fit(self, table: pa.Table) -> FittedStages:
        """Fit to the rows whose label is known; spend with a gamma loss. Raises NotEnoughData."""
        return self.fit_matrix(TrainingMatrix.of(table))

    def fit_matrix(self, training: TrainingMatrix) -> FittedStages:
        """Fit to a matrix. Raises NotEnoughData."""
        return fit_stages(training, self.trees, self.cap_quantile, is_lognormal=False)


@dataclass(frozen=True)
class ZeroInflatedLogNormal(Learner):
    """P(buy) times a log-normal spend, with the loss of ZILN, whose parts are boosted one by one, cents.

    Its likelihood is that of buying times that of the logarithm of spend, so both are maximised apart. Where the paper
    has a deviation for each customer, there is one for all: with few buyers a mean of its own blows up.
    """

    trees: Trees = field(default_factory=Trees)
    cap_quantile: float = 0.99

    name: ClassVar[str] = "ziln"
    complexity: ClassVar[int] = 6
    fitted: ClassVar[type] = FittedStages

    def fit(self, table: pa.Table) -> FittedStages:
        """Fit to the rows whose label is known. Raises NotEnoughData."""
        return self.fit_matrix(TrainingMatrix.of(table))

    def fit_matrix(self, training: TrainingMatrix, buys: FittedTrees | None = None) -> FittedStages:
        """Fit to a matrix; `buys` is the first stage where the same trees are fitted already. Raises NotEnoughData."""
        return fit_stages(training, self.trees, self.cap_quantile, is_lognormal=True, buys=buys)


def fit_stages(
    training: TrainingMatrix, trees: Trees, cap_quantile: float, *, is_lognormal: bool, buys: FittedTrees | None = None
) -> FittedStages:
    """Fit both stages, or only the second where `buys` is fitted already. Raises NotEnoughData."""
    label = training.label
    buyers = np.flatnonzero(label > 0)
    if len(buyers) < FEWEST_BUYERS:
        raise NotEnoughData(
            f"{len(buyers)} bought after the cutoffs to learn from, and {FEWEST_BUYERS} are needed",
            where="training",
            todo=LATER,
        )
    cap = cap_of(label, cap_quantile)
    spent = np.minimum(label[buyers], cap)
    log_odds = NEARLY_SURE if len(buyers) == len(label) else 0.0
    start = np.full(len(label), log_odds) if log_odds else None
    if buys is None:
        buys = trees.fit(training.binned, (label > 0).astype(float), {"objective": "binary"}, start=start)
    if is_lognormal:
        spends = trees.fit(training.binned, np.log(spent), {"objective": "l2"}, rows=buyers)
        residual = np.log(spent) - spends.raw(training.matrix[buyers])
        log_factor = min(float(residual.var()), LARGEST_VARIANCE) / 2
    else:
        log_factor = float(np.log(spent.mean()))
        spends = trees.fit(training.binned, spent / np.exp(log_factor), {"objective": "gamma"}, rows=buyers)
    return FittedStages(training.design, training.models, buys, spends, cap, log_factor, log_odds)


def _with_history(table: pa.Table, models: OrdersAndSpend | None) -> pa.Table:
    """Features, with what the models of buying history expect where there are any."""
    return table if models is None else with_history(table, models)
