"""How sure a fit is: draws of the parameters given the data, and what follows for each customer.

The logarithms of the parameters have a weak normal prior about the data's own scale. Proposals come from a
multivariate t about the posterior's mode with the curvature there (Laplace), and are kept or not as Metropolis has it:
as they do not depend on where the chain is, a chain that keeps most of them is nearly independent. Where it keeps few,
proposals are fitted to what was drawn and it starts anew; `is_doubtful` says when that did not help.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import scipy

from patron.clv.count_model import CountLearner, CountModel, check_horizon
from patron.clv.distinct_histories import Histories, check_customer_count, mean_age, rescale
from patron.clv.maximum_likelihood import LOG_BOUND, Estimates, Objective, maximise
from patron.clv.rfm_summary import summary_unit
from patron.schema.frames import arrow
from patron.schema.numbers import Numbers

Model = TypeVar("Model", bound=CountModel)
PRIOR_SPREAD = 3.0
"""Standard deviation of the logarithm of a parameter, times in units of the mean age: within a factor of 400."""
DEGREES = 5.0
"""Of the t that proposes: its tails are longer than the posterior's, so that none is left out."""
MIN_KEPT = 0.25
TRIES = 3
WARM_UP = 0.1
USED = 200
"""Draws, evenly chosen, that forecasts are averaged over."""
BLOCK = 2_000
"""Rows whose forecasts are worked out at once: memory grows with it and the draws, not with customers times draws."""


@dataclass(frozen=True)
class Span:
    """A mean with an interval, an entry a customer."""

    mean: Numbers
    low: Numbers
    high: Numbers


@dataclass(frozen=True, repr=False)
class Posterior(Generic[Model]):
    """Draws of a model's parameters; answers average over them."""

    mode: Model
    """The model at the posterior's mode."""
    letters: tuple[str, ...]
    draws: Numbers
    """A row a draw, a column a letter, in the summary's unit."""
    kept_share: float
    """Proposals that were kept, 0 to 1."""

    def __repr__(self) -> str:
        """Means of the parameters, and how many draws there are."""
        means = ", ".join(
            f"{name}={mean:.4g}" for name, mean in zip(self.letters, self.draws.mean(axis=0), strict=True)
        )
        return f"Posterior({means}; {len(self.draws):,} draws, {self.kept_share:.0%} of proposals kept)"

    @property
    def is_doubtful(self) -> bool:
        """Whether so few proposals were kept that the draws may not describe the posterior."""
        return self.kept_share < MIN_KEPT

    @cached_property
    def effective_sample_size(self) -> dict[str, float]:
        """Number of independent draws with the same precision for each parameter's mean."""
        return {name: _effective(np.log(self.draws[:, n])) for n, name in enumerate(self.letters)}

    def interval(self, level: float = 0.8) -> dict[str, tuple[float, float]]:
        """Equal-tailed interval of each parameter."""
        ends = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return {name: (float(ends[0, n]), float(ends[1, n])) for n, name in enumerate(self.letters)}

    def models(self, count: int = USED) -> list[Model]:
        """Models of some of the draws, evenly chosen."""
        places = np.linspace(0, len(self.draws) - 1, min(count, len(self.draws))).astype(int)
        return [self._model(self.draws[place]) for place in places]

    def expected_purchases(self, summary: Any, horizon: float, *, level: float = 0.8) -> Span:
        """Expected orders of each customer, with the interval that not knowing the parameters leaves."""
        ahead = check_horizon(horizon)
        return self._spans(self.mode.rows(summary), lambda model, rows: model.expected(rows, ahead), level)

    def probability_alive(self, summary: Any, *, level: float = 0.8) -> Span:
        """P(alive) of each customer, with its interval."""
        return self._spans(self.mode.rows(summary), lambda model, rows: model.alive(rows), level)

    def purchase_count_distribution(self, summary: Any, horizon: float, *, most: int = 20, count: int = 50) -> Numbers:
        """Probability of 0, 1 ... `most` orders or more of each customer, parameters unknown; rows add up to 1."""
        rows, horizon = self.mode.rows(summary), check_horizon(horizon)
        models = self.models(count)
        total = np.zeros((len(rows.T), most + 1))
        for model in models:
            total += model.counts(rows, horizon, most)
        return rows.per_customer(total / len(models))

    def total_purchases(self, summary: Any, horizon: float, *, level: float = 0.8) -> tuple[float, float, float]:
        """Orders of all customers together: mean and interval, parameters and chance both unknown."""
        rows, horizon = self.mode.rows(summary), check_horizon(horizon)
        weight = rows.weight
        means = np.array([weight @ model.expected(rows, horizon) for model in self.models()])
        most = 4 * math.ceil(float(self.mode.expected(rows, horizon).max(initial=1.0))) + 20
        counts = self.mode.counts(rows, horizon, most)
        orders = np.arange(most + 1)
        spread = counts @ orders**2 - (counts @ orders) ** 2
        deviation = math.sqrt(means.var() + weight @ spread)
        far = math.sqrt(2) * float(scipy.special.erfinv(level)) * deviation
        return float(means.mean()), max(float(means.mean()) - far, 0.0), float(means.mean()) + far

    def _model(self, values: Numbers) -> Model:
        params = dict(zip(self.letters, map(float, values), strict=True))
        return replace(self.mode, estimates=Estimates(params, unit=self.mode.unit))

    def _spans(self, rows: Histories, answer: Callable[[Model, Histories], Numbers], level: float) -> Span:
        models, count = self.models(), len(rows.T)
        spans = np.empty((3, count))
        for first in range(0, count, BLOCK):
            part = _part(rows, slice(first, first + BLOCK))
            answers = np.array([answer(model, part) for model in models])
            spans[0, first : first + BLOCK] = answers.mean(axis=0)
            spans[1:, first : first + BLOCK] = np.quantile(answers, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return Span(*(rows.per_customer(span) for span in spans))


def posterior(
    learner: CountLearner[Model], summary: Any, *, rng: np.random.Generator, draws: int = 2000
) -> Posterior[Model]:
    """Draw the parameters of a model given a summary; those of covariates and of dependence are not worked out.

    Raises NotEnoughData, ValueError as `fit` does, and for a model with effects of covariates.
    """
    if learner.effects():
        effects = ", ".join(learner.effects())
        raise ValueError(f"{learner.name}: the posterior of {effects} is not worked out; take the standard errors")
    table = arrow(summary)
    learner = learner.with_settings_for(table)
    rows = Histories.of(table, *learner.columns())
    check_customer_count(rows, learner.name)
    scale = mean_age(rows) if learner.in_time else 1.0
    rescaled = rescale(rows, scale)
    objective = learner.objective(rescaled)
    customers = rows.customer_count
    start = learner.start(rescaled)
    target = _with_prior(objective, start, customers)
    at, second = maximise(target, start)
    chain, kept = _draw_chain(lambda logs: customers * target(logs)[0], at, -customers * second, rng, draws)
    units = np.array([scale if name in learner.in_time else 1.0 for name in learner.letters])
    values = np.exp(chain) * units
    params = {name: float(value) for name, value in zip(learner.letters, np.exp(at) * units, strict=True)}
    estimates = Estimates(params, customer_count=customers, unit=summary_unit(table))
    mode = learner.fitted_model(
        replace(estimates, dropout_share=learner.dropout_share(learner.fitted_model(estimates), rows))
    )
    return Posterior(mode, tuple(learner.letters), values, kept)


def _with_prior(objective: Objective, middle: Numbers, customers: float) -> Objective:
    """The mean log-likelihood with the prior's share of one customer."""

    def both(logs: Numbers) -> tuple[float, Numbers]:
        value, slope = objective(logs)
        far = (logs - middle) / PRIOR_SPREAD
        return value - float(far @ far) / 2 / customers, slope - far / PRIOR_SPREAD / customers

    return both


def _draw_chain(
    log_density: Callable[[Numbers], float],
    at: Numbers,
    information: Numbers,
    rng: np.random.Generator,
    draws: int,
) -> tuple[Numbers, float]:
    """A chain after its warm-up, and the share of proposals that it kept."""
    centre, spread = at, np.asarray(np.linalg.pinv(information, hermitian=True), dtype=np.float64)
    chain, kept = np.tile(at, (draws, 1)), 0.0
    for _ in range(TRIES):
        chain, kept = _chain(log_density, centre, _root(spread), rng, draws + int(WARM_UP * draws))
        if kept >= MIN_KEPT:
            break
        centre = np.asarray(chain.mean(axis=0), dtype=np.float64)
        spread = np.asarray(np.cov(chain.T) + 1e-6 * np.eye(len(at)), dtype=np.float64)
    return chain[-draws:], kept


def _root(spread: Numbers) -> Numbers:
    """Square root of a covariance; a direction that the data do not show is as wide as the prior."""
    values, vectors = np.linalg.eigh(spread)
    widths = np.where((values > 0) & (values < PRIOR_SPREAD**2), values, PRIOR_SPREAD**2)
    return vectors * np.sqrt(widths)


def _chain(
    log_density: Callable[[Numbers], float], centre: Numbers, root: Numbers, rng: np.random.Generator, count: int
) -> tuple[Numbers, float]:
    size = len(centre)
    normal = rng.normal(size=(count, size))
    far = normal / np.sqrt(rng.chisquare(DEGREES, count) / DEGREES)[:, None]
    proposed = centre + far @ root.T
    proposing = -(DEGREES + size) / 2 * np.log1p((far**2).sum(axis=1) / DEGREES)
    inside = np.abs(proposed).max(axis=1) < LOG_BOUND
    density = np.array([log_density(one) if is_in else -np.inf for one, is_in in zip(proposed, inside, strict=True)])
    ratio = np.where(np.isfinite(density), density, -np.inf) - proposing
    last = centre
    last_ratio = log_density(centre)
    chain = np.empty((count, size))
    kept = 0
    chance = np.log(rng.random(count))
    for n in range(count):
        if chance[n] < ratio[n] - last_ratio:
            last, last_ratio, kept = proposed[n], ratio[n], kept + 1
        chain[n] = last
    return chain, kept / count


def _effective(values: Numbers) -> float:
    """Effective sample size by Geyer's initial positive sequence of autocorrelations."""
    count = len(values)
    centred = values - values.mean()
    power = np.abs(np.fft.rfft(centred, 2 * count)) ** 2
    correlation = np.fft.irfft(power)[:count]
    if correlation[0] <= 0:
        return 1.0
    correlation = correlation / correlation[0]
    pairs = correlation[0 : count - 1 : 2] + correlation[1:count:2]
    first = int(np.argmax(pairs <= 0)) if (pairs <= 0).any() else len(pairs)
    return float(min(count / max(2 * pairs[:first].sum() - 1, 1 / count), count))


def _part(rows: Histories, some: slice) -> Histories:
    extras: Mapping[str, Numbers] = {name: column[some] for name, column in rows.extras.items()}
    T = rows.T[some]
    return Histories(
        rows.frequency[some],
        rows.recency[some],
        T=T,
        weight=rows.weight[some],
        inverse=np.arange(len(T)),
        extras=extras,
    )
