"""How the champion does in groups of customers, next to the best baseline and to the model that an earlier run used.

A model that is fitted anew may forget customers whom an earlier one knew. So both forecast from the same past cutoff,
the newest whose outcome is known: the champion as the backtest fitted it there, the earlier one as its run kept it, if
that run is no later than the cutoff. Neither was fitted to an outcome that it is judged by.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.bootstrap import bootstrap_weights, interval, paired_gain
from patron.estimators.learner import FORECAST
from patron.predict.backtest import FEWER_RESAMPLES, Backtest
from patron.predict.origins import Forecasts, Origin
from patron.predict.pinned_models import load_model
from patron.schema.errors import PatronError
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import METRICS_BY_GROUP
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView

MIN_CUSTOMERS = 20
"""A smaller group is not shown by itself."""
MAX_GROUPS = 5
UNKNOWN, OTHER = "unknown", "other"
BANDS = ((1, "1"), (3, "2-3"), (9, "4-9"), (np.inf, "10+"))
"""Most orders of each band, and its name."""
CHANNELS = {"favourite_channel": "order_channel", "first_channel": "first_channel"}
"""Grouping of each feature that is a channel."""


def metrics_by_group(view: StageView, result: Backtest, origins: Sequence[Origin]) -> pa.Table:
    """Rows of `metrics_by_group` of one question; none where no past cutoff was evaluated."""
    origin = next((one for one in origins if one.name in result.origins), None)
    if origin is None:
        return METRICS_BY_GROUP.empty()
    champion, baseline = (result.evaluations[origin.name, name] for name in (result.champion, result.baseline))
    version, earlier = earlier_forecast(view, result.question.name, origin)
    rng = np.random.default_rng(view.run.child_seed(f"groups {result.question.name}"))
    same = {
        "run_id": view.run.run_id,
        "question": result.question.name,
        "origin": origin.name,
        "metric": result.question.primary_metric.name,
        "learner": result.champion,
        "baseline": result.baseline,
        "earlier_version": version,
    }
    rows = []
    for grouping, names in groupings(origin.test_rows):
        for name in sorted(set(names.tolist())):
            where = np.flatnonzero(names == name)
            if len(where) >= MIN_CUSTOMERS:
                group = {"grouping": grouping, "group_name": name, "customer_count": len(where)}
                rows.append(same | group | _measure(result, champion, baseline, earlier, where, rng))
    return pa.Table.from_pylist(rows, schema=METRICS_BY_GROUP.schema())


def earlier_forecast(view: StageView, question: str, origin: Origin) -> tuple[str | None, Numbers | None]:
    """The newest kept model of a run no later than an origin, and its forecasts there; None without a usable one."""
    latest = Run.at(origin.cutoff, zone=view.settings.shop.time_zone).run_id
    kept = [name for name in model_registry.model_versions(view.declared_store) if name.startswith(f"{question}/")]
    known = [name for name in kept if name.partition("/")[2] <= latest]  # why: versions are dates, as text
    if not known:
        return None, None
    version = max(known)
    try:
        manifest = model_registry.manifest(view.models_folder, view.declared_store, version)
        if manifest.feature_version != origin.test_rows["feature_version"][0].as_py():
            return None, None
        fitted = load_model(view.models_folder, view.declared_store, version)
    except PatronError:  # why: a comparison that cannot be made is no reason to stop a run; `patron doctor` reports it
        return None, None
    return version, float_column(fitted.predict(origin.test_rows), FORECAST)


def groupings(rows: pa.Table) -> Iterator[tuple[str, np.ndarray]]:
    """Each grouping that the rows have the feature of, and the group of each row."""
    if "days_since_first_order" in rows.column_names:
        yield "first_order", _half_years(rows)
    if "order_count_lifetime" in rows.column_names:
        counts = float_column(rows, "order_count_lifetime")
        place = np.searchsorted([most for most, _ in BANDS], counts)
        yield "order_count", np.array([name for _, name in BANDS])[place]
    for feature, grouping in CHANNELS.items():
        if feature in rows.column_names:
            yield grouping, _largest(rows[feature])


def _half_years(rows: pa.Table) -> np.ndarray:
    """Half-year of each customer's first order, UTC; the older ones are together."""
    days = rows["as_of"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy() / 86_400_000_000
    first = np.floor(days - float_column(rows, "days_since_first_order")).astype(np.int64)
    months = first.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    half_years = months // 6
    oldest = max(half_years.max() - MAX_GROUPS + 2, half_years.min())
    names = [f"{1970 + half // 2}-H{half % 2 + 1}" for half in np.maximum(half_years, oldest)]
    older = half_years < oldest
    return np.where(older, f"before {1970 + oldest // 2}-H{oldest % 2 + 1}", names)


def _largest(values: pa.ChunkedArray) -> np.ndarray:
    """Text of each row; of the rarest, and those with few customers, OTHER."""
    texts = pc.fill_null(values, UNKNOWN)
    counts = sorted((-count["counts"], count["values"]) for count in pc.value_counts(texts).to_pylist())
    kept = [text for count, text in counts[: MAX_GROUPS - 1] if -count >= MIN_CUSTOMERS]
    return np.array([text if text in kept else OTHER for text in texts.to_pylist()])


def _measure(
    result: Backtest,
    champion: Forecasts,
    baseline: Forecasts,
    earlier: Numbers | None,
    where: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, float | None]:
    """The champion in one group, next to the baseline and the earlier model, with paired intervals."""
    metric = result.question.primary_metric
    actual = champion.actual[where]
    forecast = champion.forecast[where]
    weights = bootstrap_weights(champion.customers[where], rng=rng, resamples=FEWER_RESAMPLES)
    around = interval(metric, actual, forecast, weights=weights)
    row = {"value": around.value, "low": around.low, "high": around.high}
    for name, other in (("baseline", baseline.forecast), ("earlier", earlier)):
        if other is not None:
            prefix = "earlier_" if name == "earlier" else ""
            gain = paired_gain(metric, actual, forecast, other[where], weights=weights)
            row[f"{name}_value"] = float(metric.of(actual, other[where]))
            row |= {f"{prefix}gain": gain.value, f"{prefix}gain_low": gain.low, f"{prefix}gain_high": gain.high}
    return {name: float(value) if np.isfinite(value) else None for name, value in row.items()}
