"""Long-term value as an outcome of a short experiment: a surrogate index (Athey, Chetty, Imbens and Kang 2019)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from patron.estimators.saving import SavedFile
from patron.experiments.arm_moments import Moments
from patron.experiments.effect_tests import WelchTest
from patron.experiments.experiment_table import read_arms, read_covariates, read_numbers, read_table
from patron.experiments.result_rows import ResultRows
from patron.schema.errors import BadExperiment, NotEnoughData
from patron.schema.json_files import read_json
from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class LongTermRow:
    """Effect of one arm on the long-term outcome, in its unit, with its 95 % interval."""

    arm: Any
    effect: float
    low: float
    high: float
    p_value: float
    """Two-sided, that there is no effect."""
    standard_error: float
    """Of the experiment and of the history together."""


@dataclass(frozen=True)
class LongTermEffects(ResultRows[LongTermRow]):
    """One row per arm, in their order."""

    rows: tuple[LongTermRow, ...]


@dataclass(frozen=True)
class SurrogateIndex:
    """The long-term outcome that short-term outcomes (surrogates) let expect, by least squares."""

    surrogates: tuple[str, ...]
    """Columns of the history and of the experiment: what is known some weeks after the start, and before it."""

    def fit(self, history: Any, *, outcome: str) -> "FittedSurrogateIndex":
        """Learn from customers whose long-term outcome is known, one row each. Raises BadExperiment, NotEnoughData."""
        rows = read_table(history)
        columns = np.column_stack([np.ones(rows.num_rows), *read_covariates(rows, self.surrogates)])
        values = read_numbers(rows, outcome)
        count, width = columns.shape
        if count <= width:
            raise NotEnoughData(f"{count} customers for {width - 1} surrogates", where="history")
        scale = np.abs(columns).max(axis=0)
        inverse = np.linalg.pinv((columns / scale).T @ (columns / scale)) / np.outer(scale, scale)
        slopes = inverse @ (columns.T @ values)
        residual = values - columns @ slopes
        meat = (columns * residual[:, None] ** 2).T @ columns * count / (count - width)
        spread = float(((values - values.mean()) ** 2).sum())
        explained = 1 - float(residual @ residual) / spread if spread else 0.0
        return FittedSurrogateIndex(self.surrogates, outcome, slopes, inverse @ meat @ inverse, count, explained)


@dataclass(frozen=True, eq=False)
class FittedSurrogateIndex(SavedFile):
    """An index and how sure its weights are."""

    surrogates: tuple[str, ...]
    outcome: str
    slopes: Numbers
    """Intercept, and outcome per unit of each surrogate."""
    covariance: Numbers
    """Of the slopes, robust to unequal variances (White 1980)."""
    customers: int
    """Of the history."""
    share_explained: float
    """Share of the long-term outcome's variance in the history that the index explains, 0 to 1."""

    kind: ClassVar[str] = "surrogate index"

    def predict(self, table: Any) -> Numbers:
        """Expected long-term outcome of each row, in its unit. Raises BadExperiment, NotEnoughData."""
        rows = read_table(table)
        return (
            self.slopes[0] + np.column_stack([read_numbers(rows, name) for name in self.surrogates]) @ self.slopes[1:]
        )

    def effects(self, table: Any, *, group: str, control: Any) -> LongTermEffects:
        """Effects of an experiment's arms on the long-term outcome, from its surrogates: one row per customer.

        They hold if arms change the outcome only through the surrogates, and if the outcome follows them as it did in
        the history. Intervals know the errors of both samples, and nothing of a breach. Raises BadExperiment,
        NotEnoughData.
        """
        rows = read_table(table)
        arms = read_arms(rows, group, control)
        moments = Moments.of(arms.code, len(arms.names), tuple(read_numbers(rows, one) for one in self.surrogates))
        results = []
        for place, arm in enumerate(arms.names[1:], 1):
            distance = moments.mean[place] - moments.mean[0]
            variances = [moments.variance_along(one, self.slopes[1:]) / moments.count[one] for one in (0, place)]
            of_history = float(distance @ self.covariance[1:, 1:] @ distance)
            counts = [moments.count[0], moments.count[place], self.customers - len(self.surrogates)]
            test = WelchTest.of(float(distance @ self.slopes[1:]), [*variances, of_history], counts)
            results.append(LongTermRow(arm, test.effect, *test.ends(), test.p_value, test.standard_error))
        return LongTermEffects(tuple(results))

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote. Raises BadExperiment."""
        saved = read_json(Path(path))
        if saved.get("kind") != cls.kind:
            raise BadExperiment("this is not a saved surrogate index", where=str(path))
        return cls.from_dict(saved)
