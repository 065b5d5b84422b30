"""Which contracts are not renewed: backtested at past cutoffs, fitted, and forecast for those that end in 30 days."""

import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import FORECAST, LABEL
from patron.predict.contract_churn import LEARNERS
from patron.predict.contract_churn.contract_rows import contract_rows, learning_rows
from patron.predict.origins import at, cutoff_origins
from patron.predict.training import PartResult, keep, part_result, train_model
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import CONTRACT_CHURN, FEWEST_ENDED_CONTRACTS, FEWEST_LOST_CONTRACTS
from patron.schema.numbers import float_column
from patron.schema.tables import BACKTESTS, CONTRACT_FORECASTS
from patron.storage.runs.stage_view import StageView

TABLES = ("contracts", "features", "orders")


def build_contract_forecasts(view: StageView) -> PartResult:
    """Write `contract_forecasts`; a shop without contracts has none, and needs no reason."""
    if view.query("select count(*) as n from contracts")["n"][0].as_py():
        result = part_result(CONTRACT_CHURN, lambda: _answer(view))
        if not result.unanswered:
            return result
    else:
        result = PartResult(BACKTESTS.empty())
    view.write("contract_forecasts", CONTRACT_FORECASTS.empty())
    return result


def _answer(view: StageView) -> pa.Table:
    """Write the forecasts; rows of `backtests`. Raises NotEnoughData, also where no past cutoff is evaluated."""
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
    origins = cutoff_origins(CONTRACT_CHURN, known, view.run.as_of)
    trained = train_model(view, CONTRACT_CHURN, LEARNERS, origins, known, history="contracts")
    version = keep(view, trained, TABLES)
    here = at(rows, view.run.as_of)
    columns = {
        "run_id": pa.repeat(view.run.run_id, here.num_rows),
        "customer_id": here["customer_id"],
        "contract_id": here["contract_id"].cast(pa.string()),
        "ends_at": here["ends_at"],
        "is_cancelled": pc.equal(here["is_cancelled"], 1),
        "probability": pa.array(float_column(trained.fitted.predict(here), FORECAST)),
        "model_version": pa.repeat(version, here.num_rows),
    }
    view.write("contract_forecasts", pa.table(columns).cast(CONTRACT_FORECASTS.schema()))
    return trained.backtests
