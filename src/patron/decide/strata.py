"""The strata that effects are measured in: lifecycle stage x taste for deals x forecast value."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.numbers import float_column

LEVELS = ("low", "middle", "high")
PRIOR_ORDERS = 2.0
"""Orders of the shop's average that are added to a customer's own, so that one lucky coupon says little."""


def deal_taste(rows: pa.Table) -> npt.NDArray[np.float64]:
    """Share of the price taken off plus share of orders with a coupon, last year, shrunk to the average; 0 to 2.

    It does not depend on how much is spent: who spends twice as much at the same discounts has the same taste.
    """
    orders, gross = float_column(rows, "order_count", np.nan), float_column(rows, "gross_cents", np.nan)
    discount, coupons = float_column(rows, "discount_cents", np.nan), float_column(rows, "coupon_order_count", np.nan)
    usual = discount.sum() / max(gross.sum(), 1.0) + coupons.sum() / max(orders.sum(), 1.0)
    taste = discount / np.maximum(gross, 1.0) + coupons / np.maximum(orders, 1.0)
    return (orders * taste + PRIOR_ORDERS * usual) / (orders + PRIOR_ORDERS)


def levels(values: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """Low, middle or high: the thirds of the values; equal values get the same level."""
    if not len(values):
        return np.array([], dtype=np.str_)
    edges = np.quantile(values, [1 / 3, 2 / 3])
    return np.array(LEVELS)[np.searchsorted(edges, values, side="left")]


def strata(rows: pa.Table, spend_cents: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """Name each customer's stratum, such as at_risk/deals_high/value_low; the thirds are those of the run."""
    taste, value = levels(deal_taste(rows)), levels(spend_cents)
    stage = rows["lifecycle_stage"].to_pylist()
    return np.array(
        [f"{one}/deals_{deals}/value_{worth}" for one, deals, worth in zip(stage, taste, value, strict=True)],
        dtype=np.str_,
    )
