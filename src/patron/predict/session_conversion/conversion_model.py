"""The model of `session_conversion` of a run: backtested on later visits, fitted to all, kept for the service."""

import hashlib
import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.clickstream import FEATURES, LEARNERS, training_rows
from patron.predict.backtest import backtest, fit_champion, to_table
from patron.predict.part_result import PartResult
from patron.predict.scoring import keep
from patron.predict.session_conversion.past_sessions import past_sessions
from patron.predict.session_conversion.session_origins import session_origins, with_customer_numbers
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import SESSION_CONVERSION
from patron.schema.table_definition import TIME
from patron.schema.tables import BACKTESTS
from patron.storage.runs.stage_view import StageView

log = logging.getLogger(__name__)
FEWEST_SESSIONS, FEWEST_ORDERS = 300, 50
"""Visits, and visits that went on to an order after some event, without which there is no model."""
TABLES = ("sessions", "interactions", "orders")


def build_session_conversion(view: StageView) -> PartResult:
    """Fit and keep the model of a run; a shop without events of visits has none, and needs no reason."""
    sessions = past_sessions(view)
    if not sessions:
        return PartResult(BACKTESTS.empty())
    try:
        return PartResult(_answer(view, with_customer_numbers(training_rows(sessions))))
    except NotEnoughData as error:
        log.warning("%s is not answered: %s", SESSION_CONVERSION.name, error)
        return PartResult(BACKTESTS.empty(), (f"{SESSION_CONVERSION.name}: {error.what}",))


def _answer(view: StageView, rows: pa.Table) -> pa.Table:
    """Backtest, fit and keep. Raises NotEnoughData, also where no past cutoff could be evaluated."""
    sessions = round(pc.sum(rows["weight"]).as_py() or 0.0)
    converted = rows.filter(pc.equal(rows["label"], 1.0))
    orders = pc.count_distinct(converted["started_at"]).as_py()
    if sessions < FEWEST_SESSIONS or orders < FEWEST_ORDERS:
        raise NotEnoughData(
            f"{sessions} visits, {orders} of them with an order after other events; "
            f"{FEWEST_SESSIONS} and {FEWEST_ORDERS} are needed",
            where="sessions",
            todo="Collect events of visits for longer.",
        )
    rng = np.random.default_rng(view.run.child_seed(f"backtest {SESSION_CONVERSION.name}"))
    result = backtest(SESSION_CONVERSION, LEARNERS, session_origins(rows), rng=rng)
    if not result.origins:
        raise NotEnoughData(result.why, where="sessions", todo="Collect events of visits for longer.")
    learner, fitted = fit_champion(result, rows)
    evaluated = to_table(result, run_id=view.run.run_id, rng=rng)
    keep(view, result, learner, fitted, _named(rows), evaluated, tables=TABLES)
    return evaluated


def _named(rows: pa.Table) -> pa.Table:
    """The rows with what a manifest names: times as times, and a hash of the features' names."""
    version = hashlib.sha256(" ".join(FEATURES).encode()).hexdigest()[:12]
    micros = pc.cast(pc.round(pc.multiply(rows["as_of"], 1e6)), pa.int64()).cast(TIME)
    named = rows.set_column(rows.column_names.index("as_of"), "as_of", micros)
    return named.append_column("feature_version", pa.array([version] * rows.num_rows, pa.string()))
