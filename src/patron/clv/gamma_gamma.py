"""Gamma-Gamma: the mean spend of an order, from how many there were and their mean (Fader and Hardie 2013).

Each order's spend is Gamma(p, nu) and nu ~ Gamma(q, v) over customers, independent of how often they order; covariates
multiply the scale v of a customer. What the independence costs is measured and kept with the fit.

The paper leaves every customer's first order out, because first orders may be unlike later ones. Here the first order
counts where the summary has it: most customers have no other, and who spends much on the first spends much later
(normalised Gini of spend on CDNOW .709 with it, .672 without). `GammaGamma(first_order=False)` is the paper's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
import pyarrow as pa
import scipy

from patron.clv.distinct_histories import MIN_CUSTOMERS, WEIGHT, DistinctValues, distinct_rows, finite_column
from patron.clv.fit_summary import FitSummary, LikelihoodModel, facts_of, short_repr
from patron.clv.foreign_signatures import fit_input, refuse_unfitted
from patron.clv.frames import with_answers
from patron.clv.maximum_likelihood import Estimates, covariance, maximise
from patron.schema.errors import NotEnoughData
from patron.schema.frames import arrow
from patron.schema.numbers import Numbers

LETTERS = ("p", "q", "v")
WITH_FIRST = "monetary_value_with_first"
"""Column of a summary: the mean of all orders of a customer."""
START = np.log([3.0, 3.0, 1.0])


@dataclass(frozen=True)
class Independence:
    """Whether those who order more often spend more an order, which the model assumes they do not."""

    spearman: float
    """Rank correlation of frequency and mean spend, -1 to 1, of customers with a repeat order."""
    p_value: float
    """Probability of so large a correlation by chance."""
    pearson: float

    @property
    def is_doubtful(self) -> bool:
        """Whether the correlation is larger than chance and than what does no harm (0.1)."""
        return self.p_value < 0.01 and abs(self.spearman) > 0.1


@dataclass(frozen=True)
class FittedGammaGamma(LikelihoodModel):
    """A fitted Gamma-Gamma; `observed_mean` is the mean spend of the customers it was fitted to.

    `predict` and `expected_spend` answer for the customers of a summary, `summary` shows the fit.
    """

    observed_mean: float
    independence: Independence | None = None
    covariates: tuple[str, ...] = ()
    first_order: bool = False
    """Whether the first order of each customer counts; it then needs monetary_value_with_first of a summary."""

    kind: ClassVar[str] = "gammagamma"

    def __repr__(self) -> str:
        """Parameters, and how many customers they were fitted to."""
        which = "first orders count" if self.first_order else "repeat orders only"
        return short_repr(type(self).__name__, self.estimates, which)

    def summary(self) -> FitSummary:
        """Each parameter with its standard error and 95 % interval, and the facts about the fit, to be printed."""
        facts = facts_of(self.estimates) | {"mean spend of an order": f"{self.population_mean:.4g}"}
        facts["first orders"] = "count" if self.first_order else "are left out"
        if self.independence is not None:
            doubt = "in doubt" if self.independence.is_doubtful else "not in doubt"
            facts["spend independent of frequency"] = f"{doubt} (Spearman {self.independence.spearman:.2f})"
        return FitSummary.of(type(self).__name__, self.estimates, facts)

    def predict(self, summary: Any) -> Any:
        """Expected spend of an order of each customer beside their ids, in the kind of frame that the summary is."""
        return with_answers(summary, expected_spend=self.expected_spend(summary))

    @property
    def has_infinite_mean(self) -> bool:
        """Whether q <= 1: the model's mean over customers is infinite, and the observed mean stands in for it."""
        return self.params["q"] <= 1

    @property
    def population_mean(self) -> float:
        """Expected spend of an order by an unknown customer whose covariates are 0, in the unit of the data."""
        p, q, v = (self.params[name] for name in LETTERS)
        return self.observed_mean if self.has_infinite_mean else p * v / (q - 1)

    def expected_spend(self, summary: Any) -> Numbers:
        """Expected spend of an order of each customer of a summary; never below 0.

        Raises ValueError for a missing column.
        """
        table = arrow(summary)
        return self.posterior_mean_spend(*self.history(table), self.covariate_factor(table))

    def history(self, summary: Any) -> tuple[Numbers, Numbers]:
        """How many orders of each customer of a summary count here, and their mean. Raises ValueError."""
        return orders_and_mean(arrow(summary), first_order=self.first_order)

    def covariate_factor(self, summary: Any) -> Numbers:
        """Factor by which the covariates of each customer multiply the scale of spend."""
        table = arrow(summary)
        logs = [self.params[name] * finite_column(table, name) for name in self.covariates]
        return np.exp(np.sum([np.zeros(table.num_rows), *logs], axis=0))

    def posterior_mean_spend(self, count: Numbers, mean: Numbers, effect: Numbers | float = 1.0) -> Numbers:
        """Expected spend of an order given `count` orders of this `mean`; without orders, the population's. Never < 0.

        It is the weighted mean of the population's mean and the customer's own with weights q - 1 and p * count; with
        q <= 1 the population's weight is 0 and the customer's own mean stands alone.
        """
        p, q, _ = (self.params[name] for name in LETTERS)
        customer_weight, population_weight = p * np.maximum(count, 0.0), max(q - 1, 0.0)
        known = (count > 0) & (mean > 0)
        share = np.where(known, customer_weight / np.maximum(customer_weight + population_weight, 1e-300), 0.0)
        return share * np.where(known, mean, 0.0) + (1 - share) * self.population_mean * effect

    def simulate(self, count: Numbers, rng: np.random.Generator) -> Numbers:
        """Mean spend of new customers with so many orders; 0 for those with none."""
        p, q, v = (self.params[name] for name in LETTERS)
        nu = rng.gamma(q, 1 / v, len(count))
        return np.where(count > 0, rng.gamma(p * np.maximum(count, 1), 1.0) / nu / np.maximum(count, 1), 0.0)


@dataclass(frozen=True)
class GammaGamma:
    """Gamma-Gamma, to be fitted to customers with a mean spend above zero.

    A summary that `rfm` made has the first order of each customer too, in monetary_value_with_first; one without this
    column is fitted to its repeat orders.
    """

    covariates: Sequence[str] = ()
    """Columns of the summary that multiply spend: numbers, best about 0 and of size 1."""
    first_order: bool = True
    """Whether the first order counts, where the summary has it: better ranks; False is the paper's way."""

    if not TYPE_CHECKING:  # why: as above

        def __getattr__(self, name: str) -> NoReturn:
            """Say that only a fitted model answers. Raises AttributeError."""
            refuse_unfitted(self, name, FittedGammaGamma)

    def fit(
        self,
        summary: Any = None,
        *positional: Any,
        frequency: Any = None,
        monetary_value: Any = None,
        **others: Any,
    ) -> FittedGammaGamma:
        """Maximum likelihood, of a summary as `rfm` makes it, or of arrays: `fit(frequency=, monetary_value=)`.

        Of arrays, frequency is how many orders monetary_value is the mean of; `others` are weight and covariates.
        Raises NotEnoughData with fewer than ten customers with a spend, TypeError for other arguments.
        """
        columns = {"frequency": frequency, "monetary_value": monetary_value, **others}
        table = arrow(fit_input(summary, positional, columns, "frequency=..., monetary_value=..."))
        first_order = self.first_order and WITH_FIRST in table.column_names
        count, mean = orders_and_mean(table, first_order=first_order)
        weight = finite_column(table, WEIGHT) if WEIGHT in table.column_names else np.ones(table.num_rows)
        columns = [finite_column(table, name) for name in self.covariates]
        fitted = fit_spend(count, mean, weight, dict(zip(self.covariates, columns, strict=True)))
        return replace(fitted, first_order=first_order)


def orders_and_mean(summary: pa.Table, *, first_order: bool) -> tuple[Numbers, Numbers]:
    """Orders of each customer and their mean, with the first one or without. Raises ValueError for a missing column."""
    frequency = finite_column(summary, "frequency")
    if first_order:
        return frequency + 1, finite_column(summary, WITH_FIRST)
    return frequency, finite_column(summary, "monetary_value")


def fit_spend(
    count: Numbers, mean: Numbers, weight: Numbers | None = None, covariates: Mapping[str, Numbers] | None = None
) -> FittedGammaGamma:
    """As `GammaGamma.fit`, from the number of orders that count and their mean. Raises NotEnoughData."""
    weight = np.ones(len(count)) if weight is None else weight
    keep = (count > 0) & (mean > 0) & (weight > 0)
    if weight[keep].sum() < MIN_CUSTOMERS:
        raise NotEnoughData(
            f"{weight[keep].sum():g} customers with a spend", where="Gamma-Gamma", todo="Import more orders."
        )
    x, share = count[keep], weight[keep] / weight[keep].sum()
    scale = float(share @ mean[keep])
    names = tuple(covariates or ())
    columns = [column[keep] for column in (covariates or {}).values()]
    first, place = distinct_rows(x, mean[keep], *columns)
    design = np.column_stack([column[first] for column in columns]) if names else None
    shares = np.bincount(place, share, len(first)).astype(np.float64)
    objective = _Likelihood(DistinctValues.of(x[first]), x[first], mean[keep][first] / scale, shares, design)
    start, free = np.concatenate([START, np.zeros(len(names))]), (False,) * 3 + (True,) * len(names)
    at, second = maximise(objective, start, free=free)
    value, _ = objective(at)
    customers = float(weight[keep].sum())
    p, q, v = np.exp(at[:3])
    params = {"p": float(p), "q": float(q), "v": float(v * scale)}
    params |= {name: float(effect) for name, effect in zip(names, at[3:], strict=True)}
    log_likelihood = value * customers - customers * math.log(scale)
    estimates = Estimates(
        params,
        float(log_likelihood),
        covariance=covariance(second, at, customers),
        customer_count=customers,
        logarithms=tuple(not one for one in free),
    )
    return FittedGammaGamma(estimates, scale, _independence(x, mean[keep]), names)


def _independence(count: Numbers, mean: Numbers) -> Independence | None:
    if len(count) < MIN_CUSTOMERS or np.ptp(count) == 0 or np.ptp(mean) == 0:
        return None
    rank_correlation = scipy.stats.spearmanr(count, mean)
    return Independence(
        float(rank_correlation.statistic), float(rank_correlation.pvalue), float(np.corrcoef(count, mean)[0, 1])
    )


@dataclass(frozen=True)
class _Likelihood:
    """Mean log-likelihood of a mean spend in the logs of p, q and v, and the effects of covariates."""

    counts: DistinctValues
    x: Numbers
    z: Numbers
    share: Numbers
    design: Numbers | None

    @cached_property
    def log_z(self) -> Numbers:
        """Logarithm of each mean."""
        return np.log(self.z)

    @cached_property
    def log_total(self) -> Numbers:
        """Logarithm of what each customer spent."""
        return np.log(self.x) + self.log_z

    def __call__(self, at: Numbers) -> tuple[float, Numbers]:
        p, q, v = np.exp(at[:3])
        scale = v * np.exp(self.design @ at[3:]) if self.design is not None else v
        log_scale = at[2] + (self.design @ at[3:] if self.design is not None else 0.0)
        distinct = p * self.counts.values
        gammas = (scipy.special.gammaln(distinct + q) - scipy.special.gammaln(distinct) - scipy.special.gammaln(q))[
            self.counts.inverse
        ]
        both = scipy.special.digamma(distinct + q)
        d_gamma_p = (self.counts.values * (both - scipy.special.digamma(distinct)))[self.counts.inverse]
        d_gamma_q = (both - scipy.special.digamma(q))[self.counts.inverse]
        px = p * self.x
        log_total = self.log_total
        total = scale + self.x * self.z
        log_sum = np.log(total)
        value = gammas + q * log_scale + px * (log_total - log_sum) - q * log_sum - self.log_z
        d_p = d_gamma_p + self.x * (log_total - log_sum)
        d_q = d_gamma_q + log_scale - log_sum
        d_scale = q - (px + q) * scale / total
        # why not `@`: BLAS wakes its threads for columns of 10,000, which then wait busily
        slopes = [float((self.share * one).sum()) for one in (d_p * p, d_q * q, d_scale)]
        if self.design is not None:
            slopes += [float((self.share * d_scale * column).sum()) for column in self.design.T]
        return float((self.share * value).sum()), np.array(slopes)
