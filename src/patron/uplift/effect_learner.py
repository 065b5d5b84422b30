"""What every learner of effects does: reads a table, fits, and gets intervals."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from patron.estimators.learner import Learner
from patron.schema.numbers import Numbers
from patron.uplift.base_learners import BaseLearner, Other, base_learner
from patron.uplift.cross_fitting import Folds, fit_mean
from patron.uplift.effect_model import EffectModel
from patron.uplift.feature_encoding import FeatureEncoding
from patron.uplift.fitted_uplift import FittedUplift
from patron.uplift.linear_model import Linear
from patron.uplift.propensities import Propensities, propensities
from patron.uplift.trial import Trial, arm_name, as_table, feature_names

REPLICATES = 30
MAX_REPLICATE_ROWS = 50_000
"""Fits on half of the rows, at most so many, whose spread gives intervals to learners without an error of their own."""
UNBALANCED = 6.0
"""Standard errors between arms from which on a column of a randomised trial looks like a consequence of the arm."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A trial as arrays."""

    matrix: Numbers
    """Encoded features."""
    names: tuple[str, ...]
    """What each column of the matrix holds."""
    trial: Trial
    chances: Propensities
    seed: int

    def take(self, rows: npt.NDArray[Any], seed: int) -> "Problem":
        """Some of the rows."""
        chances = Propensities(self.chances.values[rows], self.chances.is_known, ())
        return Problem(self.matrix[rows], self.names, trial=self.trial.take(rows), chances=chances, seed=seed)

    def arm_models(self, base: BaseLearner) -> tuple[Any, ...]:
        """A model of the outcome for each arm."""
        is_binary = self.trial.kind == "binary"
        parts = [self.trial.arm == at for at in range(len(self.trial.arms))]
        return tuple(
            fit_mean(base, self.matrix[rows], self.trial.outcome[rows], is_binary=is_binary, seed=self.seed)
            for rows in parts
        )


@dataclass(frozen=True)
class EffectLearner(Learner, ABC):
    """Settings of a learner of effects."""

    name: ClassVar[str]
    is_orthogonal: ClassVar[bool] = False
    """Whether errors of its last models are those of the effects: errors of the first ones cancel (orthogonality)."""

    @abstractmethod
    def fit_effects(self, problem: Problem) -> EffectModel:
        """Fit on arrays."""

    def fit(  # noqa: PLR0913 - what a trial is
        self,
        table: Any,
        *,
        treatment: str,
        control: Any = 0,
        outcome: str,
        features: Iterable[str] | None = None,
        propensity: Any = None,
        seed: int = 0,
    ) -> FittedUplift:
        """Learn what each offer changes for whom, from customers who got it and customers of the control.

        Args:
            table: One row per customer: pandas, Polars, DuckDB, Arrow, columns by name.
            treatment: Column with the arm of each row.
            control: The arm without an offer.
            outcome: Column with 0/1, a count or money.
            features: Columns known before the offer; None: all others.
            propensity: None to estimate it, {arm: p}, a column's name or an array (`propensities`).
            seed: Of folds and replicates.

        Raises BadTrial, NotEnoughData.
        """
        rows = as_table(table)
        trial = Trial.of_table(rows, treatment, control, outcome)
        without = [treatment, outcome, *([propensity] if isinstance(propensity, str) else [])]
        names = feature_names(rows, features, without)
        encoding = FeatureEncoding.of(rows, names)
        matrix = encoding.matrix(rows)
        base = _nuisance_base(self)
        folds = Folds.of(trial.arm, seed)
        chances = propensities(propensity, trial, rows, matrix, base=base, folds=folds)
        problem = Problem(matrix, encoding.names, trial=trial, chances=chances, seed=seed)
        model = self.fit_effects(problem)
        response = fit_mean(base, matrix, trial.outcome, is_binary=trial.kind == "binary", seed=seed)
        return FittedUplift(
            learner=self.name,
            arms=trial.arms,
            kind=trial.kind,
            encoding=encoding,
            model=model,
            **self._replicates(problem, model),
            response_model=response,
            propensity=_reusable(propensity),
            findings=(*chances.findings, *_balance_findings(problem)),
        )

    def _replicates(self, problem: Problem, model: EffectModel) -> dict[str, Any]:
        """Models of parts of the rows, and the scale of their spread; none where the model knows its errors."""
        if self.is_orthogonal and model.knows_errors:
            return {"replicates": (), "scale": 0.0}
        count = len(problem.matrix)
        share = min(0.5, MAX_REPLICATE_ROWS / count)
        models = []
        for seeds in np.random.SeedSequence(problem.seed).spawn(REPLICATES):
            rng = np.random.default_rng(seeds)
            rows = np.concatenate(
                [
                    rng.permutation(np.flatnonzero(problem.trial.arm == at))[: max(int(share * size), 2)]
                    for at, size in enumerate(np.bincount(problem.trial.arm))
                ]
            )
            models.append(self.fit_effects(problem.take(np.sort(rows), int(rng.integers(2**31)))))
        return {"replicates": tuple(models), "scale": share / (1 - share)}


def _reusable(propensity: Any) -> Any:
    """What was declared by arm or by column's name holds for other tables as well; an array does not."""
    if isinstance(propensity, Mapping):
        return {arm_name(name): float(value) for name, value in propensity.items()}
    return propensity if isinstance(propensity, str) else None


def _nuisance_base(learner: Any) -> BaseLearner:
    """The base of probabilities and responses; linear where the learner's may not know probabilities."""
    base = base_learner(getattr(learner, "base", "linear"))
    return Linear() if isinstance(base, Other) else base


def _balance_findings(problem: Problem) -> tuple[str, ...]:
    """Columns that differ between arms though these were drawn: they may be consequences of the arm."""
    values = problem.chances.values
    if not problem.chances.is_known or np.ptp(values, axis=0).max() > 0:
        return ()
    findings = []
    is_control = problem.trial.arm == 0
    for at, arm in enumerate(problem.trial.offers, start=1):
        offered, others = problem.matrix[problem.trial.arm == at], problem.matrix[is_control]
        error = np.sqrt(offered.var(axis=0) / len(offered) + others.var(axis=0) / len(others))
        gaps = np.divide(offered.mean(axis=0) - others.mean(axis=0), error, out=np.zeros(len(error)), where=error > 0)
        findings += [
            f"{problem.names[place]} differs between {arm} and the control by {abs(gaps[place]):.0f} standard errors, "
            "though arms are declared as drawn at random: leave it out of features if it came after the offer."
            for place in np.flatnonzero(abs(gaps) > UNBALANCED)
        ]
    return tuple(findings)
