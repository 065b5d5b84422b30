"""Counting rules: whether a category is bought again, and for how much, as anybody could work it out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.learner import LABEL, Baseline, forecasts, labelled
from patron.estimators.saving import IN_JSON, Saved
from patron.estimators.shrunken_rates import look_up, means_by_name, shrunk, shrunk_means
from patron.predict.value.value_baselines import FittedShrinkage
from patron.schema.numbers import Numbers, float_column

RECENT_DAYS, HORIZON_DAYS = 365, 90
SHARES = {"bought_last_30_days": ("purchase_days_30_days", (1.0,)),
          "own_rhythm": ("days_until_usual", (-90.0, -30.0, 0.0, 15.0, 30.0, 60.0, float("inf")))}  # fmt: skip
"""By rule: the column, and its values from which the next group begins; what is missing is the last group."""


@dataclass(frozen=True)
class FittedByCategory(Saved, file="rule.json"):
    """The mean outcome of each category; one that was never there has the mean of all."""

    mean: float
    means: Mapping[str, float]

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the category's mean."""
        return forecasts(self.of(table))

    def of(self, table: pa.Table) -> Numbers:
        """The mean of each row's category."""
        return look_up(table["category"], self.means, self.mean)


@dataclass(frozen=True)
class MeanByCategory(Baseline):
    """What customers who could buy a category spend in it, on average."""

    prior_rows: float = 20.0
    """How many customers the mean of all is worth in each category; larger shrinks more."""

    name: ClassVar[str] = "mean_by_category"
    fitted: ClassVar[type] = FittedByCategory

    def fit(self, table: pa.Table) -> FittedByCategory:
        """Average the known labels. Raises NotEnoughData."""
        rows = labelled(table)
        return FittedByCategory(*means_by_name(rows["category"], float_column(rows, LABEL), self.prior_rows))


@dataclass(frozen=True)
class RateByCategory(MeanByCategory):
    """The share of customers who buy the category, the same for everybody."""

    name: ClassVar[str] = "rate_by_category"


@dataclass(frozen=True)
class FittedShares(Saved, file="rule.json"):
    """The share of outcomes in each group."""

    rule: str
    shares: tuple[float, ...]

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the share of the row's group, 0 to 1."""
        return forecasts(np.asarray(self.shares)[_group(self.rule, table)])


@dataclass(frozen=True)
class BoughtLast30Days(Baseline):
    """Who bought the category in the last 30 days buys it again as often as others who had."""

    name: ClassVar[str] = "bought_last_30_days"
    fitted: ClassVar[type] = FittedShares

    def fit(self, table: pa.Table) -> FittedShares:
        """Share of outcomes in each group, one observation added at the overall share. Raises NotEnoughData."""
        rows = labelled(table)
        label, group = float_column(rows, LABEL), _group(self.name, rows)
        priors = np.full(len(SHARES[self.name][1]) + 1, label.mean())
        shares = shrunk_means(group, label, priors, 1.0)
        return FittedShares(self.name, tuple(shares.tolist()))


@dataclass(frozen=True)
class PersonalRhythm(BoughtLast30Days):
    """Customers buy again when their usual time between two purchases of the category has passed."""

    name: ClassVar[str] = "own_rhythm"
    complexity: ClassVar[int] = 1


@dataclass(frozen=True)
class FittedPersonalShare(Saved, file="rule.json"):
    """The customer's own share of months with a purchase, and the category's as a prior."""

    categories: FittedByCategory = field(metadata=IN_JSON)
    prior_windows: float

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the shrunk share, 0 to 1."""
        windows, bought = (float_column(table, name) for name in ("window_count", "windows_with_purchase"))
        return forecasts(shrunk(bought, windows, self.categories.of(table), self.prior_windows))


@dataclass(frozen=True)
class PersonalShare(Baseline):
    """The share of the customer's last 12 months of 30 days with a purchase in the category."""

    prior_windows: float = 2.0
    """How many months the category's rate is worth; larger shrinks more."""

    name: ClassVar[str] = "own_share"
    complexity: ClassVar[int] = 1
    fitted: ClassVar[type] = FittedPersonalShare

    def fit(self, table: pa.Table) -> FittedPersonalShare:
        """Learn the rates of categories. Raises NotEnoughData."""
        return FittedPersonalShare(MeanByCategory().fit(table), self.prior_windows)


@dataclass(frozen=True)
class Last90Days(Baseline):
    """The customer pays as much in the category as in the last 90 days."""

    name: ClassVar[str] = "last_90_days"
    fitted: ClassVar[type] = FittedShrinkage

    def fit(self, table: pa.Table) -> FittedShrinkage:  # noqa: ARG002 - the protocol's signature
        """Learn nothing."""
        return FittedShrinkage(1.0, 0.0, "paid_in_category_90_days")


@dataclass(frozen=True)
class FittedPersonalRate(Saved, file="rule.json"):
    """What the customer paid in the category a day, shrunk to the category's mean."""

    categories: FittedByCategory = field(metadata=IN_JSON)
    prior_days: float

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the shrunk rate for 90 days, at least 0 cents."""
        return forecasts(self.of(table))

    def of(self, table: pa.Table) -> Numbers:
        """The shrunk rate for 90 days, at least 0 cents."""
        known = np.nan_to_num(float_column(table, "days_since_first_order", 1.0), nan=1.0)
        observed = np.clip(known, 1.0, RECENT_DAYS)
        paid = np.maximum(float_column(table, "paid_in_category_365_days"), 0.0)
        prior = np.maximum(self.categories.of(table), 0.0)
        return shrunk(paid * HORIZON_DAYS, observed, prior, self.prior_days)


@dataclass(frozen=True)
class PersonalRate(Baseline):
    """The customer pays in the category at the rate of the last year."""

    prior_days: float = 60.0
    """How many days the category's mean is worth; larger shrinks more."""

    name: ClassVar[str] = "own_rate"
    complexity: ClassVar[int] = 1
    fitted: ClassVar[type] = FittedPersonalRate

    def fit(self, table: pa.Table) -> FittedPersonalRate:
        """Learn the means of categories. Raises NotEnoughData."""
        return FittedPersonalRate(MeanByCategory().fit(table), self.prior_days)


def _group(rule: str, table: pa.Table) -> np.ndarray:
    column, edges = SHARES[rule]
    return np.searchsorted(np.asarray(edges), float_column(table, column, np.nan), side="right")
