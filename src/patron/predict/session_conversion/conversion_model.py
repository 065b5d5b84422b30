"""The model of `session_conversion`: backtested on later visits, fitted to all, kept for the service."""

import hashlib
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from patron.clickstream import FEATURES, LEARNERS, training_rows
from patron.predict.origins import later_origins
from patron.predict.part_result import PartResult, part_result
from patron.predict.retraining import CurrentModel, train_or_reuse
from patron.predict.sampling import SAMPLE_KEY
from patron.predict.session_conversion.past_sessions import has_sessions, past_sessions
from patron.predict.training import TrainedModel, train_model
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import SESSION_CONVERSION
from patron.schema.table_definition import TIME
from patron.storage.runs.stage_view import StageView

MIN_SESSIONS, MIN_ORDERS = 300, 50
"""Visits, and visits that went on to an order after some event, without which there is no model."""
TABLES = ("sessions", "interactions", "orders")
BEGINS, KNOWN = "begins_at_us", "known_at_us"
FEATURE_VERSION = hashlib.sha256(" ".join(FEATURES).encode()).hexdigest()[:12]


def build_session_conversion(view: StageView) -> PartResult:
    """Train and keep the model, or leave an earlier run's; a shop without events of visits has none."""
    return part_result(view, SESSION_CONVERSION, lambda: _model(view)) if has_sessions(view) else PartResult()


def _model(view: StageView) -> CurrentModel:
    return train_or_reuse(
        view, SESSION_CONVERSION, LEARNERS, feature_version=FEATURE_VERSION, tables=TABLES, train=lambda: _train(view)
    )


def _train(view: StageView) -> TrainedModel:
    """Backtest and fit. Raises NotEnoughData, also where no past cutoff could be evaluated."""
    rows = with_times(training_rows(past_sessions(view)))
    sessions = round(pc.sum(rows["weight"]).as_py() or 0.0)
    converted = rows.filter(pc.equal(rows["label"], 1.0))
    orders = pc.count_distinct(converted["started_at"]).as_py()
    if sessions < MIN_SESSIONS or orders < MIN_ORDERS:
        raise NotEnoughData(
            f"{sessions} visits, {orders} of them with an order after other events; "
            f"{MIN_SESSIONS} and {MIN_ORDERS} are needed",
            where="sessions",
            todo="Collect events of visits for longer.",
        )
    origins = later_origins(rows, BEGINS, KNOWN)
    trained = train_model(view, SESSION_CONVERSION, LEARNERS, origins, rows, history="sessions")
    return replace(trained, rows=_named(rows))


def with_times(rows: pa.Table) -> pa.Table:
    """The rows with a number for each customer, in the order in which they come, and the visit's times in microseconds.

    Ids are other in each workspace. A visit is known the moment after its last event.
    """
    numbers = rows["customer_id"].combine_chunks().dictionary_encode().indices.cast(pa.int64())
    begins, ends = (_microseconds(rows[name]) for name in ("started_at", "ended_at"))
    columns = {SAMPLE_KEY: numbers, BEGINS: begins, KNOWN: pc.add(ends, 1)}
    for name, values in columns.items():
        rows = rows.append_column(name, values)
    return rows


def _microseconds(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(pc.round(pc.multiply(seconds, 1e6)), pa.int64())


def _named(rows: pa.Table) -> pa.Table:
    """The rows with what a manifest names: times as times, and the version of the features."""
    named = rows.set_column(rows.column_names.index("as_of"), "as_of", _microseconds(rows["as_of"]).cast(TIME))
    return named.append_column("feature_version", pa.repeat(FEATURE_VERSION, rows.num_rows))
