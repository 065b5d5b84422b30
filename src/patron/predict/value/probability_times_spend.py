"""A customer's value: the probability that they order, as churn forecasts it, times what they pay if they do.

The probability comes with the rows, in ORDER_PROBABILITY; learners are those of the spend, and compete with it. What
all customers add up to is the shop's total: one factor on everybody's spend.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.learner import Fitted, forecasts, newest
from patron.estimators.saving import Saved
from patron.predict.feature_matrix import ORDER_PROBABILITY, Design
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.predict.value.buyer_spend import (
    SMALLEST,
    BoostedSpend,
    FittedHistorySpend,
    FittedSpend,
    HistorySpend,
    SpendModel,
    StackedSpend,
)
from patron.predict.value.deep_spend import DeepSpend
from patron.predict.value.shop_total import ShopTotal, shop_total
from patron.predict.value.training_matrix import TrainingMatrix, with_history
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column

STACK = StackedSpend()
SPEND_MODELS: tuple[SpendModel, ...] = (STACK, HistorySpend(), BoostedSpend(), DeepSpend())
"""Models of spend; the first is fitted first, as the total that all of them add up to follows from it."""
EXPLAINED = ("expected_paid_cents_per_order_day", ORDER_PROBABILITY)
"""What moves a forecast where only buying history is known."""


@dataclass(frozen=True)
class FittedValue(Saved, file="value.json"):
    """A fitted model of spend, and the factor by which values add up to the shop's total."""

    name: str
    spend: FittedSpend
    history: OrdersAndSpend
    design: Design | None
    """Columns of the matrix; None where buying history says all."""
    factor: float
    total: ShopTotal
    usual_probability: float
    usual_spend_cents: float
    """Of the median customer, to explain forecasts against."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        rows = with_history(table, self.history)
        return forecasts(probability_of(table) * self.spend.spend(rows, self._matrix(rows)) * self.factor)

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast: the probability of an order, and what the spend follows from."""
        rows = with_history(table, self.history)
        matrix = self._matrix(rows)
        of_spend = self.spend.contributions(matrix)
        of_order = np.log(np.maximum(probability_of(table), SMALLEST) / self.usual_probability)
        if self.design is None or of_spend is None:
            logs = np.log(np.maximum(self.spend.spend(rows, matrix), 1.0) / self.usual_spend_cents)
            return EXPLAINED, np.column_stack([logs, of_order])
        return (*self.design.names, ORDER_PROBABILITY), np.column_stack([of_spend, of_order])

    def _matrix(self, rows: pa.Table) -> Numbers:
        return np.zeros((rows.num_rows, 0)) if self.design is None else self.design.matrix(rows)

    @classmethod
    def part_kind(cls, name: str, content: Mapping[str, Any]) -> Any:
        """Class of the fitted model of spend."""
        if name != "spend":
            return super().part_kind(name, content)
        return next(one.fitted for one in SPEND_MODELS if one.name == content["name"])


@dataclass(frozen=True)
class ProbabilityTimesSpend:
    """The probability of an order times what a model says of the spend, by the model's name, cents."""

    spend: SpendModel

    fitted: ClassVar[type] = FittedValue
    is_baseline: ClassVar[bool] = False
    max_labels: ClassVar[int] = 0
    exemptions: ClassVar[Mapping[str, str]] = {}

    @property
    def name(self) -> str:
        """The model's."""
        return self.spend.name

    @property
    def complexity(self) -> int:
        """The model's."""
        return self.spend.complexity

    @property
    def module(self) -> str:
        """The model's."""
        return self.spend.module

    def fit(self, table: pa.Table) -> FittedValue:
        """Fit the model of spend and the shop's total. Raises NotEnoughData."""
        return self.fit_from(table, {})

    def fit_from(self, table: pa.Table, others: Mapping[str, Fitted]) -> FittedValue:
        """As `fit`, with models that are fitted to this table already. Raises NotEnoughData."""
        here = newest(table)
        probability = probability_of(here)
        if not np.isfinite(probability).all():
            raise NotEnoughData(
                "no probability of an order is known at the cutoff", where=self.name, todo="Import a longer history."
            )
        history = OrdersAndSpend.fit(here)
        training = _training_matrix(table, history)
        known = {name: one.spend for name, one in others.items() if isinstance(one, FittedValue)}
        stack = known.get(STACK.name) or STACK.fit(training, known)
        spend = stack if self.spend == STACK else self.spend.fit(training, {**known, STACK.name: stack})
        rows = with_history(here, history)
        matrix = training.design.matrix(rows) if training else np.zeros((rows.num_rows, 0))
        each = spend.spend(rows, matrix)
        modelled = probability * each
        if modelled.sum() <= 0:
            raise NotEnoughData("nobody is expected to buy", where=self.name, todo="Import what happened since.")
        # why the stack's and not each model's own: a model would be chosen for a level that the season moves
        known_value = others.get(STACK.name)
        is_known = isinstance(known_value, FittedValue)
        total = known_value.total if is_known else shop_total(table, probability * stack.spend(rows, matrix), history)
        return FittedValue(
            self.name,
            spend,
            history=history,
            design=training.design if training and not isinstance(spend, FittedHistorySpend) else None,
            factor=total.cents / float(modelled.sum()),
            total=total,
            usual_probability=max(float(np.median(probability)), SMALLEST),
            usual_spend_cents=max(float(np.median(each)), 1.0),
        )


def _training_matrix(table: pa.Table, history: OrdersAndSpend) -> TrainingMatrix | None:
    """What models of spend learn from; None where too few have bought after a past cutoff."""
    with suppress(NotEnoughData):
        training = TrainingMatrix.of(table, history)
        if len(training.buyers):
            return training
    return None


def probability_of(table: pa.Table) -> Numbers:
    """Each row's probability of an order; NaN where it is not known."""
    if ORDER_PROBABILITY not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return float_column(table, ORDER_PROBABILITY, np.nan)
