"""Lifecycle stage, by rules relative to the customer's own pace and the shop's.

The pace is the mean days between orders, own intervals and the shop's median mixed: the shop counts as one interval,
so that somebody with one order is judged by the shop and somebody with many by themselves. In this order:

- new: one day with an order, not longer ago than one pace of the shop;
- lapsed: no order for more than four paces;
- at_risk: no order for more than two paces;
- reactivated: the pause before the last order was longer than four paces of all other intervals;
- active: everybody else.
"""

import numpy as np
import pyarrow as pa

AT_RISK_PACES = 2.0
LAPSED_PACES = 4.0
DAYS_WITHOUT_HISTORY = 30.0
"""Pace of a shop in which nobody has ordered twice, days."""


def lifecycle_stages(features: pa.Table) -> list[str]:
    """Lifecycle stage of each customer, in the order of the rows."""
    since = _numbers(features, "days_since_last_order")
    spread = _numbers(features, "days_from_first_to_last_order")
    gaps = _numbers(features, "order_day_count_lifetime") - 1
    last_gap = np.nan_to_num(_numbers(features, "days_between_last_two_orders"))
    return stages_from_intervals(since, spread, gaps, last_gap, median_pace_days(spread, gaps))


def stages_from_intervals(
    since: np.ndarray, spread: np.ndarray, gaps: np.ndarray, last_gap: np.ndarray, shop: float
) -> list[str]:
    """Stage by days since the last order, days from the first to it, intervals, the last one, and the shop's pace."""
    pace = (spread + shop) / (gaps + 1)
    pace_before = (spread - last_gap + shop) / np.maximum(gaps, 1)
    rules = [
        (gaps <= 0) & (since <= shop),
        since > LAPSED_PACES * pace,
        since > AT_RISK_PACES * pace,
        (gaps >= 1) & (last_gap > LAPSED_PACES * pace_before),
    ]
    return np.select(rules, ["new", "lapsed", "at_risk", "reactivated"], default="active").tolist()


def shop_pace_days(features: pa.Table) -> float:
    """The shop's pace, days, from the features of its customers."""
    gaps = _numbers(features, "order_day_count_lifetime") - 1
    return median_pace_days(_numbers(features, "days_from_first_to_last_order"), gaps)


def median_pace_days(spread: np.ndarray, gaps: np.ndarray) -> float:
    """Median over customers of their mean days between orders, at least one day."""
    repeated = gaps > 0
    if not repeated.any():
        return DAYS_WITHOUT_HISTORY
    return max(float(np.median(spread[repeated] / gaps[repeated])), 1.0)


def _numbers(features: pa.Table, name: str) -> np.ndarray:
    return features[name].to_numpy().astype(float)
