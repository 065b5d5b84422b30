"""Which contracts are not renewed: backtested at past cutoffs, fitted, and forecast for those that end in 30 days."""

import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import FORECAST, LABEL
from patron.predict.contract_churn import LEARNERS
from patron.predict.contract_churn.contract_rows import FEATURE_VERSION, contract_rows, learning_rows
from patron.predict.origins import at, cutoff_origins
from patron.predict.part_result import PartResult, part_result
from patron.predict.retraining import CurrentModel, train_or_reuse
from patron.predict.training import TrainedModel, train_model
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import CONTRACT_CHURN, MIN_ENDED_CONTRACTS, MIN_LOST_CONTRACTS
from patron.schema.numbers import float_column
from patron.schema.tables import CONTRACT_FORECASTS
from patron.storage.runs.stage_view import StageView

TABLES = ("contracts", "features", "orders")


def build_contract_forecasts(view: StageView) -> PartResult:
    """Write `contract_forecasts`; a shop without contracts has none, and needs no reason."""
    if view.query("select count(*) as n from contracts")["n"][0].as_py():
        result = part_result(view, CONTRACT_CHURN, lambda: _answer(view))
        if not result.unanswered:
            return result
    else:
        result = PartResult()
    view.write("contract_forecasts", CONTRACT_FORECASTS.empty())
    return result


def _answer(view: StageView) -> CurrentModel:
    """Write the forecasts. Raises NotEnoughData."""
    rows = contract_rows(view)
    model = train_or_reuse(
        view,
        CONTRACT_CHURN,
        LEARNERS,
        feature_version=FEATURE_VERSION,
        tables=TABLES,
        train=lambda: _train(view, rows),
    )
    here = at(rows, view.run.as_of)
    columns = {
        "run_id": pa.repeat(view.run.run_id, here.num_rows),
        "customer_id": here["customer_id"],
        "contract_id": here["contract_id"].cast(pa.string()),
        "ends_at": here["ends_at"],
        "is_cancelled": pc.equal(here["is_cancelled"], 1),
        "probability": pa.array(float_column(model.fitted.predict(here), FORECAST)),
        "model_version": pa.repeat(model.training.model_version, here.num_rows),
    }
    view.write("contract_forecasts", pa.table(columns).cast(CONTRACT_FORECASTS.schema()))
    return model


def _train(view: StageView, rows: pa.Table) -> TrainedModel:
    """Backtest and fit. Raises NotEnoughData, also where no past cutoff is evaluated."""
    known = learning_rows(rows)
    lost = int(float_column(known, LABEL).sum())
    if known.num_rows < MIN_ENDED_CONTRACTS or lost < MIN_LOST_CONTRACTS:
        raise NotEnoughData(
            f"{known.num_rows} terms that ended, {lost} of them not renewed;"
            f" {MIN_ENDED_CONTRACTS} and {MIN_LOST_CONTRACTS} are needed",
            where="contracts",
            todo="Import a longer history of `Contract Started`, renewals included.",
        )
    origins = cutoff_origins(CONTRACT_CHURN, known, view.run.as_of)
    return train_model(view, CONTRACT_CHURN, LEARNERS, origins, known, history="contracts")
