"""Counting models corrected by what the recent past shows they miss, and made to follow how the shop's customers age.

From orders alone: the models are fitted at several cutoffs in the past, trees learn from what came next by which factor
they are wrong for whom, and the sum follows how the shop's customers slow down as they age. Everything is learnt before
`until`. Where drop-out is seen the models alone often forecast too little over a long horizon (13 to 19 % on CDNOW's 39
weeks), as customers slow down less than they assume; of simulated customers, who behave exactly as a model assumes, the
hybrid forecasts too much (20 % over 26 weeks after 39): the ageing trend is to blame.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy

from patron.clv.beta_geo import BetaGeo, FittedBetaGeo
from patron.clv.fit_summary import FitSummary
from patron.clv.gamma_gamma import WITH_FIRST, GammaGamma
from patron.clv.nbd import NBD, FittedNBD
from patron.clv.order_days import OrderDays
from patron.clv.order_times import timestamp_us
from patron.clv.rfm_summary import MICROSECONDS_A_DAY, UNIT_DAYS, rfm
from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.schema.errors import NotEnoughData
from patron.schema.frames import arrow, frame_kind, to_kind
from patron.schema.numbers import Numbers

MIN_DAYS = 84
"""A third of it is what the trees learn to look ahead; less is too little to see who comes back."""
CUTOFFS = 7
"""Cutoffs in the past, from a third to two thirds of it, that the trees learn from."""
MIN_ORDERS = 1e-4
MAX_GONE_SHARE = 1 - 1e-6
"""Nobody is gone for certain: what is expected of them would come from an infinite mean."""
SIZE_BOUND = 14.0
"""Logarithm of the size at which a negative binomial is as good as Poisson."""
TINY = 1e-300
SPEND = ("frequency", "monetary_value", WITH_FIRST)
SETTLED = 0.2
"""Share of the past after which customers slow down steadily: the first weeks are another thing."""


@dataclass(frozen=True)
class _BaseModels:
    """Two counting models at one cutoff, weighted: nobody leaves, and some do."""

    stays: FittedNBD
    leaves: FittedBetaGeo

    @classmethod
    def fit(cls, summary: pa.Table) -> "_BaseModels":
        return cls(NBD().fit(summary), BetaGeo().fit(summary))

    def expected(self, summary: pa.Table, horizon: float) -> Numbers:
        """Expected orders by each model, a column each."""
        return np.column_stack([one.expected_purchases(summary, horizon) for one in (self.stays, self.leaves)])


@dataclass(frozen=True, repr=False)
class FittedHybrid:
    """Forecasts of the customers whose orders it was fitted to; horizons are in its unit.

    `predict` gives orders and value of everybody beside their ids, in the kind of frame that the orders were.
    """

    customers: pa.Array
    """Everybody with an order or a refund: all answers are in this order."""
    unit: str
    weights: tuple[float, float]
    """Of the model in which nobody leaves, and of the one in which some do."""
    spread: tuple[float, float, float]
    """How widely counts lie about what is expected; see `_shape`."""
    trees: FittedTrees
    histories: pa.Table
    """Summary of the customers' orders until now."""
    base: _BaseModels
    matrix: Numbers
    trend: "_AgeingTrend"
    paid: pa.Table
    """Orders and what they brought on the mean, net of refunds until now."""
    frame: str = "arrow"
    """Kind of frame of the orders."""

    def __repr__(self) -> str:
        """How many customers it answers for, and the weights of its two models."""
        stays, leaves = self.weights
        mixed = f"NBD x {stays:.3g} + BG/NBD x {leaves:.3g}"
        return f"FittedHybrid({len(self.customers):,} customers; unit {self.unit}; {mixed})"

    def summary(self) -> FitSummary:
        """Parameters of the two counting models with their standard errors, and how the hybrid mixes them."""
        facts = {"customers": f"{len(self.customers):,}", "unit of time": self.unit}
        facts |= {"weight of NBD": f"{self.weights[0]:.3g}", "weight of BG/NBD": f"{self.weights[1]:.3g}"}
        facts["trees"] = "correct both by what the recent past shows; they have no standard errors"
        models = {"NBD": self.base.stays, "BG/NBD": self.base.leaves}
        tables = [with_prefix(name, model.summary().table) for name, model in models.items()]
        return FitSummary("FittedHybrid", pa.concat_tables(tables), facts)

    def predict(self, horizon: float) -> Any:
        """Expected orders and value of each customer in the next `horizon` beside their ids."""
        orders = self.expected_purchases(horizon)
        columns = {"customer_id": self.customers, "expected_purchases": orders}
        return to_kind(pa.table({**columns, "expected_value": orders * self._spend()}), self.frame)

    def expected_purchases(self, horizon: float) -> Numbers:
        """Expected orders of each customer in the next `horizon`."""
        each = self._uncorrected(horizon)
        return each * (self.trend.total(float(each.sum()), horizon) / max(float(each.sum()), MIN_ORDERS))

    def purchase_count_distribution(self, horizon: float, *, most: int = 20) -> Numbers:
        """Probability of 0, 1 ... `most` orders or more of each customer; rows add up to 1."""
        gone, size, mean = _shape(self.spread, self.expected_purchases(horizon), *self._frequency_and_dropout())
        law = scipy.stats.nbinom(size[:, None], (size / (size + mean))[:, None])
        probabilities = np.column_stack([law.pmf(np.arange(most)), law.sf(most - 1)]) * (1 - gone)[:, None]
        probabilities[:, 0] += gone
        return probabilities

    def expected_value(self, horizon: float) -> Numbers:
        """Expected spend of each customer: orders times what one brings by Gamma-Gamma, in the money of the orders."""
        return self.expected_purchases(horizon) * self._spend()

    def _spend(self) -> Numbers:
        # why without first orders: with them CDNOW has a Gini of .718 for .714, and deciles .227 off for .171; of three
        # other cuts each wins some
        return GammaGamma(first_order=False).fit(self.paid).expected_spend(self.paid)

    def _uncorrected(self, horizon: float) -> Numbers:
        base = np.maximum(self.base.expected(self.histories, horizon) @ np.array(self.weights), MIN_ORDERS)
        return base * np.exp(self.trees.raw(self.matrix))

    def _frequency_and_dropout(self) -> tuple[Numbers, Numbers]:
        return self.histories["frequency"].to_numpy(), 1 - self.base.leaves.probability_alive(self.histories)


@dataclass(frozen=True)
class Hybrid:
    """BG/NBD and NBD mixed, corrected by trees, following the shop's ageing trend.

    It takes orders, not a summary: fitted = Hybrid().fit(orders, until=...), then fitted.predict(horizon),
    expected_purchases(horizon), expected_value(horizon) and purchase_count_distribution(horizon).
    """

    unit: str = "W"
    trees: Trees = field(
        default_factory=lambda: Trees(
            rounds=200, leaves=8, learning_rate=0.03, fewest_in_leaf=200, share_of_rows=0.8, leaf_penalty=0.0, bins=255
        )
    )

    def fit(
        self,
        orders: Any,
        *,
        until: date | datetime | str,
        customer: str = "customer_id",
        time: str = "ordered_at",
        value: str | None = "value",
    ) -> FittedHybrid:
        """Fit to orders until the end of a day; as `rfm` otherwise. Raises NotEnoughData, ValueError."""
        if "frequency" in arrow(orders).column_names:
            raise ValueError("Hybrid is fitted to orders, not to a summary: Hybrid().fit(orders, until=...)")
        kind, orders = frame_kind(orders), arrow(orders)
        end = timestamp_us(until) // MICROSECONDS_A_DAY
        days = OrderDays.of(orders, end, customer=customer, time=time, value=value)
        span = days.span(end)
        if span < MIN_DAYS:
            raise NotEnoughData(
                f"orders of {span} days, and {MIN_DAYS} are needed", where="Hybrid", todo="Import a longer history."
            )
        ahead = span // 3
        cutoffs = np.linspace(end - 2 * ahead, end - ahead, CUTOFFS).astype(int)
        past = [_Snapshot.at(days, cutoff, ahead, self.unit) for cutoff in cutoffs]
        expected = np.vstack([one.expected for one in past])
        actual = np.concatenate([one.actual for one in past])
        if not actual.sum():
            raise NotEnoughData("nobody came back", where="Hybrid", todo="Use a longer history, or an earlier end.")
        weights, _ = scipy.optimize.nnls(expected, actual)
        forecast_of_models = np.maximum(expected @ weights, MIN_ORDERS)
        matrix = np.vstack([one.matrix for one in past])
        objective = {"objective": "poisson", "boost_from_average": False}
        trees = self.trees.fit(matrix, actual, objective, start=np.log(forecast_of_models))
        forecast = forecast_of_models * np.exp(trees.raw(matrix))
        history = tuple(np.concatenate([getattr(one, name) for one in past]) for name in ("frequency", "gone"))
        spread = _fit_spread(actual, forecast, *history)
        base_now = _BaseModels.fit(days.summary(end, self.unit, holdout_day=end))
        everybody = OrderDays.of_everybody(orders, end, customer=customer, time=time, value=value)
        now = _Snapshot.at(everybody, end, ahead, self.unit, base=base_now)
        trend = _AgeingTrend.of(days, end, ahead, self.unit)
        mixed = (float(weights[0]), float(weights[1]))
        customers = days.ids.take(now.summary["customer_id"].combine_chunks())
        net = rfm(orders, until=until, unit=self.unit, customer=customer, time=time, value=value)
        row_of = pc.index_in(customers, net["customer_id"].combine_chunks())
        paid = pa.table({name: net[name].take(row_of).fill_null(0.0) for name in SPEND})
        of_now = (now.summary, now.base, now.matrix, trend, paid)
        return FittedHybrid(customers, self.unit, mixed, spread, trees, *of_now, kind)


@dataclass(frozen=True)
class _Snapshot:
    """What was known at a cutoff, what the models expected then, and the actual orders."""

    summary: pa.Table
    base: _BaseModels
    expected: Numbers
    matrix: Numbers
    actual: Numbers

    @classmethod
    def at(cls, days: OrderDays, cutoff: int, ahead: int, unit: str, *, base: _BaseModels | None = None) -> "_Snapshot":
        """At the end of a day, of models fitted to it unless they are given."""
        summary = days.summary(cutoff, unit, holdout_day=cutoff + ahead)
        base = base or _BaseModels.fit(summary)
        expected = base.expected(summary, ahead / UNIT_DAYS[unit])
        actual = summary["frequency_holdout"].to_numpy()
        return cls(summary, base, expected, np.column_stack([days.features(summary, cutoff), expected]), actual)

    @property
    def frequency(self) -> Numbers:
        """Repeat orders of each customer."""
        return self.summary["frequency"].to_numpy()

    @property
    def gone(self) -> Numbers:
        """Chance of each customer to have left, as BG/NBD has it."""
        return 1 - self.base.leaves.probability_alive(self.summary)


@dataclass(frozen=True)
class _AgeingTrend:
    """How customers slow down as they age: repeat orders a customer and unit of time, by a power of the age."""

    level: float
    slope: float
    recent: float
    """Repeat orders of all a unit of time, recently."""
    ages: Numbers
    unit: str

    @classmethod
    def of(cls, days: OrderDays, end: int, ahead: int, unit: str) -> "_AgeingTrend":
        length = UNIT_DAYS[unit]
        ages, repeats = days.ages(end) / length, days.repeats(end) / length
        whole = np.arange(int(np.ceil(ages.max())))
        exposed = np.array([np.clip(ages - age, 0, 1).sum() for age in whole])
        counts = np.bincount(
            np.minimum(np.maximum(np.ceil(repeats) - 1, 0), whole[-1]).astype(int), minlength=len(whole)
        )
        settled = (whole >= SETTLED * ages.max()) & (exposed > 0)
        log_age = np.log(whole[settled] + 1)

        def negative(at: Numbers) -> float:
            log_rate = at[0] + at[1] * log_age
            return float((np.exp(log_rate) * exposed[settled] - counts[settled] * log_rate).sum())

        mean = counts[settled].sum() / exposed[settled].sum()
        fitted = scipy.optimize.minimize(negative, [np.log(max(mean, MIN_ORDERS)), 0.0], method="BFGS").x
        return cls(float(fitted[0]), float(fitted[1]), days.late(end, ahead) / (ahead / length), ages, unit)

    def total(self, modelled: float, horizon: float) -> float:
        """Orders of all in a horizon: geometric mean of the forecasts by models, ageing trend and recent rate."""
        whole = np.arange(int(np.ceil(self.ages.max() + horizon)))
        later = np.array(
            [(np.clip(self.ages + horizon - age, 0, 1) - np.clip(self.ages - age, 0, 1)).sum() for age in whole]
        )
        trend = float((np.exp(self.level + self.slope * np.log(whole + 1)) * later).sum())
        totals = [one for one in (modelled, trend, self.recent * horizon) if one > 0]
        return float(np.exp(np.mean(np.log(totals)))) if totals else 0.0


def with_prefix(name: str, table: pa.Table) -> pa.Table:
    """A summary's table with the name of its model before each parameter."""
    named = [f"{name} {parameter}" for parameter in table["parameter"].to_pylist()]
    return table.set_column(0, "parameter", pa.array(named))


def _shape(
    spread: tuple[float, float, float], mean: Numbers, frequency: Numbers, gone: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Share of each customer who order nothing for certain, and size and mean of the negative binomial of the rest."""
    nothing = np.minimum(gone * scipy.special.expit(spread[2]), MAX_GONE_SHARE)
    log_size = np.clip(spread[0] + spread[1] * np.log(frequency + 0.5), -SIZE_BOUND, SIZE_BOUND)
    return nothing, np.exp(log_size), mean / (1 - nothing)


def _fit_spread(actual: Numbers, mean: Numbers, frequency: Numbers, gone: Numbers) -> tuple[float, float, float]:
    """Maximum likelihood, from actual counts."""

    def negative(at: Numbers) -> float:
        nothing, size, rest = _shape((at[0], at[1], at[2]), mean, frequency, gone)
        orders = scipy.special.gammaln(size + actual) - scipy.special.gammaln(size) - scipy.special.gammaln(actual + 1)
        orders += actual * (np.log(rest) - np.log(size + rest)) - size * np.log1p(rest / size)
        stays = np.log1p(-nothing) + orders
        return -float(np.where(actual == 0, np.logaddexp(np.log(np.maximum(nothing, TINY)), stays), stays).mean())

    fitted = scipy.optimize.minimize(
        negative, [0.0, 0.5, 0.0], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-7}
    ).x
    return float(fitted[0]), float(fitted[1]), float(fitted[2])
