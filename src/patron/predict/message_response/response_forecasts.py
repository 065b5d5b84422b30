"""Who responds to the next message: backtested on later messages, fitted, and forecast for each customer and type.

A response is no effect: who is likely to respond might have ordered without the message. What a message causes is
measured against the holdout.
"""

import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import FORECAST, Fitted
from patron.predict.message_response import LEARNERS
from patron.predict.message_response.message_rows import (
    FEATURE_VERSION,
    Recipients,
    customer_columns,
    learning_rows,
    read_recipients,
    scoring_rows,
)
from patron.predict.message_response.messages import read_message_types
from patron.predict.origins import later_origins
from patron.predict.part_result import PartResult, part_result
from patron.predict.retraining import CurrentModel, train_or_reuse
from patron.predict.training import TrainedModel, train_model
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import MESSAGE_RESPONSE, MIN_MESSAGES, MIN_RESPONSES
from patron.schema.numbers import float_column
from patron.schema.tables import RESPONSE_FORECASTS
from patron.storage.runs.stage_view import StageView

MAX_TYPES = 5
"""Channels and types that customers are scored for: those with the most messages."""
TABLES = ("interactions", "exposures", "orders", "order_lines")


def build_response_forecasts(view: StageView) -> PartResult:
    """Write `response_forecasts`; a shop that sends no messages has none, and needs no reason."""
    types, result = read_message_types(view), PartResult()
    if types.num_rows:
        result = part_result(view, MESSAGE_RESPONSE, lambda: _answer(view, types))
    if not types.num_rows or result.unanswered:
        view.write("response_forecasts", RESPONSE_FORECASTS.empty())
    return result


def _answer(view: StageView, types: pa.Table) -> CurrentModel:
    """Write the forecasts. Raises NotEnoughData."""
    recipients = read_recipients(view)
    model = train_or_reuse(
        view,
        MESSAGE_RESPONSE,
        LEARNERS,
        feature_version=FEATURE_VERSION,
        tables=TABLES,
        train=lambda: _train(view, types, recipients),
    )
    version = model.training.model_version
    view.write("response_forecasts", forecast_responses(view, model.fitted, types, recipients, version))
    return model


def _train(view: StageView, types: pa.Table, recipients: Recipients) -> TrainedModel:
    """Backtest and fit. Raises NotEnoughData, also where no past cutoff is evaluated."""
    messages, responses = (sum(types[name].to_pylist()) for name in ("message_count", "response_count"))
    if messages < MIN_MESSAGES or responses < MIN_RESPONSES:
        raise NotEnoughData(
            f"{messages} messages with {responses} responses; {MIN_MESSAGES} and {MIN_RESPONSES} are needed",
            where="interactions",
            todo="Send `Message Sent` and `Message Clicked` with a campaign_id, or coupons with orders.",
        )
    rows = learning_rows(view, types, recipients)
    origins = later_origins(rows, "sent_at", "until")
    return train_model(view, MESSAGE_RESPONSE, LEARNERS, origins, rows, history="interactions")


def forecast_responses(
    view: StageView, fitted: Fitted, types: pa.Table, recipients: Recipients, version: str
) -> pa.Table:
    """Rows of `response_forecasts`: every recipient, for the next message of each frequent channel and type."""
    now = int(view.run.as_of.timestamp())
    shown = types.filter(pc.greater(types["response_count"], 0)).slice(0, MAX_TYPES)
    parts, of_customer = [RESPONSE_FORECASTS.empty()], {}
    for one in shown.to_pylist():
        rows = recipients.at(now, one["channel"], one["message_type"])
        of_customer = of_customer or customer_columns(view, rows)
        features = scoring_rows(view, rows, types, of_customer)
        texts = {"run_id": view.run.run_id, "model_version": version}
        texts |= {name: one[name] for name in ("channel", "message_type", "response")}
        texts["shop_response_share"] = one["response_count"] / one["message_count"]
        columns = {name: pa.repeat(value, rows.num_rows) for name, value in texts.items()}
        columns |= {
            "customer_id": rows["customer_id"],
            "probability": pa.array(float_column(fitted.predict(features), FORECAST)),
            "message_count": features["same_type_message_count"].cast(pa.int64()),
            "response_count": features["same_type_response_count"].cast(pa.int64()),
        }
        parts.append(pa.table(columns).select(RESPONSE_FORECASTS.schema().names).cast(RESPONSE_FORECASTS.schema()))
    return pa.concat_tables(parts)
