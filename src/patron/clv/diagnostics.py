"""What charts of customer value show, as Arrow tables: from a fitted model, a summary and orders.

Each function gives the numbers; `patron.interfaces.charts.clv_charts` has one of the same name that draws them. A table
carries facts about itself (the unit of time, the horizon, the Gini coefficient), which `metadata_of` reads.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.clv.beta_geo_beta_binom import FittedBetaGeoBetaBinom
from patron.clv.count_model import CountModel
from patron.clv.distinct_histories import Histories, finite_column
from patron.clv.order_times import timestamp_us, timestamps_us
from patron.clv.rfm_summary import MICROSECONDS_A_DAY, UNIT_DAYS
from patron.schema.frames import arrow
from patron.schema.models.metrics import decile_of, gini
from patron.schema.numbers import Numbers
from patron.schema.table_metadata import metadata_of, with_metadata

__all__ = [
    "alive_over_time",
    "calibration_by_decile",
    "cohorts",
    "forecast_fan",
    "frequency_recency",
    "lorenz",
    "metadata_of",
    "tracking",
]
Day = date | datetime | str
Days = npt.NDArray[np.int64]
MAX_CELLS = 40
"""Recencies of a matrix: more of them show nothing new."""
MAX_POINTS = 200
"""Days between orders at which P(alive) is given."""
SHARES = 100
"""A Lorenz curve is given at every hundredth of the customers."""
FAN = {"low_80": 0.1, "low_50": 0.25, "middle": 0.5, "high_50": 0.75, "high_80": 0.9}
"""Quantiles of a fan, by the interval whose end they are."""
FAN_STEPS = 26
TAIL = 0.05
"""Chance that may be left in "so many orders or more" for quantiles to be read from the others."""
MAX_ORDERS = 100_000
NORMAL_95 = 1.959964


def frequency_recency(fitted: CountModel, horizon: float, *, T: float, most_frequency: int = 20) -> pa.Table:
    """Forecasts for customers whose first order was `T` ago, by how many repeat orders they have and when the last was.

    Columns: frequency, repeat orders; recency, time from the first order to the last; probability_alive;
    expected_orders in the next `horizon`. One row per history that can be: who never came back has recency 0.

    Raises ValueError for a T or a `most_frequency` of nothing.
    """
    if T <= 0 or most_frequency < 1:
        raise ValueError(f"T {T:g} and most_frequency {most_frequency} leave nothing to show")
    steps = int(T) if float(T).is_integer() and T <= MAX_CELLS else MAX_CELLS
    in_periods = isinstance(fitted, FittedBetaGeoBetaBinom)
    recency = np.arange(1, int(T) + 1, dtype=np.float64) if in_periods else np.linspace(0, T, steps + 1)[1:]
    pairs = [(0.0, 0.0)]
    pairs += [(n, t) for n in range(1, most_frequency + 1) for t in recency if not (in_periods and n > t)]
    x, tx = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    summary = pa.table({"frequency": x, "recency": tx, "T": np.full(len(x), float(T))})
    columns = {
        "frequency": x.astype(np.int64),
        "recency": tx,
        "probability_alive": fitted.probability_alive(summary),
        "expected_orders": fitted.expected_purchases(summary, horizon),
    }
    return with_metadata(columns, unit=fitted.unit, horizon=f"{horizon:g}", age=f"{T:g}")


def alive_over_time(fitted: CountModel, ordered_at: Sequence[Day], until: Day, *, unit: str = "") -> pa.Table:
    """P(alive) of one customer on each day from the first order to the end of the day `until`.

    `ordered_at` holds the days of the orders; orders of one day count as one. The unit of time is the model's, or
    `unit` where it has none. An order's day has two rows: before it, and just after (`is_order`).

    Columns: at; age, time since the first order; frequency; probability_alive; is_order. Raises ValueError without an
    order by then or a unit.
    """
    days, end, scale = _of_one(ordered_at, until, unit or fitted.unit)
    grid = np.unique(np.linspace(days[0], end, min(MAX_POINTS, int(end - days[0])) + 1).round().astype(np.int64))
    before = np.unique(np.concatenate([grid, days[1:]]))
    at = np.concatenate([before, days])
    is_order = np.concatenate([np.zeros(len(before), bool), np.ones(len(days), bool)])
    order = np.lexsort((is_order, at))[1:]  # why: before the first order there is nothing to say
    at, is_order = at[order], is_order[order]
    frequency = np.searchsorted(days, at, side="left") + is_order - 1
    recency = (days[frequency] - days[0]) / scale
    age = (at - days[0]) / scale
    summary = pa.table({"frequency": frequency.astype(np.float64), "recency": recency, "T": age})
    alive = fitted.probability_alive(summary)
    columns = {
        "at": _timestamps(at),
        "age": age,
        "frequency": frequency,
        "probability_alive": alive,
        "is_order": is_order,
    }
    return with_metadata(columns, unit=unit or fitted.unit)


def forecast_fan(
    fitted: CountModel, ordered_at: Sequence[Day], until: Day, horizon: float, *, unit: str = ""
) -> pa.Table:
    """One customer's orders so far, and how many there will have been by each time of the `horizon` after `until`.

    `ordered_at`, `until` and `unit` are as in `alive_over_time`. The quantiles of orders to come
    are whole numbers, and include the probability that the customer has left.

    Columns: at; ahead, time after `until`, below 0 for the past; orders, so far (NULL in the future); expected, low_80,
    low_50, middle, high_50, high_80 (NULL in the past). Raises ValueError without an order by then or a unit.
    """
    days, end, scale = _of_one(ordered_at, until, unit or fitted.unit)
    known = {"frequency": [len(days) - 1.0], "recency": [(days[-1] - days[0]) / scale], "T": [(end - days[0]) / scale]}
    rows = fitted.rows(pa.table(known))
    ahead = np.linspace(0.0, horizon, FAN_STEPS + 1)
    quantiles = np.array([_quantiles(fitted, rows, float(step)) for step in ahead])
    expected = [fitted.expected(rows, float(step))[0] for step in ahead]
    past, now = np.append(days, end), float(len(days))
    to_come = {name: now + quantiles[:, place] for place, name in enumerate(FAN)}
    nothing, unknown = [None] * len(past), [None] * len(ahead)
    columns: dict[str, Any] = {
        "at": pa.concat_arrays([_timestamps(past), _timestamps(end + ahead * scale)]),
        "ahead": np.concatenate([(past - end) / scale, ahead]),
        "orders": pa.array([*np.arange(1.0, now + 1), now, *unknown], pa.float64()),
        "expected": pa.array([*nothing, *(now + np.array(expected))], pa.float64()),
    }
    columns |= {name: pa.array([*nothing, *values], pa.float64()) for name, values in to_come.items()}
    return with_metadata(columns, unit=unit or fitted.unit, horizon=f"{horizon:g}")


def tracking(  # noqa: PLR0913 - orders may name their columns as they like
    fitted: CountModel,
    summary: Any,
    orders: Any,
    *,
    until: Day,
    customer: str = "customer_id",
    time: str = "ordered_at",
    value: str | None = "value",
) -> pa.Table:
    """Repeat orders of a summary's customers week by week, actual and as the model expects of new customers.

    The summary is one that `rfm` made (its `first_at` says when each came), usually the one the model was fitted to;
    `orders` reach to `until`, beyond the summary's end where there is a holdout. Expected are the orders that a
    new customer of each age places, summed over customers: what each did so far is not used. A last week that is not
    over by then is left out.

    Columns: at, the end of the week; orders, expected, of the week; orders_so_far, expected_so_far; is_holdout, whether
    the week is after the summary's end. Raises ValueError for a model without a unit or a summary without `first_at`.
    """
    table = arrow(summary)
    if "first_at" not in table.column_names:
        raise ValueError("the summary has no column first_at; make it with rfm")
    scale = _scale(fitted.unit)
    first = _days(table["first_at"])
    last_fitted_day = int(np.round(first + finite_column(table, "T") * scale).max(initial=first[0]))
    start, end = int(first.min()), timestamp_us(until) // MICROSECONDS_A_DAY
    edges = np.arange(start - 1, end + 1, 7)
    repeats = _repeat_days(orders, table, (customer, time, value))
    actual = np.histogram(repeats, edges + 0.5)[0] if len(edges) > 1 else np.zeros(0, np.int64)
    days, counts = np.unique(first, return_counts=True)
    ages = np.maximum(edges[:, None] - days, 0)
    distinct, place = np.unique(ages, return_inverse=True)
    new = np.array([fitted.expected_purchases_new(float(age) / scale) if age else 0.0 for age in distinct])
    so_far = new[place].reshape(ages.shape) @ counts
    columns = {
        "at": _timestamps(edges[1:]),
        "orders": actual,
        "expected": np.diff(so_far),
        "orders_so_far": np.cumsum(actual),
        "expected_so_far": so_far[1:],
        "is_holdout": edges[1:] > last_fitted_day,
    }
    ends = str(date.fromordinal(date(1970, 1, 1).toordinal() + last_fitted_day))
    return with_metadata(columns, unit=fitted.unit, fitted_until=ends, customers=len(first))


def calibration_by_decile(actual: Any, forecast: Any) -> pa.Table:
    """Forecast against actual, one number a customer, by decile of the forecast.

    Columns: decile, 1 the lowest forecasts; customer_count; forecast_mean; actual_mean, with the ends of its 95 %
    interval actual_low and actual_high (normal, NULL for one customer). Raises ValueError when there is nobody, or not
    one forecast for each customer.
    """
    actuals, forecasts = _amounts(actual), _amounts(forecast)
    if not len(forecasts) or len(forecasts) != len(actuals):
        raise ValueError(f"{len(actuals)} customers and {len(forecasts)} forecasts")
    decile = decile_of(forecasts)
    groups = [decile == one for one in np.unique(decile)]
    means = np.array([actuals[group].mean() for group in groups])
    halves = [
        NORMAL_95 * actuals[group].std(ddof=1) / np.sqrt(group.sum()) if group.sum() > 1 else None for group in groups
    ]
    columns = {
        "decile": np.unique(decile),
        "customer_count": np.array([group.sum() for group in groups]),
        "forecast_mean": np.array([forecasts[group].mean() for group in groups]),
        "actual_mean": means,
        "actual_low": [None if half is None else mean - half for mean, half in zip(means, halves, strict=True)],
        "actual_high": [None if half is None else mean + half for mean, half in zip(means, halves, strict=True)],
    }
    return with_metadata(columns)


def lorenz(values: Any, *, by: Any = None) -> pa.Table:
    """How unevenly an amount is spread: the share of it that the customers with the least hold together.

    With `by`, a forecast of each customer, also the share that those with the lowest forecasts hold: the nearer the two
    curves, the better the forecast ranks. `metadata_of(table)["gini"]` is the Gini coefficient, and with `by`
    `normalised_gini` that of the forecast relative to it, 0 to 1.

    Columns: share_of_customers, 0 to 1 in hundredths; share_of_value; with `by` share_of_value_by_forecast. Raises
    ValueError where the amounts do not add up to more than 0.
    """
    amounts = _amounts(values)
    total = amounts.sum()
    if not total > 0:
        raise ValueError(f"{len(amounts)} amounts add up to {total:g}; a Lorenz curve needs more than 0")
    at = np.linspace(0, 1, SHARES + 1)
    known = gini(amounts)
    columns = {"share_of_customers": at, "share_of_value": _held(amounts, amounts, at)}
    if by is None:
        return with_metadata(columns, gini=known)
    forecast = _amounts(by)
    if len(forecast) != len(amounts):
        raise ValueError(f"{len(amounts)} customers and {len(forecast)} forecasts")
    columns["share_of_value_by_forecast"] = _held(amounts, forecast, at)
    return with_metadata(
        columns, gini=known, normalised_gini=gini(amounts, forecast) / known if known else float("nan")
    )


def cohorts(orders: Any, *, until: Day, customer: str = "customer_id", time: str = "ordered_at") -> pa.Table:
    """Retention by cohort: of the customers whose first order was in a month, how many ordered in each month since.

    Columns: cohort, as 1997-03; age, months since; customer_count, of the cohort; share of them who ordered then. Only
    months that are over by the end of the day `until`; months are in UTC.
    """
    table, last_day = _with_columns(orders, customer, time), timestamp_us(until) // MICROSECONDS_A_DAY
    days = _days(table[time])
    table, days = table.filter(pa.array(days <= last_day)), days[days <= last_day]
    over = int(_month(np.array([last_day + 1]))[0])  # the first month that is not over
    active = pa.table({"who": table[customer], "month": _month(days)}).group_by(["who", "month"]).aggregate([])
    firsts = active.group_by("who").aggregate([("month", "min")])
    counted = active.join(firsts, "who").group_by(["month_min", "month"]).aggregate([([], "count_all")])
    active_count = {(row["month_min"], row["month"]): row["count_all"] for row in counted.to_pylist()}
    cells = [(first, month) for first in sorted({first for first, _ in active_count}) for month in range(first, over)]
    counts = np.array([active_count[first, first] for first, _ in cells], dtype=np.int64)
    return pa.table(
        {
            "cohort": pa.array([str(np.datetime64(first, "M")) for first, _ in cells], pa.string()),
            "age": pa.array([month - first for first, month in cells], pa.int64()),
            "customer_count": counts,
            "share": np.array([active_count.get(cell, 0) for cell in cells], dtype=np.float64) / counts,
        }
    )


def _with_columns(orders: Any, *names: str | None) -> pa.Table:
    """Orders as a table. Raises ValueError for a missing column."""
    table = arrow(orders)
    missing = [name for name in names if name is not None and name not in table.column_names]
    if missing:
        raise ValueError(f"orders have no column {', '.join(missing)}; they have {', '.join(table.column_names)}")
    return table


def _scale(unit: str) -> float:
    if unit not in UNIT_DAYS:
        known = ", ".join(UNIT_DAYS)
        raise ValueError(f"the model was fitted to a summary without a unit of time; name one of {known}, or use rfm")
    return UNIT_DAYS[unit]


def _of_one(ordered_at: Sequence[Day], until: Day, unit: str) -> tuple[Days, int, float]:
    """Order days of one customer, the last day that is seen (days since 1970), and the days of a unit of time."""
    end = timestamp_us(until) // MICROSECONDS_A_DAY
    days = np.unique(np.array([timestamp_us(one) // MICROSECONDS_A_DAY for one in ordered_at], dtype=np.int64))
    days = days[days <= end]
    if not len(days):
        raise ValueError(f"the customer has no order by {until}")
    return days, end, _scale(unit)


def _quantiles(fitted: CountModel, rows: Histories, horizon: float) -> list[float]:
    """Quantiles of the orders of one customer in a horizon."""
    most, chances = 8, np.zeros(1)
    while most == 8 or (chances[-1] > TAIL and most < MAX_ORDERS):
        most *= 2
        chances = fitted.counts(rows, horizon, most)[0]
    return [float(one) for one in np.searchsorted(np.cumsum(chances), np.array(list(FAN.values())) - 1e-12)]


def _repeat_days(orders: Any, summary: pa.Table, names: tuple[str, str, str | None]) -> Days:
    """Day of each repeat order of the summary's customers; orders of one day are one, refunds do not count."""
    customer, time, value = names
    table = _with_columns(orders, *names)
    ids = summary["customer_id"].combine_chunks()
    who = pc.fill_null(pc.index_in(table[customer].cast(ids.type), value_set=ids), -1).to_numpy()
    days = _days(table[time])
    is_order = who >= 0 if value is None else (who >= 0) & (finite_column(table, value) >= 0)
    pairs = np.unique(np.column_stack([who[is_order], days[is_order]]), axis=0)
    return pairs[pairs[:, 1] > _days(summary["first_at"])[pairs[:, 0]], 1]


def _held(amounts: Numbers, by: Numbers, at: Numbers) -> Numbers:
    """Share of the amounts that the lowest `by` hold at each share of the customers; equals share evenly."""
    distinct, place = np.unique(by, return_inverse=True)
    people = np.cumsum(np.bincount(place, minlength=len(distinct))) / len(by)
    held = np.cumsum(np.bincount(place, amounts, len(distinct))) / amounts.sum()
    return np.interp(at, np.append(0.0, people), np.append(0.0, held))


def _amounts(values: Any) -> Numbers:
    amounts = np.asarray(values, dtype=np.float64)
    if not np.isfinite(amounts).all():
        raise ValueError(f"{int((~np.isfinite(amounts)).sum())} values are missing or infinite")
    return amounts


def _days(times: pa.ChunkedArray) -> Days:
    return timestamps_us(times) // MICROSECONDS_A_DAY


def _month(days: Days) -> Days:
    """Months since January 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _timestamps(days: npt.NDArray[Any]) -> pa.Array:
    """Days since 1970, fractions included, as timestamps."""
    return pa.array((days * MICROSECONDS_A_DAY).round().astype(np.int64)).cast(pa.timestamp("us", tz="UTC"))
