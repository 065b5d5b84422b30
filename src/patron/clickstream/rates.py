"""Counting rules: the share of visits that went on to an order, by one or two things that anybody can count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.clickstream.features import Row, rows_of
from patron.clickstream.training_rows import outcomes
from patron.estimators.learner import Baseline, forecasts
from patron.estimators.saving import Saved
from patron.estimators.shrunken_rates import look_up, means_by_name
from patron.schema.numbers import float_column

COUNT_EDGES = (1, 2, 3, 4, 6, 11, 21)
"""Counts from which the next group of a rule begins."""


@dataclass(frozen=True)
class FittedRates(Saved, file="rates.json"):
    """The share of visits that went on to an order, by group; a group that was never there has the base rate."""

    rule: str
    base: float
    shares: Mapping[str, float]

    def predict(self, table: pa.Table) -> pa.Table:
        """Probability of an order later in the visit, 0 to 1, one `forecast` per row."""
        return forecasts(look_up(GROUPS[self.rule](table), self.shares, self.base))

    def probability(self, row: Row) -> float:
        """The same of one row as `features_after` gives it."""
        return float(self.predict(rows_of([row]))["forecast"][0].as_py())


@dataclass(frozen=True)
class BaseRate(Baseline):
    """The share of visits that go on to an order, the same after any event."""

    prior_visits: float = 20.0
    """How many visits the base rate is worth in each group; larger shrinks more."""

    name: ClassVar[str] = "base_rate"
    fitted: ClassVar[type] = FittedRates

    def fit(self, table: pa.Table) -> FittedRates:
        """Count. Raises NotEnoughData."""
        label, weight = outcomes(table)
        return FittedRates(self.name, *means_by_name(GROUPS[self.name](table), label, self.prior_visits, weight=weight))


@dataclass(frozen=True)
class RateByEventCount(BaseRate):
    """The share of visits that go on to an order, by the number of their events so far."""

    name: ClassVar[str] = "rate_by_event_count"
    complexity: ClassVar[int] = 1


@dataclass(frozen=True)
class RateByCartAndViews(BaseRate):
    """The share of visits that go on to an order, by whether something is in the cart, and product views so far."""

    name: ClassVar[str] = "rate_by_cart_and_views"
    complexity: ClassVar[int] = 2


@dataclass(frozen=True)
class RateByLastEvent(BaseRate):
    """The share of visits that go on to an order, by the type of the last event."""

    name: ClassVar[str] = "rate_by_last_event"
    complexity: ClassVar[int] = 1


def _by_event_count(table: pa.Table) -> list[str]:
    return [str(one) for one in _band(table, "event_count")]


def _by_cart_and_views(table: pa.Table) -> list[str]:
    has_cart = float_column(table, "has_cart").astype(np.int64).tolist()
    return [f"{cart} {views}" for cart, views in zip(has_cart, _band(table, "view_count"), strict=True)]


def _band(table: pa.Table, name: str) -> list[int]:
    return np.searchsorted(COUNT_EDGES, float_column(table, name), side="right").tolist()


GROUPS: Mapping[str, Callable[[pa.Table], list[str]]] = {
    BaseRate.name: lambda table: ["all"] * table.num_rows,
    RateByEventCount.name: _by_event_count,
    RateByCartAndViews.name: _by_cart_and_views,
    RateByLastEvent.name: lambda table: table["last_type"].to_pylist(),
}
"""The group of each row, by the rule's name."""
