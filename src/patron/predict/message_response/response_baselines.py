"""Rules by which anybody could say who responds: the rate of the kind of message, the customer's own, recency."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from patron.estimators.learner import LABEL, Baseline, forecasts, labelled
from patron.estimators.saving import Saved
from patron.estimators.shrunken_rates import look_up, means_by_name, shrunk
from patron.predict.probability_learners import Logistic
from patron.schema.numbers import float_column


@dataclass(frozen=True)
class FittedResponseRates(Saved, file="rule.json"):
    """The share of responses by kind of message, and how much a customer's messages so far count next to it."""

    rate: float
    rates: Mapping[str, float]
    prior_messages: float | None
    """How many messages the rate is worth next to the customer's; without it only the rate counts."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the share, 0 to 1."""
        rates = look_up(table["message_kind"], self.rates, self.rate)
        if self.prior_messages is None:
            return forecasts(rates)
        responses, messages = (float_column(table, name) for name in ("response_count", "message_count"))
        return forecasts(shrunk(responses, messages, rates, self.prior_messages))


@dataclass(frozen=True)
class RateByMessageType(Baseline):
    """The share of responses to messages of the same channel and type, the same for everybody."""

    prior_rows: float = 20.0
    """How many messages the rate of all is worth in each type; larger shrinks more."""

    name: ClassVar[str] = "rate_by_message_type"
    fitted: ClassVar[type] = FittedResponseRates

    def fit(self, table: pa.Table) -> FittedResponseRates:
        """Average the known labels. Raises NotEnoughData."""
        rows = labelled(table)
        return FittedResponseRates(
            *means_by_name(rows["message_kind"], float_column(rows, LABEL), self.prior_rows), None
        )


@dataclass(frozen=True)
class PersonalResponseRate(Baseline):
    """The share of the customer's messages so far that they responded to, shrunk to the rate of the type."""

    prior_messages: float = 5.0
    """How many messages the type's rate is worth; larger shrinks more."""

    name: ClassVar[str] = "personal_response_rate"
    complexity: ClassVar[int] = 1
    fitted: ClassVar[type] = FittedResponseRates

    def fit(self, table: pa.Table) -> FittedResponseRates:
        """Learn the rates of types. Raises NotEnoughData."""
        by_type = RateByMessageType().fit(table)
        return FittedResponseRates(by_type.rate, by_type.rates, self.prior_messages)


@dataclass(frozen=True)
class RecencyFrequency(Baseline, Logistic):
    """Logistic regression on days since the last order and orders in 90 days, a probability."""

    columns: tuple[str, ...] = ("days_since_last_order", "order_count_90_days")

    name: ClassVar[str] = "recency_frequency"
