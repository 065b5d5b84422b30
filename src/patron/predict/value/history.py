"""What BG/NBD and Gamma-Gamma need of a customer, from the columns of `features`; and the two fitted together."""

import logging
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from patron.base.horizons import HORIZON_DAYS
from patron.predict.learner import Numbers, column
from patron.predict.value.betageo import BetaGeo, fit_beta_geo
from patron.predict.value.gammagamma import GammaGamma, fit_gamma_gamma

VALUE_DAYS = float(HORIZON_DAYS["value"])

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class History:
    """Order days of each customer, one entry per row. Orders of one day count as one, as the field does it."""

    frequency: Numbers
    """Repeat order days."""
    recency: Numbers
    """Days from the first to the last order."""
    T: Numbers
    """Days from the first order to the moment."""
    spend_count: Numbers
    """Order days that `spend_mean` averages."""
    spend_mean: Numbers
    """Mean paid per order day, cents.

    The first order counts too. The paper leaves it out to avoid a bias of first orders; counting it wins the backtest,
    because most customers have nothing else.
    """

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Read the columns of `features`."""
        days = np.maximum(column(table, "order_day_count_lifetime"), 1.0)
        recency = np.maximum(column(table, "days_from_first_to_last_order"), 0.0)
        age = np.maximum(np.floor(column(table, "days_since_first_order")), recency)
        mean = np.maximum(column(table, "paid_cents_lifetime"), 0.0) / days
        return cls(days - 1, recency, age, days, mean)


@dataclass(frozen=True)
class OrdersAndSpend:
    """BG/NBD for the number of order days, Gamma-Gamma for what one brings."""

    orders: BetaGeo
    spend: GammaGamma

    @classmethod
    def fit(cls, table: pa.Table) -> Self:
        """Maximum likelihood on the customers of one moment; needs no labels. Raises NotEnoughData."""
        history = History.of(table)
        orders = fit_beta_geo(history.frequency, history.recency, history.T)
        spend = fit_gamma_gamma(history.spend_count, history.spend_mean)
        if orders.is_collapsed:
            log.info("BG/NBD sees no drop-out and is NBD here: P(alive) is 1 for everybody, P(order) still ranks.")
        if spend.has_infinite_mean:
            log.info("Gamma-Gamma has q <= 1, an infinite mean: the observed mean spend stands in for it.")
        return cls(orders, spend)

    def forecast(self, table: pa.Table) -> Numbers:
        """Expected spend in the next 90 days, cents."""
        history = History.of(table)
        expected = self.orders.expected_orders(history.frequency, history.recency, history.T, horizon=VALUE_DAYS)
        return expected * self.spend.expected_spend(history.spend_count, history.spend_mean)

    def blend(self, table: pa.Table, recent_share: float) -> Numbers:
        """The forecast, with `recent_share` of it from the last 90 days where the models see no drop-out, cents.

        A constant rate cannot see a season or a change of habit; where the models do see drop-out, recency counts
        already, and the last 90 days of new customers, who have all just bought, mislead.
        """
        share = recent_share if self.orders.is_collapsed else 0.0
        return share * np.maximum(column(table, "paid_cents_90_days"), 0.0) + (1 - share) * self.forecast(table)

    def columns(self, table: pa.Table) -> dict[str, Numbers]:
        """What the two models say of each customer, as features for other learners."""
        history = History.of(table)
        past = (history.frequency, history.recency, history.T)
        orders = self.orders.expected_orders(*past, horizon=VALUE_DAYS)
        spend = self.spend.expected_spend(history.spend_count, history.spend_mean)
        return {
            "expected_paid_cents_90_days": orders * spend,
            "expected_order_days_90_days": orders,
            "expected_paid_cents_per_order_day": spend,
            "probability_of_order_90_days": self.orders.probability_of_order(*past, horizon=VALUE_DAYS),
        }

    def saved(self) -> dict[str, Any]:
        """The parameters as JSON can hold them."""
        return {"orders": asdict(self.orders), "spend": asdict(self.spend)}

    @classmethod
    def restored(cls, saved: dict[str, Any]) -> Self:
        """Rebuild from what `saved` gave."""
        return cls(BetaGeo(**saved["orders"]), GammaGamma(**saved["spend"]))
