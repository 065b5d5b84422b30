"""Pareto/NBD whose customers differ by what is known of them (Fader and Hardie 2007).

A covariate z multiplies a customer's rate of orders by exp(effect * z), and the rate at which they leave likewise: in
the likelihood and every answer alpha is alpha * exp(-effects of orders . z), and beta is beta * exp(-effects of leaving
. z). alpha and beta themselves are those of a customer whose covariates are 0. Source: P. Fader and B. Hardie,
"Incorporating time-invariant covariates into the Pareto/NBD and BG/NBD models" (2007), brucehardie.com/notes/019.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import scipy

from patron.clv.count_model import CountLearner, check_horizon, new_customer_rows, summary_columns
from patron.clv.distinct_histories import DistinctValues, Histories
from patron.clv.maximum_likelihood import Estimates, Objective
from patron.clv.pareto_nbd import LETTERS, START, FittedParetoNBD, draw_pareto_orders, likelihoods
from patron.schema.numbers import Numbers

MAX_LOG = 40.0
"""Alpha and beta of a customer stay within exp(+-40), whatever covariates are tried or met."""
MAX_RATIO_OF_RATES = 100.0
"""A covariate so many times its spread away from 0 is refused: alpha would be that of nobody."""
SAME = 1e-9
"""Covariates are combinations of each other where their correlations have an eigenvalue below this."""


def effect_names(transaction: Sequence[str], dropout: Sequence[str]) -> tuple[str, ...]:
    """Names of the effects on orders and on leaving, as parameters."""
    return (*(f"transaction_{name}" for name in transaction), *(f"dropout_{name}" for name in dropout))


def covariate_scale(log_scale: float, effects: Numbers, design: Numbers) -> tuple[Numbers, Numbers]:
    """Alpha (or beta) of each row, and 1 where it moves with the parameters, 0 where it is held within bounds."""
    log_scales = log_scale - design @ effects
    return np.exp(np.clip(log_scales, -MAX_LOG, MAX_LOG)), (np.abs(log_scales) < MAX_LOG).astype(np.float64)


def log_gammas(r: float, x: DistinctValues) -> tuple[Numbers, Numbers]:
    """Logarithm of gamma(r + x) / gamma(r) of each row, and its slope in r."""
    size = r + x.values
    logarithms = scipy.special.gammaln(size) - scipy.special.gammaln(r)
    slopes = scipy.special.digamma(size) - scipy.special.digamma(r)
    return logarithms[x.inverse], slopes[x.inverse]


@dataclass(frozen=True)
class Design:
    """Covariates of customers, a row each: those of orders, and those of leaving."""

    transaction: Numbers
    dropout: Numbers

    @classmethod
    def of(cls, rows: Histories, transaction: Sequence[str], dropout: Sequence[str]) -> Self:
        """Of the extras of rows."""
        count = len(rows.T)
        columns = [[rows.extras[name] for name in names] for names in (transaction, dropout)]
        return cls(*(np.column_stack(column) if column else np.zeros((count, 0)) for column in columns))


@dataclass(frozen=True)
class CovariateLikelihood:
    """Mean log-likelihood of a customer in the logs of r, alpha, s, beta, and the effects of customers' covariates."""

    rows: Histories
    x: DistinctValues
    share: Numbers
    design: Design

    @classmethod
    def of(cls, rows: Histories, design: Design) -> Self:
        """Of rows and their covariates."""
        return cls(rows, DistinctValues.of(rows.frequency), rows.weight / rows.weight.sum(), design)

    @property
    def width(self) -> int:
        """How many parameters there are."""
        return len(LETTERS) + self.design.transaction.shape[1] + self.design.dropout.shape[1]

    def __call__(self, at: Numbers) -> tuple[float, Numbers]:
        """Mean, and its slopes."""
        (alpha, _), (beta, _) = self.rates(at)
        history = (self.rows.frequency, self.rows.recency, self.rows.T)
        return self.combine(at, likelihoods(float(np.exp(at[0])), float(np.exp(at[2])), alpha, beta, history))

    def rates(self, at: Numbers) -> tuple[tuple[Numbers, Numbers], tuple[Numbers, Numbers]]:
        """Alpha and beta of each row, each with where it moves."""
        middle = len(LETTERS) + self.design.transaction.shape[1]
        return (
            covariate_scale(at[1], at[len(LETTERS) : middle], self.design.transaction),
            covariate_scale(at[3], at[middle : self.width], self.design.dropout),
        )

    def combine(self, at: Numbers, terms: tuple[Numbers, ...]) -> tuple[float, Numbers]:
        """Mean and slopes, from the `likelihoods` of each row."""
        value, d_r, d_alpha, d_s, d_beta, _ = terms
        r, s = np.exp(at[[0, 2]])
        gammas, d_gammas = log_gammas(float(r), self.x)
        (alpha, moves_alpha), (beta, moves_beta) = self.rates(at)
        in_alpha, in_beta = self.share * d_alpha * alpha * moves_alpha, self.share * d_beta * beta * moves_beta
        letters = [self.share @ (d_r + d_gammas) * r, in_alpha.sum(), self.share @ d_s * s, in_beta.sum()]
        slopes = np.concatenate([letters, -in_alpha @ self.design.transaction, -in_beta @ self.design.dropout])
        return float(self.share @ (value + gammas)), slopes


@dataclass(frozen=True)
class FittedParetoNBDCovariates(FittedParetoNBD):
    """A fitted Pareto/NBD with covariates. A row with frequency, recency and T of 0 is a new customer."""

    transaction: tuple[str, ...] = ()
    """Columns of the summary that multiply the rate of orders."""
    dropout: tuple[str, ...] = ()
    """Columns of the summary that multiply the rate at which customers leave."""

    kind: ClassVar[str] = "paretonbd_covariates"

    def columns(self) -> Sequence[str]:
        """The covariates."""
        return tuple(dict.fromkeys((*self.transaction, *self.dropout)))

    def rates(self, rows: Histories) -> tuple[float, Numbers, float, Numbers]:
        """r, alpha of each row, s, beta of each row."""
        r, alpha, s, beta = (self.params[name] for name in LETTERS)
        design = Design.of(rows, self.transaction, self.dropout)
        on_orders, on_leaving = self.effects()
        alphas, _ = covariate_scale(np.log(alpha), on_orders, design.transaction)
        betas, _ = covariate_scale(np.log(beta), on_leaving, design.dropout)
        return r, alphas, s, betas

    def effects(self) -> tuple[Numbers, Numbers]:
        """Effects of customers' covariates on orders, and on leaving."""
        on_orders, on_leaving = effect_names(self.transaction, ()), effect_names((), self.dropout)
        return np.array([self.params[name] for name in on_orders]), np.array([self.params[name] for name in on_leaving])

    def expected_purchases_new(self, horizon: float, *, covariates: Mapping[str, float] | None = None) -> float:
        """Expected repeat orders in the `horizon` after the first one of a new customer; missing covariates are 0.

        Raises ValueError for a covariate that the model does not know.
        """
        return float(self.expected(self.new(covariates), check_horizon(horizon))[0])

    def new(self, covariates: Mapping[str, float] | None = None) -> Histories:
        """A new customer with these covariates. Raises ValueError for one that the model does not know."""
        check_covariates(covariates or {}, self.columns())
        return new_customer_rows(dict.fromkeys(self.columns(), 0.0) | dict(covariates or {}))

    def simulate(
        self,
        T: Numbers,
        rng: np.random.Generator,
        *,
        horizon: float = 0.0,
        covariates: Mapping[str, Numbers] | None = None,
    ) -> pa.Table:
        """As for every model, of customers with these covariates, which become columns; missing ones are 0.

        Raises ValueError for a covariate that the model does not know.
        """
        rows = self.new_customers(T, covariates)
        steps = draw_pareto_orders(self.rates(rows), rows.T + horizon, rng)
        return pa.table(summary_columns(steps, rows.T, horizon) | dict(rows.extras))

    def new_customers(self, T: Numbers, covariates: Mapping[str, Numbers] | None) -> Histories:
        """Rows of customers to be simulated. Raises ValueError for a covariate that the model does not know."""
        check_covariates(covariates or {}, self.columns())
        T, nothing = np.asarray(T, dtype=np.float64), np.zeros(len(T))
        columns = {name: np.asarray((covariates or {}).get(name, nothing), dtype=np.float64) for name in self.columns()}
        return Histories(nothing, nothing, T=T, weight=np.ones(len(T)), inverse=np.arange(len(T)), extras=columns)


def check_covariates(covariates: Mapping[str, Any], known: Sequence[str]) -> None:
    """Reject covariates that a model does not have. Raises ValueError."""
    unknown = [name for name in covariates if name not in known]
    if unknown:
        raise ValueError(f"the model has no covariate {', '.join(unknown)}; it has {', '.join(known) or 'none'}")


def standardisation(names: Sequence[str], design: Numbers, weight: Numbers) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each covariate over what it is known of.

    Raises ValueError where an effect cannot be known: a covariate is the same everywhere, is a combination of others,
    or lies so far from 0 that the model's alpha would be that of nobody.
    """
    share = weight / weight.sum()
    mean = share @ design
    deviation = np.sqrt(share @ (design - mean) ** 2)
    for name, middle, size in zip(names, mean, deviation, strict=True):
        if size <= SAME * max(abs(middle), 1e-300):
            raise ValueError(f"{name} is {middle:g} everywhere: its effect cannot be known")
        if abs(middle) > MAX_RATIO_OF_RATES * size:
            raise ValueError(f"{name} is {middle:g} with a spread of only {size:g}: take its mean from it")
    plain = (design - mean) / deviation
    if len(names) and np.linalg.eigvalsh(plain.T @ (plain * share[:, None]))[0] < SAME:
        raise ValueError(f"{', '.join(names)}: one is a combination of the others, their effects cannot be known")
    return mean, deviation


def destandardising_transform(*blocks: tuple[str, tuple[Numbers, Numbers]]) -> Numbers:
    """Matrix from parameters of covariates with mean 0 and deviation 1 to those of the covariates as they are.

    A block names the letter that its covariates multiply, their means and their deviations.
    """
    deviation = np.concatenate([one for _, (_, one) in blocks])
    transform = np.diag(np.concatenate([np.ones(len(LETTERS)), 1 / deviation]))
    place = len(LETTERS)
    for letter, (mean, size) in blocks:
        transform[LETTERS.index(letter), place : place + len(mean)] = mean / size
        place += len(mean)
    return transform


@dataclass(frozen=True)
class ParetoNBDCovariates(CountLearner[FittedParetoNBDCovariates]):
    """Pareto/NBD with covariates of customers, to be fitted to a summary that has them as columns of numbers."""

    transaction: Sequence[str] = ()
    """Columns that multiply the rate of orders."""
    dropout: Sequence[str] = ()
    """Columns that multiply the rate at which customers leave; one may be in both."""

    name: ClassVar[str] = "Pareto/NBD with covariates"
    letters: ClassVar[Sequence[str]] = LETTERS
    in_time: ClassVar[Sequence[str]] = ("alpha", "beta")

    def columns(self) -> Sequence[str]:
        """The covariates."""
        return tuple(dict.fromkeys((*self.transaction, *self.dropout)))

    def effects(self) -> Sequence[str]:
        """An effect of each covariate on what it multiplies."""
        return effect_names(self.transaction, self.dropout)

    def transform(self, rows: Histories) -> Numbers:
        """From covariates with mean 0 and deviation 1. Raises ValueError where an effect cannot be known."""
        design = Design.of(rows, self.transaction, self.dropout)
        return destandardising_transform(
            ("alpha", standardisation(self.transaction, design.transaction, rows.weight)),
            ("beta", standardisation(self.dropout, design.dropout, rows.weight)),
        )

    def objective(self, rows: Histories) -> Objective:
        """Mean log-likelihood of a customer."""
        return CovariateLikelihood.of(rows, Design.of(rows, self.transaction, self.dropout))

    def start(self, rows: Histories) -> Numbers:  # noqa: ARG002 - the signature of all models
        """As without covariates, and no effects."""
        return np.concatenate([START, np.zeros(len(self.effects()))])

    def fitted_model(self, estimates: Estimates) -> FittedParetoNBDCovariates:
        """The fitted model."""
        return FittedParetoNBDCovariates(estimates, tuple(self.transaction), tuple(self.dropout))
