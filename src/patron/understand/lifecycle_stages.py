"""Lifecycle stage: from the calibrated churn probability, and the customer's rhythm.

The pace is the mean days between orders, own intervals and the shop's median mixed: the shop counts as one interval,
so that somebody with one order is judged by the shop and somebody with many by themselves. A pause of more than four
paces before the last order is not part of it. An order is due once no order came for a pace. In this order:

- new: one day with an order, and the next is not due yet;
- lapsed: an order is due, and the churn probability is at least the policy's `lapsed_from`;
- at_risk: an order is due, and the churn probability is at least the policy's `at_risk_from`;
- reactivated: the pause before the last order was longer than four paces of all other intervals;
- active: everybody else.

A customer with a running contract that is not cancelled is neither lapsed nor at risk, whatever they order: they stay
until it ends, and whether they renew it is another question (`contract_churn`).

Where churn could not be forecast, rhythm stands in for it: lapsed is then no order for more than four paces, at_risk
for more than two.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.numbers import Numbers, float_column

AT_RISK_PACES = 2.0
LAPSED_PACES = 4.0
DAYS_WITHOUT_HISTORY = 30.0
"""Pace of a shop in which nobody has ordered twice, days."""


@dataclass(frozen=True, eq=False)
class OrderRhythm:
    """When customers order, one row each, in calendar days."""

    days_since_last: Numbers
    days_from_first_to_last: Numbers
    gaps: Numbers
    """Intervals between days with an order: one fewer than these days."""
    last_gap_days: Numbers
    """The newest of the intervals; 0 without one."""

    @classmethod
    def of(cls, features: pa.Table) -> Self:
        """From features of customers."""
        return cls(
            float_column(features, "days_since_last_order"),
            float_column(features, "days_from_first_to_last_order"),
            float_column(features, "order_day_count_lifetime") - 1,
            float_column(features, "days_between_last_two_orders"),
        )

    def shop_pace_days(self) -> float:
        """The shop's pace, days."""
        return median_pace_days(self.days_from_first_to_last, self.gaps)


def median_pace_days(days_from_first_to_last: Numbers, gaps: Numbers) -> float:
    """The shop's pace: median over customers of their mean days between orders, at least one day."""
    repeated = gaps > 0
    if not repeated.any():
        return DAYS_WITHOUT_HISTORY
    return max(float(np.median(days_from_first_to_last[repeated] / gaps[repeated])), 1.0)


@dataclass(frozen=True, eq=False)
class ChurnRisk:
    """Churn probability of each customer, and from where on it counts."""

    probability: Numbers
    """NaN where it could not be forecast."""
    at_risk_from: float
    lapsed_from: float


def lifecycle_stages(
    rhythm: OrderRhythm,
    shop_pace_days: float,
    risk: ChurnRisk | None = None,
    has_contract: npt.NDArray[np.bool_] | None = None,
) -> list[str]:
    """Lifecycle stage of each customer, in the order of the rows; without `risk` by rhythm alone.

    `has_contract` says who has a running contract that is not cancelled; without it nobody has.
    """
    since, gaps = rhythm.days_since_last, rhythm.gaps
    pace, is_back = _pace_days(rhythm, shop_pace_days)
    is_due = since > pace
    is_lapsed = since > LAPSED_PACES * pace
    is_at_risk = since > AT_RISK_PACES * pace
    if risk is not None:
        is_forecast = np.isfinite(risk.probability)
        is_lapsed = np.where(is_forecast, is_due & (risk.probability >= risk.lapsed_from), is_lapsed)
        is_at_risk = np.where(is_forecast, is_due & (risk.probability >= risk.at_risk_from), is_at_risk)
    is_free = np.ones(len(since), dtype=bool) if has_contract is None else ~has_contract
    rules = [(gaps <= 0) & ~is_due, is_lapsed & is_free, is_at_risk & is_free, is_back]
    return np.select(rules, ["new", "lapsed", "at_risk", "reactivated"], default="active").tolist()


def is_order_due(rhythm: OrderRhythm, shop_pace_days: float) -> npt.NDArray[np.bool_]:
    """Whether each customer's next order is due: none came for a pace."""
    return rhythm.days_since_last > _pace_days(rhythm, shop_pace_days)[0]


def _pace_days(rhythm: OrderRhythm, shop_pace_days: float) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Each customer's pace, days, and whether the last order came after a pause that is no part of it."""
    gaps, last_gap = rhythm.gaps, rhythm.last_gap_days
    pace_before = (rhythm.days_from_first_to_last - last_gap + shop_pace_days) / np.maximum(gaps, 1)
    is_back = (gaps >= 1) & (last_gap > LAPSED_PACES * pace_before)
    return np.where(is_back, pace_before, (rhythm.days_from_first_to_last + shop_pace_days) / (gaps + 1)), is_back
