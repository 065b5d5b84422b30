"""From orders to come to money: over a horizon or for ever, discounted, less the margin; and how far it may be off.

The expected discounted orders of any model follow from its expected orders E(t): those of the time up to H, each worth
e^(-rate t), are e^(-rate H) E(H) + rate * integral of e^(-rate t) E(t) over [0, H]; without an end that is DERT, the
discounted expected residual transactions (Fader, Hardie and Lee 2005, Journal of Marketing Research 42).
"""

import math
from typing import Any

import numpy as np
import scipy

from patron.clv.count_model import CountModel, check_horizon
from patron.clv.distinct_histories import Histories
from patron.clv.gamma_gamma import FittedGammaGamma
from patron.clv.posterior import Span
from patron.clv.rfm_summary import UNIT_DAYS, summary_unit
from patron.schema.frames import arrow
from patron.schema.numbers import Numbers

NODES = np.polynomial.legendre.leggauss(48)
NOTHING_LEFT = 16.0
"""Folds by e after which a discounted order is worth nothing."""
HALVINGS = 60
LIKELY = 0.02
"""The last cell of counts stands for all larger counts: what is lost of the mean must be little."""


def horizon_of(count: float, unit: str, *, summary: Any) -> float:
    """So many days, weeks, months or years (D, W, M, Y) in the unit of a summary. Raises ValueError without units."""
    summary_has = summary_unit(summary)
    if unit not in UNIT_DAYS or summary_has not in UNIT_DAYS:
        raise ValueError(
            f"{count:g} {unit!r} is not possible in the summary's unit {summary_has!r}; units are D, W, M and Y"
        )
    return count * UNIT_DAYS[unit] / UNIT_DAYS[summary_has]


def discounted_purchases(
    fitted: CountModel, summary: Any, *, annual_rate: float, horizon: float | None = None
) -> Numbers:
    """Expected orders of each customer, each counted less the later it comes; for ever without a horizon (DERT).

    `annual_rate` is what a year costs, such as 0.1: an order a year from now counts 1 / 1.1. A model with a calendar
    follows it, and has no endless horizon. Raises ValueError when the summary has no unit, or for a rate that
    does not end an endless horizon.
    """
    unit = summary_unit(summary) or fitted.unit
    if unit not in UNIT_DAYS:
        raise ValueError("the summary has no unit of time; make it with rfm")
    rate = math.log1p(annual_rate) * UNIT_DAYS[unit] / UNIT_DAYS["Y"]
    if annual_rate < 0 or (horizon is None and rate <= 0):
        raise ValueError(f"annual_rate {annual_rate:g}: it must be 0 or more, and above 0 without a horizon")
    rows = fitted.rows(summary)
    if fitted.is_discrete:
        return rows.per_customer(_by_period(fitted, rows, rate, horizon))
    until = NOTHING_LEFT / rate if horizon is None else check_horizon(horizon)
    discounted = math.exp(-rate * until) * fitted.expected(rows, until)
    if rate > 0 and until > 0:
        early = max(float(np.median(rows.T)), 1e-9) / 10  # why: what matters happens on the scale of what was seen
        half = math.log1p(until / early) / 2
        for node, weight in zip(*NODES, strict=True):
            at = half * (1 + node)
            time = early * math.expm1(at)
            discounted = discounted + weight * half * early * math.exp(at) * rate * math.exp(
                -rate * time
            ) * fitted.expected(rows, time)
    return rows.per_customer(discounted)


def _by_period(fitted: CountModel, rows: Histories, rate: float, horizon: float | None) -> Numbers:
    """Discounted orders of a model that counts periods: each at the end of its own."""
    if horizon is None:
        raise ValueError("a model that counts periods needs a horizon, a number of them")
    before, discounted = np.zeros(len(rows.T)), np.zeros(len(rows.T))
    for period in range(1, int(horizon) + 1):
        until = fitted.expected(rows, float(period))
        discounted, before = discounted + math.exp(-rate * period) * (until - before), until
    return discounted


def lifetime_value(
    orders: CountModel,
    spend: FittedGammaGamma,
    summary: Any,
    *,
    horizon: float | None,
    annual_rate: float = 0.0,
    margin: float = 1.0,
) -> Numbers:
    """Expected value of each customer over a horizon (None for ever), in the money of the summary; never below 0.

    Discounted orders times what one brings times the `margin`, the share that is left of it. Raises ValueError.
    """
    if not 0 <= margin <= 1:
        raise ValueError(f"margin {margin:g}: it is a share, 0 to 1")
    if annual_rate == 0 and horizon is not None:
        to_come = orders.expected_purchases(summary, horizon)
    else:
        to_come = discounted_purchases(orders, summary, annual_rate=annual_rate, horizon=horizon)
    return to_come * spend.expected_spend(summary) * margin


def spend_interval(counts: Numbers, spend: FittedGammaGamma, summary: Any, *, level: float = 0.8) -> Span:
    """What each customer will spend in a horizon: mean and equal-tailed interval, in the money of the summary.

    `counts` are the chances of 0, 1 ... orders (`purchase_count_distribution`). What n orders bring, given what a
    customer spent so far, is beta-prime: p n and the q they have now, in units of their v. Raises ValueError where the
    last count, which stands for all above it, is likely.
    """
    table = arrow(summary)
    order_count, mean = spend.history(table)
    if counts[:, -1].max(initial=0.0) > LIKELY:
        most = counts.shape[1] - 1
        raise ValueError(f"{most} orders or more are likely of some customers: give the chances of larger counts")
    p, q = spend.params["p"], spend.params["q"]
    v = spend.params["v"] * spend.covariate_factor(table)
    known = (order_count > 0) & (mean > 0)
    shape = q + np.where(known, p * order_count, 0.0)
    scale = v + np.where(known, order_count * mean, 0.0)
    ends = [_quantile(counts, p, shape, scale, share) for share in ((1 - level) / 2, (1 + level) / 2)]
    return Span(counts @ np.arange(counts.shape[1]) * spend.expected_spend(summary), *ends)


def _quantile(counts: Numbers, p: float, shape: Numbers, scale: Numbers, share: float) -> Numbers:
    """Spend that is not exceeded with probability `share`, by halving in its logarithm."""
    orders = np.arange(1, counts.shape[1])
    is_nothing = counts[:, 0] >= share
    # why so wide: where everybody always pays the same, p runs to its bound and v to next to nothing
    low, high = np.full(len(counts), -40.0), np.full(len(counts), 80.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        part = 1 / (1 + np.exp(-middle))  # spend in units of the scale, against itself and 1
        below = counts[:, 0] + (counts[:, 1:] * scipy.special.betainc(p * orders, shape[:, None], part[:, None])).sum(
            axis=1
        )
        low, high = np.where(below < share, middle, low), np.where(below < share, high, middle)
    return np.where(is_nothing, 0.0, scale * np.exp((low + high) / 2))
