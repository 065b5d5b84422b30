"""How likely an order is from buying history alone: Pareto/NBD along the shop's season, which needs no labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import factorial
from typing import ClassVar

import numpy as np
import pyarrow as pa
from scipy.special import logit

from patron.estimators.learner import Learner, forecasts, newest
from patron.estimators.saving import Saved
from patron.predict.value.btyd_inputs import OrdersAndSpend, median_of
from patron.schema.numbers import Numbers, float_column

MIN_PROBABILITY = 1e-4
"""Nothing that people do is surer than that."""
DAYS, LAST, FIRST = EXPLAINED = ("order_day_count_lifetime", "days_since_last_order", "days_since_first_order")
"""What a forecast follows from. The days between the first and the last order, which the model takes, follow."""
BETWEEN = "days_from_first_to_last_order"


@dataclass(frozen=True)
class FittedOrderProbability(Saved, file="order_chance.json"):
    """Buying history, and what is asked of it."""

    models: OrdersAndSpend
    days: int
    is_of_none: bool
    """Whether the probability of no order is asked for."""
    median: Mapping[str, float]
    """The median customer's EXPLAINED; in a model that an earlier Patron kept, other columns."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the probability, 0 to 1."""
        return forecasts(self._probability(table))

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """Exact Shapley values of the log-odds, against the median customer's; none where that is not known."""
        if not self.median.keys() >= set(EXPLAINED):
            return (), np.zeros((table.num_rows, 0))
        forecast = {of: self._log_odds(table, of) for of in product((False, True), repeat=len(EXPLAINED))}
        moved = np.zeros((table.num_rows, len(EXPLAINED)))
        for of, log_odds in forecast.items():
            for place in range(len(EXPLAINED)):
                others = sum(of) - of[place]
                weight = factorial(others) * factorial(len(EXPLAINED) - others - 1) / factorial(len(EXPLAINED))
                moved[:, place] += (weight if of[place] else -weight) * log_odds
        return EXPLAINED, moved

    def _log_odds(self, table: pa.Table, is_of_customer: tuple[bool, ...]) -> Numbers:
        """Log-odds with these of EXPLAINED as customers have them, and the others as the median customer does."""
        values = {
            name: float_column(table, name) if is_kept else np.full(table.num_rows, self.median[name])
            for name, is_kept in zip(EXPLAINED, is_of_customer, strict=True)
        }
        if not all(is_of_customer):
            values[BETWEEN] = np.clip(values[FIRST] - values[LAST], 0, values[FIRST])
            for name in (DAYS, FIRST, BETWEEN):
                table = table.set_column(table.column_names.index(name), name, pa.array(values[name]))
        return logit(self._probability(table))

    def _probability(self, table: pa.Table) -> Numbers:
        summary = self.models.summary(table)
        orders = self.models.orders_until(summary).probability_of_purchase(summary, float(self.days))
        return np.clip(1 - orders if self.is_of_none else orders, MIN_PROBABILITY, 1 - MIN_PROBABILITY)


@dataclass(frozen=True)
class OrderProbability(Learner):
    """Pareto/NBD's probability of an order, or of none, along the shop's season."""

    days: int = 90
    is_of_none: bool = False

    name: ClassVar[str] = "pareto_chance"
    complexity: ClassVar[int] = 2
    fitted: ClassVar[type] = FittedOrderProbability

    def fit(self, table: pa.Table) -> FittedOrderProbability:
        """Fit to the customers of the newest cutoff; labels are not needed. Raises NotEnoughData."""
        rows = newest(table)
        return FittedOrderProbability(OrdersAndSpend.fit(rows), self.days, self.is_of_none, median_of(rows, EXPLAINED))
