"""What the counting models need of a customer, from the columns of `features`; BG/NBD and Gamma-Gamma on them."""

import logging
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from patron.clv.beta_geo import BetaGeo, FittedBetaGeo
from patron.clv.gamma_gamma import FittedGammaGamma, GammaGamma
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column
from patron.schema.questions import VALUE

VALUE_DAYS = float(VALUE.horizon_days)
FEWEST_DAYS = 14
"""With a shorter history nobody has had the time to come back: a forecast of 90 days would be a guess."""

log = logging.getLogger(__name__)


def summary_of(table: pa.Table) -> pa.Table:
    """The columns of `features` as a summary in days, one row a customer. Orders of one day count as one.

    Columns: frequency, repeat order days; recency, days from the first to the last order; T, days from the first order
    to the cutoff; spend_count, order days that spend_mean averages; spend_mean, mean paid an order day, cents. There
    the first order counts too: the paper leaves it out to avoid a bias of first orders, but counting it wins the
    backtest, because most customers have nothing else.
    """
    days = np.maximum(float_column(table, "order_day_count_lifetime"), 1.0)
    # why `where`: an explanation asks what the forecast would be with one column as the median customer has it.
    recency = np.where(days > 1, np.maximum(float_column(table, "days_from_first_to_last_order"), 0.0), 0.0)
    age = np.maximum(np.floor(float_column(table, "days_since_first_order")), recency)
    mean = np.maximum(float_column(table, "paid_cents_lifetime"), 0.0) / days
    return pa.table({"frequency": days - 1, "recency": recency, "T": age, "spend_count": days, "spend_mean": mean})


def _spend(summary: pa.Table) -> pa.Table:
    return pa.table({"frequency": summary["spend_count"], "monetary_value": summary["spend_mean"]})


@dataclass(frozen=True)
class OrdersAndSpend:
    """BG/NBD for the number of order days, Gamma-Gamma for what one brings."""

    orders: FittedBetaGeo
    spend: FittedGammaGamma

    @classmethod
    def fit(cls, table: pa.Table) -> Self:
        """Maximum likelihood on the customers of one cutoff; needs no labels. Raises NotEnoughData."""
        summary = summary_of(table)
        longest = float(np.max(summary["T"].to_numpy(), initial=0.0))
        if longest < FEWEST_DAYS:
            what = f"the longest history is {longest:.0f} days, and a forecast needs {FEWEST_DAYS}"
            raise NotEnoughData(what, where="value", todo="Import a longer history, or wait.")
        orders, spend = BetaGeo().fit(summary), GammaGamma().fit(_spend(summary))
        if orders.is_collapsed:
            log.info("BG/NBD sees no drop-out and is NBD here: P(alive) is 1 for everybody, P(order) still ranks.")
        if spend.has_infinite_mean:
            log.info("Gamma-Gamma has q <= 1, an infinite mean: the observed mean spend stands in for it.")
        return cls(orders, spend)

    def forecast(self, table: pa.Table) -> Numbers:
        """Expected spend in the next 90 days, cents."""
        summary = summary_of(table)
        return self.orders.expected_purchases(summary, VALUE_DAYS) * self.spend.expected_spend(_spend(summary))

    def blend(self, table: pa.Table, recent_share: float) -> Numbers:
        """The forecast, with `recent_share` of it from the last 90 days where the models see no drop-out, cents.

        A constant rate cannot see a season or a change of habit; where the models do see drop-out, recency counts
        already, and the last 90 days of new customers, who have all just bought, mislead.
        """
        return self.blended(table, self.forecast(table), recent_share)

    def blended(self, table: pa.Table, forecast: Numbers, recent_share: float) -> Numbers:
        """As `blend`, of a forecast that is known."""
        share = recent_share if self.orders.is_collapsed else 0.0
        return share * np.maximum(float_column(table, "paid_cents_90_days"), 0.0) + (1 - share) * forecast

    def columns(self, table: pa.Table) -> dict[str, Numbers]:
        """What the two models say of each customer, as features for other learners."""
        summary = summary_of(table)
        orders = self.orders.expected_purchases(summary, VALUE_DAYS)
        spend = self.spend.expected_spend(_spend(summary))
        return {
            "expected_paid_cents_90_days": orders * spend,
            "expected_order_days_90_days": orders,
            "expected_paid_cents_per_order_day": spend,
            "probability_of_order_90_days": self.orders.probability_of_purchase(summary, VALUE_DAYS),
        }

    def saved(self) -> dict[str, Any]:
        """The models as JSON can hold them."""
        return {"orders": self.orders.to_dict(), "spend": self.spend.to_dict()}

    @classmethod
    def restored(cls, saved: dict[str, Any]) -> Self:
        """Rebuild from what `saved` gave."""
        return cls(FittedBetaGeo.from_dict(saved["orders"]), FittedGammaGamma.from_dict(saved["spend"]))
