"""What the counting models need of a customer, from the columns of `features`; Pareto/NBD and Gamma-Gamma on them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import pyarrow as pa

from patron.clv import FittedSeasonalParetoNBD, SeasonalParetoNBD
from patron.clv.covariate_calendar import FIRST, at_orders_column
from patron.clv.gamma_gamma import FittedGammaGamma, GammaGamma
from patron.clv.rfm_summary import MICROSECONDS_A_DAY, UNIT
from patron.predict.value.season import SEASON, Season
from patron.predict.value.season_prior import SeasonPrior
from patron.schema.errors import NotEnoughData
from patron.schema.models.month_columns import FIRST_ORDER_MONTH, ORDER_DAYS_BY_MONTH
from patron.schema.models.questions import VALUE
from patron.schema.numbers import Numbers, float_column

VALUE_DAYS = float(VALUE.horizon_days)
MIN_DAYS = 14
"""With a shorter history nobody has had the time to come back: a forecast of 90 days would be a guess."""

EXPECTED = (
    "expected_paid_cents_90_days",
    "expected_order_days_90_days",
    "expected_paid_cents_per_order_day",
    "probability_of_order_90_days",
)
"""Columns that the models add to the features."""
INPUTS = (
    "order_day_count_lifetime",
    "days_from_first_to_last_order",
    "days_since_first_order",
    "paid_cents_lifetime",
    "paid_cents_90_days",
)

log = logging.getLogger(__name__)


def summary_of(table: pa.Table) -> pa.Table:
    """The columns of `features` as a summary in days, one row a customer. Orders of one day count as one.

    Columns: frequency, repeat order days; recency, days from the first to the last order; T, days from the first order
    to the cutoff; first_day, when that was, days since 1970; spend_count, order days that spend_mean averages;
    spend_mean, mean paid an order day, cents. There the first order counts too: the paper leaves it out to avoid a
    bias of first orders, but counting it wins the backtest, because most customers have nothing else.
    """
    days = np.maximum(float_column(table, "order_day_count_lifetime"), 1.0)
    # why `where`: an explanation asks what the forecast would be with one column as the median customer has it.
    recency = np.where(days > 1, np.maximum(float_column(table, "days_from_first_to_last_order"), 0.0), 0.0)
    age = np.maximum(np.floor(float_column(table, "days_since_first_order")), recency)
    mean = np.maximum(float_column(table, "paid_cents_lifetime"), 0.0) / days
    columns = {"frequency": days - 1, "recency": recency, "T": age, FIRST: _cutoff_days(table) - age}
    summary = pa.table(columns | {"spend_count": days, "spend_mean": mean})
    return summary.replace_schema_metadata({UNIT: b"D"})


def repeat_days_by_month(table: pa.Table) -> Numbers:
    """Each customer's repeat order days in January to December of any year, a column a month."""
    days = np.column_stack([float_column(table, name) for name in ORDER_DAYS_BY_MONTH])
    first = float_column(table, FIRST_ORDER_MONTH, 1.0).astype(np.int64) - 1
    days[np.arange(len(days)), first] = np.maximum(days[np.arange(len(days)), first] - 1, 0.0)
    return days


def _cutoff_days(table: pa.Table) -> Numbers:
    """Each row's cutoff, whole days since 1970."""
    moments = table["as_of"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return np.floor(moments / MICROSECONDS_A_DAY)


def _spend(summary: pa.Table) -> pa.Table:
    return pa.table({"frequency": summary["spend_count"], "monetary_value": summary["spend_mean"]})


@dataclass(frozen=True)
class OrdersAndSpend:
    """Pareto/NBD along the shop's season for the number of order days, Gamma-Gamma for what one brings."""

    season: Season
    orders: FittedSeasonalParetoNBD
    spend: FittedGammaGamma

    @classmethod
    def fit(cls, table: pa.Table) -> "OrdersAndSpend":
        """Maximum likelihood on the customers of one cutoff; needs no labels. Raises NotEnoughData."""
        summary = summary_of(table)
        longest = float(np.max(summary["T"].to_numpy(), initial=0.0))
        if longest < MIN_DAYS:
            what = f"the longest history is {longest:.0f} days, and a forecast needs {MIN_DAYS}"
            raise NotEnoughData(what, where="value", todo="Import a longer history, or wait.")
        by_month, prior = repeat_days_by_month(table), SeasonPrior.from_rows(table)
        digest = sha256(b"".join(column.to_numpy().tobytes() for column in summary.columns) + by_month.tobytes())
        digest.update(prior.to_text().encode())
        if digest.digest() not in _FITTED:
            if len(_FITTED) >= MAX_FITTED:
                _FITTED.pop(next(iter(_FITTED)))
            _FITTED[digest.digest()] = cls._fit(summary, by_month, prior)
        return _FITTED[digest.digest()]

    @classmethod
    def _fit(cls, summary: pa.Table, by_month: Numbers, prior: SeasonPrior) -> "OrdersAndSpend":
        season = Season.of(summary, by_month, prior)
        calendar = season.calendar(summary)
        along = summary.append_column(at_orders_column(SEASON), pa.array(by_month @ season.around_mean))
        orders = SeasonalParetoNBD(calendar, known=(SEASON,), unit="D").fit(along)
        spend = GammaGamma(first_order=False).fit(_spend(summary))
        if orders.is_collapsed:
            log.info("Pareto/NBD sees no drop-out and is NBD here: P(alive) is 1 for everybody, P(order) still ranks.")
        if spend.has_infinite_mean:
            log.info("Gamma-Gamma has q <= 1, an infinite mean: the observed mean spend stands in for it.")
        return cls(season, orders, spend)

    def summary(self, table: pa.Table) -> pa.Table:
        """As `summary_of`; nobody is older than the calendar, whose first customer may not be in a sample."""
        rows = summary_of(table)
        begun = self.orders.calendar.bounds[0]
        ends = rows[FIRST].to_numpy() + rows["T"].to_numpy()
        age = np.minimum(rows["T"].to_numpy(), ends - begun)
        recency = np.minimum(rows["recency"].to_numpy(), age)
        for name, values in (("T", age), (FIRST, ends - age), ("recency", recency)):
            rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
        return rows

    def forecast(self, table: pa.Table) -> Numbers:
        """Expected spend in the next 90 days, cents."""
        summary = self.summary(table)
        orders = self.orders_until(summary).expected_purchases(summary, VALUE_DAYS)
        return orders * self.spend.expected_spend(_spend(summary))

    def orders_until(self, summary: pa.Table) -> FittedSeasonalParetoNBD:
        """The model of orders along a calendar that reaches a horizon after a summary: it may be a later one."""
        calendar = self.orders.calendar
        last = float(np.max(summary[FIRST].to_numpy() + summary["T"].to_numpy(), initial=calendar.bounds[0]))
        if last + VALUE_DAYS <= calendar.bounds[-1]:
            return self.orders
        first = calendar.bounds[0] + 1
        longer = self.season.calendar(pa.table({FIRST: [first], "T": [last - first]}))
        return replace(self.orders, calendar=longer)

    def columns(self, table: pa.Table) -> dict[str, Numbers]:
        """What the two models say of each customer, as features for other learners."""
        summary = self.summary(table)
        along = self.orders_until(summary)
        orders = along.expected_purchases(summary, VALUE_DAYS)
        spend = self.spend.expected_spend(_spend(summary))
        buys = along.probability_of_purchase(summary, VALUE_DAYS)
        return dict(zip(EXPECTED, (orders * spend, orders, spend, buys), strict=True))


def median_of(rows: pa.Table, names: Sequence[str] = INPUTS) -> dict[str, float]:
    """The median customer's inputs of the models, to explain forecasts against."""
    return {name: float(np.median(float_column(rows, name))) for name in names}


def moved_from(
    median: Mapping[str, float], table: pa.Table, forecast: Callable[[pa.Table], Numbers]
) -> tuple[tuple[str, ...], Numbers]:
    """How much each input moved a forecast: the forecast less what it would be with the median input."""
    base = forecast(table)
    moved = [
        base - forecast(table.set_column(table.column_names.index(name), name, pa.array(np.full(len(base), value))))
        for name, value in median.items()
    ]
    return tuple(median), np.column_stack(moved)


MAX_FITTED = 8
_FITTED: dict[bytes, OrdersAndSpend] = {}
"""The newest fits, by what they were fitted to: three questions ask for them at the same cutoffs."""
