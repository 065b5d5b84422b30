"""Pareto/NBD whose rates follow a calendar of seasons and promotions, and covariates of each customer.

The model is in `time_varying_kernels`; a calendar, and what a summary needs for it, in `covariate_calendar`:

    summary = with_calendar(rfm(orders, until="2024-06-30"), orders, calendar)
    fitted = SeasonalParetoNBD(calendar, transaction=("december", "promotion")).fit(summary)
    fitted.expected_purchases(summary, 13)  # the calendar goes on for 13 weeks after the summary
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from patron.clv.count_model import CountLearner, check_horizon, poisson_orders, summary_columns
from patron.clv.covariate_calendar import FIRST, Calendar, at_orders_column, unit_days
from patron.clv.distinct_histories import Histories, Indices, check_customer_count, finite_column, mean_age
from patron.clv.maximum_likelihood import Estimates, Objective
from patron.clv.pareto_nbd import LETTERS, START
from patron.clv.pareto_nbd_covariates import (
    CovariateLikelihood,
    Design,
    FittedParetoNBDCovariates,
    destandardising_transform,
    effect_names,
    standardisation,
)
from patron.clv.rfm_summary import UNIT, summary_unit
from patron.clv.time_varying_kernels import (
    RateMultipliers,
    accumulated_rates,
    seasonal_count_probabilities,
    seasonal_expected_orders,
    seasonal_likelihoods,
    seasonal_no_order_probability,
)
from patron.schema.numbers import Numbers

NO_CALENDAR = Calendar((0.0, 1.0), {})
IN_CALENDAR = {"calendar_transaction": "transaction", "calendar_dropout": "dropout", "known": "known"}
"""Fields that are saved in the calendar, and their names there."""


@dataclass(frozen=True)
class FittedSeasonalParetoNBD(FittedParetoNBDCovariates):
    """A fitted seasonal Pareto/NBD. Summaries need the column first_day, and horizons are along the calendar.

    A calendar that goes on, or has other plans, comes in by `dataclasses.replace(fitted, calendar=...)`.
    """

    calendar: Calendar = NO_CALENDAR
    calendar_transaction: tuple[str, ...] = ()
    """Covariates of the calendar that multiply the rate of orders."""
    calendar_dropout: tuple[str, ...] = ()
    """Covariates of the calendar that multiply the rate at which customers leave."""
    known: tuple[str, ...] = ()
    """Covariates of the calendar that are logarithms of what multiplies the rate of orders: their effect is 1."""

    kind: ClassVar[str] = "paretonbd_seasonal"

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON can hold it: names of the calendar's covariates are in the calendar."""
        content = super().to_dict()
        names = {short: content.pop(name) for name, short in IN_CALENDAR.items()}
        return content | {"calendar": content["calendar"] | names}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild from what `to_dict` returns."""
        calendar = saved["calendar"]
        names = {name: calendar[short] for name, short in IN_CALENDAR.items() if short in calendar}
        return super().from_dict({**saved, **names})

    def rows(self, summary: Any) -> Histories:
        """Distinct rows of a summary. Raises ValueError for a missing column, impossible rows or another unit."""
        self.check_unit(summary)
        return Histories.of(summary, *self.columns(), FIRST)

    def _multipliers(self) -> RateMultipliers:
        on_orders, on_leaving = effect_names(self.calendar_transaction, ()), effect_names((), self.calendar_dropout)
        effects = [np.array([self.params[name] for name in names]) for names in (on_orders, on_leaving)]
        effects[0] = np.append(effects[0], np.ones(len(self.known)))
        names = ((*self.calendar_transaction, *self.known), self.calendar_dropout)
        return rate_multipliers(self.calendar, names, effects, unit_days(self.unit))

    def _multipliers_and_start(self, rows: Histories, horizon: float = 0.0) -> tuple[RateMultipliers, Numbers]:
        """The calendar, and when each row's first order was. Raises ValueError where the calendar does not reach."""
        days = unit_days(self.unit)
        self.calendar.check_coverage(rows.extras[FIRST], rows.extras[FIRST] + (rows.T + horizon) * days)
        return self._multipliers(), rows.extras[FIRST] / days

    def alive(self, rows: Histories) -> Numbers:
        """Probability for each row not to have left, 0 to 1."""
        if FIRST not in rows.extras:  # a new customer of no time: the calendar's covariates are 0
            return super().alive(rows)
        multipliers, first = self._multipliers_and_start(rows)
        history = (rows.frequency, rows.recency, rows.T)
        terms, _ = seasonal_likelihoods(self.rates(rows), history, first, multipliers, rows.weight)
        return np.exp(np.minimum(terms[5], 0.0))

    def _now(
        self, rows: Histories, horizon: float
    ) -> tuple[tuple[Numbers, Numbers, float, Numbers], Numbers, RateMultipliers]:
        """What the future follows from: r + x, alpha + A, s, beta + B of each row, the time, and the calendar."""
        multipliers, first = self._multipliers_and_start(rows, horizon)
        r, alpha, s, beta = self.rates(rows)
        orders, leaving = accumulated_rates(first, first + rows.T, multipliers)
        return (r + rows.frequency, alpha + orders, s, beta + leaving), first + rows.T, multipliers

    def expected(self, rows: Histories, horizon: float) -> Numbers:
        """Expected orders of each row in a horizon, along the calendar."""
        if FIRST not in rows.extras:
            return super().expected(rows, horizon)
        rates, now, multipliers = self._now(rows, horizon)
        return seasonal_expected_orders(rates, now, float(horizon), multipliers) * self.alive(rows)

    def purchase_probability(self, rows: Histories, horizon: float) -> Numbers:
        """Probability for each row of at least one order in a horizon, 0 to 1."""
        if FIRST not in rows.extras:
            return super().purchase_probability(rows, horizon)
        rates, now, multipliers = self._now(rows, horizon)
        return (1 - seasonal_no_order_probability(rates, now, float(horizon), multipliers)) * self.alive(rows)

    def counts(self, rows: Histories, horizon: float, most: int) -> Numbers:
        """Probability for each row of 0, 1 ... `most` orders or more in a horizon; a row adds up to 1."""
        if FIRST not in rows.extras:
            return super().counts(rows, horizon, most)
        rates, now, multipliers = self._now(rows, horizon)
        alive = self.alive(rows)[:, None]
        probabilities = seasonal_count_probabilities(rates, now, float(horizon), multipliers, most) * alive
        probabilities[:, 0] += 1 - alive[:, 0]
        return probabilities

    def expected_purchases_new(
        self, horizon: float, *, covariates: Mapping[str, float] | None = None, first_on: date | None = None
    ) -> float:
        """Expected repeat orders in the `horizon` after the first one of a new customer; missing covariates are 0.

        The horizon begins with the day after `first_on`; without it the calendar's covariates are 0 too. Raises
        ValueError for a covariate that the model does not know, and where the calendar does not reach.
        """
        rows = self.new(covariates)
        if first_on is not None:
            rows = replace(rows, extras={**rows.extras, FIRST: np.full(1, _end_of(first_on))})
        return float(self.expected(rows, check_horizon(horizon))[0])

    def simulate(
        self,
        T: Numbers,
        rng: np.random.Generator,
        *,
        horizon: float = 0.0,
        covariates: Mapping[str, Numbers] | None = None,
        until: date | None = None,
    ) -> pa.Table:
        """As for every model, of customers who are seen until the end of the day `until`, their horizon after it.

        Columns more: covariates, first_day and what repeat orders met. Without `until` the calendar's covariates are 0.
        """
        if until is None:
            return super().simulate(T, rng, horizon=horizon, covariates=covariates)
        rows, days = self.new_customers(T, covariates), unit_days(self.unit)
        rows = replace(rows, extras={**rows.extras, FIRST: _end_of(until) - rows.T * days})
        steps = list(self._orders(rows, horizon, rng))
        columns = summary_columns(steps, rows.T, horizon) | dict(rows.extras)
        for name, values in self.calendar.values.items():
            columns[at_orders_column(name)] = np.zeros(len(rows.T))
            for who, at in steps:
                known, when = who[at <= rows.T[who]], at[at <= rows.T[who]]
                place = self.calendar.period_at(rows.extras[FIRST][known] + when * days)
                columns[at_orders_column(name)][known] += np.array(values)[place]
        return pa.table(columns).replace_schema_metadata({UNIT: self.unit.encode()})

    def _orders(self, rows: Histories, horizon: float, rng: np.random.Generator) -> Iterator[tuple[Indices, Numbers]]:
        """Orders after the first, as `drawn` gives them: drawn in A and B, and read off the calendar."""
        multipliers, first = self._multipliers_and_start(rows, horizon)
        r, alpha, s, beta = self.rates(rows)
        by_orders, by_leaving = multipliers.integrals
        begun = [np.interp(first, multipliers.bounds, by) for by in (by_orders, by_leaving)]
        leaves = begun[1] + rng.exponential(1 / rng.gamma(s, 1 / beta))
        left = np.minimum(np.interp(leaves, by_leaving, multipliers.bounds), first + rows.T + horizon)
        for who, passed in poisson_orders(rng.gamma(r, 1 / alpha), accumulated_rates(first, left, multipliers)[0], rng):
            yield who, np.interp(begun[0][who] + passed, by_orders, multipliers.bounds) - first[who]


def rate_multipliers(
    calendar: Calendar, names: tuple[Sequence[str], Sequence[str]], effects: Sequence[Numbers], days: float
) -> RateMultipliers:
    """The calendar in a unit of time of so many days, with effects on orders and on leaving of these covariates."""
    on_orders, on_leaving = (
        (calendar.table(one), np.asarray(size, dtype=np.float64)) for one, size in zip(names, effects, strict=True)
    )
    return RateMultipliers.of(np.array(calendar.bounds) / days, on_orders, on_leaving)


def _end_of(day: date) -> float:
    """A day's end, in days since 1970."""
    return float((np.datetime64(day, "D") - np.datetime64(0, "D")).astype(int)) + 1.0


@dataclass(frozen=True)
class _Likelihood:
    """Mean log-likelihood of a customer in logs of r, alpha, s, beta, customers' effects, and the calendar's."""

    customers: CovariateLikelihood
    bounds: Numbers
    z_orders: Numbers
    z_leaving: Numbers
    first: Numbers
    at_orders: Numbers
    """Mean over customers of the sums of each covariate of orders at their repeat orders."""
    known_count: int
    """How many of the covariates of orders, the last ones, have an effect of 1."""

    def __call__(self, at: Numbers) -> tuple[float, Numbers]:
        effects = at[self.customers.width :]
        estimated = self.z_orders.shape[1] - self.known_count
        on_orders, on_leaving = np.append(effects[:estimated], np.ones(self.known_count)), effects[estimated:]
        multipliers = RateMultipliers.of(self.bounds, (self.z_orders, on_orders), (self.z_leaving, on_leaving))
        (alpha, _), (beta, _) = self.customers.rates(at)
        rows = self.customers.rows
        rates = (float(np.exp(at[0])), alpha, float(np.exp(at[2])), beta)
        history = (rows.frequency, rows.recency, rows.T)
        terms, slopes = seasonal_likelihoods(rates, history, self.first, multipliers, self.customers.share)
        value, letters = self.customers.combine(at, tuple(terms))
        slopes[: len(on_orders)] += self.at_orders
        slopes = np.delete(slopes, range(estimated, len(on_orders)))
        return value + float(on_orders @ self.at_orders), np.concatenate([letters, slopes])


@dataclass(frozen=True)
class SeasonalParetoNBD(CountLearner[FittedSeasonalParetoNBD]):
    """Pareto/NBD along a calendar, to be fitted to a summary that `with_calendar` made.

    A covariate that the calendar has is the calendar's, any other a column of the summary.
    """

    calendar: Calendar
    transaction: Sequence[str] = ()
    """Covariates that multiply the rate of orders."""
    dropout: Sequence[str] = ()
    """Covariates that multiply the rate at which customers leave. Seasons are hard to see in it."""
    known: Sequence[str] = ()
    """Covariates of the calendar that are logarithms of what multiplies the rate of orders: nothing is estimated."""
    unit: str = "W"
    """Unit of time of summaries; `fit` takes the summary's own."""

    name: ClassVar[str] = "seasonal Pareto/NBD"
    letters: ClassVar[Sequence[str]] = LETTERS
    in_time: ClassVar[Sequence[str]] = ()
    """None: the calendar and the times are in one unit, which is left as it is."""

    def fit_table(self, table: pa.Table) -> FittedSeasonalParetoNBD:
        """As `fit`. Raises NotEnoughData with fewer than ten customers.

        Raises ValueError for impossible rows, for a missing column, and where an effect cannot be known.
        """
        unit = summary_unit(table)
        unit_days(unit)
        rows = Histories.of(table, *self.columns(), FIRST)
        check_customer_count(rows, self.name)
        weight = finite_column(table, "weight") if "weight" in table.column_names else np.ones(table.num_rows)
        # why: a row needs only their mean, and rows that differ in them need not be kept apart
        sums = {
            at_orders_column(name): np.bincount(
                rows.inverse, finite_column(table, at_orders_column(name)) * weight, len(rows.T)
            )
            / rows.weight
            for name in (*self._of_calendar(self.transaction), *self.known)
        }
        return replace(self, unit=unit).fit_rows(replace(rows, extras={**rows.extras, **sums}), unit)

    def _of_calendar(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self.calendar.values)

    def _of_customers(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in self.calendar.values)

    def columns(self) -> Sequence[str]:
        """The covariates of customers."""
        return tuple(dict.fromkeys(self._of_customers((*self.transaction, *self.dropout))))

    def effects(self) -> Sequence[str]:
        """An effect of each covariate on what it multiplies: those of customers, then those of the calendar."""
        both = (self._of_customers, self._of_calendar)
        return tuple(name for one in both for name in effect_names(one(self.transaction), one(self.dropout)))

    def transform(self, rows: Histories) -> Numbers:
        """From covariates with mean 0 and deviation 1. Raises ValueError where an effect cannot be known."""
        design = Design.of(rows, self._of_customers(self.transaction), self._of_customers(self.dropout))
        exposure = self._exposure(rows)
        blocks = [
            (letter, standardisation(names, design, weight))
            for letter, names, design, weight in (
                ("alpha", self._of_customers(self.transaction), design.transaction, rows.weight),
                ("beta", self._of_customers(self.dropout), design.dropout, rows.weight),
                ("alpha", self._of_calendar(self.transaction), self._table(self.transaction), exposure),
                ("beta", self._of_calendar(self.dropout), self._table(self.dropout), exposure),
            )
        ]
        return destandardising_transform(*blocks)

    def _table(self, names: Sequence[str]) -> Numbers:
        return self.calendar.table(self._of_calendar(names))

    def _exposure(self, rows: Histories) -> Numbers:
        """Days of all customers in each period. Raises ValueError where the calendar does not reach."""
        first, last = rows.extras[FIRST], rows.extras[FIRST] + rows.T * unit_days(self.unit)
        self.calendar.check_coverage(first, last)
        bounds = np.array(self.calendar.bounds)
        by = np.array([rows.weight @ (np.clip(bound, first, last) - first) for bound in bounds])
        return np.diff(by)

    def objective(self, rows: Histories) -> Objective:
        """Mean log-likelihood of a customer."""
        design = Design.of(rows, self._of_customers(self.transaction), self._of_customers(self.dropout))
        customers, days = CovariateLikelihood.of(rows, design), unit_days(self.unit)
        names = (*self._of_calendar(self.transaction), *self.known)
        sums = [float(customers.share @ rows.extras[at_orders_column(name)]) for name in names]
        tables = (self.calendar.table(names), self._table(self.dropout))
        bounds, first = np.array(self.calendar.bounds) / days, rows.extras[FIRST] / days
        return _Likelihood(customers, bounds, *tables, first, np.array(sums), len(self.known))

    def start(self, rows: Histories) -> Numbers:
        """As without covariates, and no effects."""
        in_time = np.log(mean_age(rows)) * np.array([0.0, 1.0, 0.0, 1.0])
        return np.concatenate([START + in_time, np.zeros(len(self.effects()))])

    def fitted_model(self, estimates: Estimates) -> FittedSeasonalParetoNBD:
        """The fitted model."""
        both = (self._of_customers, self._of_calendar)
        of_customers, of_calendar = ((tuple(one(self.transaction)), tuple(one(self.dropout))) for one in both)
        return FittedSeasonalParetoNBD(estimates, *of_customers, self.calendar, *of_calendar, tuple(self.known))
