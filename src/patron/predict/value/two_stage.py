"""Value of prospects in two stages: P(buy) times the spend of buyers, both boosted (Vanderveld et al., KDD 2016)."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import expit

from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.estimators.learner import forecasts
from patron.estimators.saving import Saved
from patron.predict.feature_matrix import Design
from patron.predict.value.training_matrix import TrainingMatrix, cap_of
from patron.schema.numbers import Numbers

NEARLY_SURE = 7.0
"""Log-odds of 999 in 1,000."""


@dataclass(frozen=True)
class FittedStages(Saved, file="stages.json"):
    """Two boosted models: the log-odds to buy, and the logarithm of spend of those who do."""

    design: Design
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
        matrix = self.design.matrix(table)
        spend = np.exp(np.minimum(self.spends.raw(matrix) + self.log_factor, np.log(self.cap_cents)))
        return forecasts(self._probability(matrix) * spend)

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast; of the log-odds, what is left of them where nearly all buy."""
        matrix = self.design.matrix(table)
        rest = 1 - self._probability(matrix)
        return self.design.names, rest[:, None] * self.buys.contributions(matrix) + self.spends.contributions(matrix)

    def _probability(self, matrix: Numbers) -> Numbers:
        return expit(self.buys.raw(matrix) + self.log_odds)


def fit_stages(training: TrainingMatrix, trees: Trees, cap_quantile: float) -> FittedStages:
    """Fit both stages, spend with a gamma loss. Raises NotEnoughData."""
    label, buyers = training.label, training.buyers
    cap = cap_of(label, cap_quantile)
    spent = np.minimum(label[buyers], cap)
    log_odds = NEARLY_SURE if len(buyers) == len(label) else 0.0
    start = np.full(len(label), log_odds) if log_odds else None
    buys = trees.fit(training.binned, (label > 0).astype(float), {"objective": "binary"}, start=start)
    log_factor = float(np.log(spent.mean()))
    spends = trees.fit(training.binned, spent / np.exp(log_factor), {"objective": "gamma"}, rows=buyers)
    return FittedStages(training.design, buys, spends, cap, log_factor, log_odds)
