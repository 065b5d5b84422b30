"""Which contracts are not renewed: backtested at past cutoffs, fitted, and forecast for those that end in 30 days."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import FORECAST, LABEL
from patron.predict.backtest import backtest, fit_champion, to_table
from patron.predict.contract_churn import LEARNERS
from patron.predict.contract_churn.contract_rows import contract_rows, learning_rows
from patron.predict.part_result import PartResult
from patron.predict.proven_champion import with_proven_champion
from patron.predict.score_origins import at, score_origins
from patron.predict.scoring import keep
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import CONTRACT_CHURN, FEWEST_ENDED_CONTRACTS, FEWEST_LOST_CONTRACTS
from patron.schema.numbers import float_column
from patron.schema.tables import BACKTESTS, CONTRACT_FORECASTS
from patron.storage.runs.stage_view import StageView

log = logging.getLogger(__name__)
TABLES = ("contracts", "features", "orders")


def build_contract_forecasts(view: StageView) -> PartResult:
    """Write `contract_forecasts`; a shop without contracts has none, and needs no reason."""
    forecasts, result = CONTRACT_FORECASTS.empty(), PartResult(BACKTESTS.empty())
    if view.query("select count(*) as n from contracts")["n"][0].as_py():
        try:
            forecasts, evaluated = _answer(view)
            result = PartResult(evaluated)
        except NotEnoughData as error:
            log.warning("%s is not answered: %s", CONTRACT_CHURN.name, error)
            result = PartResult(BACKTESTS.empty(), (f"{CONTRACT_CHURN.name}: {error.what}",))
    view.write("contract_forecasts", forecasts)
    return result


def _answer(view: StageView) -> tuple[pa.Table, pa.Table]:
    """Rows of `contract_forecasts` and `backtests`. Raises NotEnoughData, also where no past cutoff is evaluated."""
    rows = contract_rows(view)
    known = learning_rows(rows)
    lost = int(float_column(known, LABEL).sum())
    if known.num_rows < FEWEST_ENDED_CONTRACTS or lost < FEWEST_LOST_CONTRACTS:
        raise NotEnoughData(
            f"{known.num_rows} terms that ended, {lost} of them not renewed;"
            f" {FEWEST_ENDED_CONTRACTS} and {FEWEST_LOST_CONTRACTS} are needed",
            where="contracts",
            todo="Import a longer history of `Contract Started`, renewals included.",
        )
    rng = np.random.default_rng(view.run.child_seed(f"backtest {CONTRACT_CHURN.name}"))
    result = backtest(CONTRACT_CHURN, LEARNERS, score_origins(CONTRACT_CHURN, known, view.run.as_of), rng=rng)
    if not result.origins:
        raise NotEnoughData(result.why, where="contracts", todo="Import a longer history of contracts.")
    result = with_proven_champion(result, rng=rng)
    learner, fitted = fit_champion(result, known)
    evaluated = to_table(result, run_id=view.run.run_id, rng=rng)
    version = keep(view, result, learner, fitted, known, evaluated, tables=TABLES)
    here = at(rows, view.run.as_of)
    columns = {
        "run_id": pa.repeat(view.run.run_id, here.num_rows),
        "customer_id": here["customer_id"],
        "contract_id": here["contract_id"].cast(pa.string()),
        "ends_at": here["ends_at"],
        "is_cancelled": pc.equal(here["is_cancelled"], 1),
        "probability": pa.array(float_column(fitted.predict(here), FORECAST)),
        "model_version": pa.repeat(version, here.num_rows),
    }
    return pa.table(columns).cast(CONTRACT_FORECASTS.schema()), evaluated
