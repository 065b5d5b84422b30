"""Charts of the value library, one call each: a model or forecasts in, a chart out, which a notebook shows.

`chart.svg()` is its text, to be written to a file; `chart.head` and `chart.rows` are the same facts as a table. Charts
need `pip install 'patron[plots]'`. What a chart shows comes from the function of the same name in
`patron.clv.diagnostics`; `language` is en or zh_CN.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from patron.clv import CountModel, diagnostics
from patron.schema.errors import MissingExtra

if TYPE_CHECKING:
    import pyarrow as pa

    from patron.interfaces.charts.chart import Chart

__all__ = [
    "alive_over_time",
    "calibration_by_decile",
    "cohorts",
    "forecast_fan",
    "frequency_recency",
    "lorenz",
    "tracking",
]
Day = date | datetime | str
Language = Literal["en", "zh_CN"]


def tracking(  # noqa: PLR0913 - orders may name their columns as they like
    fitted: CountModel,
    summary: Any,
    orders: Any,
    *,
    until: Day,
    is_cumulative: bool = False,
    customer: str = "customer_id",
    time: str = "ordered_at",
    value: str | None = "value",
    language: Language = "en",
) -> "Chart":
    """Repeat orders week by week (or so far), actual and as the model expects. Raises ValueError, MissingExtra."""
    names = {"customer": customer, "time": time, "value": value}
    table = diagnostics.tracking(fitted, summary, orders, until=until, **names)
    return _draw("tracking", table, language, is_cumulative=is_cumulative)


def calibration_by_decile(actual: Any, forecast: Any, *, language: Language = "en") -> "Chart":
    """Forecast against actual, one number a customer, by decile of the forecast. Raises ValueError, MissingExtra."""
    return _draw("calibration_by_decile", diagnostics.calibration_by_decile(actual, forecast), language)


def lorenz(values: Any, *, by: Any = None, language: Language = "en") -> "Chart":
    """How unevenly an amount is spread, and how well a forecast ranks it (`by`). Raises ValueError, MissingExtra."""
    return _draw("lorenz", diagnostics.lorenz(values, by=by), language)


def frequency_recency(
    fitted: CountModel,
    horizon: float,
    *,
    T: float,
    most_frequency: int = 20,
    of: Literal["expected_orders", "probability_alive"] = "expected_orders",
    language: Language = "en",
) -> "Chart":
    """Expected orders, or P(alive), by how often and recently one bought. Raises ValueError, MissingExtra."""
    table = diagnostics.frequency_recency(fitted, horizon, T=T, most_frequency=most_frequency)
    return _draw("frequency_recency", table, language, of=of)


def alive_over_time(fitted: CountModel, ordered_at: Sequence[Day], until: Day, *, language: Language = "en") -> "Chart":
    """P(alive) of one customer on each day since the first order. Raises ValueError, MissingExtra."""
    return _draw("alive_over_time", diagnostics.alive_over_time(fitted, ordered_at, until), language)


def forecast_fan(
    fitted: CountModel, ordered_at: Sequence[Day], until: Day, horizon: float, *, language: Language = "en"
) -> "Chart":
    """One customer's orders so far and those to come, with 50 and 80 % intervals. Raises ValueError, MissingExtra."""
    return _draw("forecast_fan", diagnostics.forecast_fan(fitted, ordered_at, until, horizon), language)


def cohorts(
    orders: Any, *, until: Day, customer: str = "customer_id", time: str = "ordered_at", language: Language = "en"
) -> "Chart":
    """Share of each monthly cohort who ordered in each month since. Raises ValueError, MissingExtra."""
    return _draw("cohorts", diagnostics.cohorts(orders, until=until, customer=customer, time=time), language)


def _draw(name: str, table: "pa.Table", language: Language, **options: Any) -> "Chart":
    try:
        from patron.interfaces.charts import clv_charts  # noqa: PLC0415 - drawing is an extra
        from patron.interfaces.i18n.formats import Formats  # noqa: PLC0415
        from patron.interfaces.i18n.translations import words  # noqa: PLC0415
    except ModuleNotFoundError as error:
        what = f"charts need {error.name}"
        raise MissingExtra(what, where="patron.plots", todo="Install it: pip install 'patron[plots]'") from error
    return getattr(clv_charts, name)(table, words(language), Formats(language, "USD", "UTC"), **options)
