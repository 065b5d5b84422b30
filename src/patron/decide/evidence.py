"""What earlier runs and experts say about offers: measured effects, responses of classes of customers, and rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.numbers import Numbers, float_column
from patron.storage.offers.offer_rules import OfferRules

EFFECTS_QUERY = """
select offer, stratum, effect_cents, standard_error, window_share from this_effects
where not is_placebo and offer <> 'any' order by offer, stratum
"""
"""The effects of offers that were really sent, as measured in this run."""
MODEL_ERROR_SHARE = 0.25
"""Standard deviation of the orders that an offer is estimated to add, as a share of them, besides chance."""
UNKNOWN_ERROR = 1e3
"""Standard error, orders, where nothing is known of a customer: so large that what is assumed counts."""
MIN_ORDERS = 1e-6
"""Orders of a class in the window, at least, so that shares of them are defined."""
RESPONSES_QUERY = """
select offer, class_share, usual_factor, order_factor, extra_orders, standard_error, redeemed_share
from this_offer_response_classes order by offer, class_number
"""


@dataclass(frozen=True)
class MeasuredEffect:
    """A measured effect: mean difference of margin after discounts, and its standard error, cents."""

    effect_cents: float
    standard_error: float
    window_share: float = 1.0
    """How much of the promised window it was counted for: less where the next offers came sooner."""


Effects = Mapping[tuple[str, str], MeasuredEffect]
"""By offer and stratum; the stratum 'all' stands in for strata that were never measured."""


@dataclass(frozen=True, eq=False)
class ClassResponses:
    """How each of two classes of customers answers an offer, the one that answers more first."""

    first_share: float
    """Of customers in the first class, 0 to 1."""
    usual_factor: Numbers
    """What expected orders are multiplied by without an offer ..."""
    order_factor: Numbers
    """... and with it."""
    extra_orders: Numbers
    standard_error: Numbers
    redeemed_share: Numbers
    """NaN for an offer whose code nobody has used yet."""

    def added_orders(self, rows: pa.Table) -> tuple[Numbers, Numbers]:
        """Orders in the window that the offer adds for each customer, and their standard error.

        Of who has no forecast nothing is known: the error is so large that what is assumed counts.
        """
        membership, expected = self._membership_and_expected_orders(rows)
        added = expected * (membership @ (self.order_factor - self.usual_factor)) + membership @ self.extra_orders
        chance = np.sqrt(membership**2 @ self.standard_error**2)
        is_known = ~np.isnan(float_column(rows, "expected_orders", np.nan))
        return added, np.where(is_known, np.hypot(chance, MODEL_ERROR_SHARE * added), UNKNOWN_ERROR)

    def code_share(self, rows: pa.Table) -> Numbers:
        """Share of each customer's orders in the window that use the offer's code; 1 where no order ever did."""
        if np.isnan(self.redeemed_share).any():
            return np.ones(rows.num_rows)
        membership, expected = self._membership_and_expected_orders(rows)
        orders = membership * np.maximum(np.outer(expected, self.order_factor) + self.extra_orders, MIN_ORDERS)
        return orders @ self.redeemed_share / orders.sum(axis=1)

    def _membership_and_expected_orders(self, rows: pa.Table) -> tuple[Numbers, Numbers]:
        first = float_column(rows, "answering_probability", self.first_share)
        return np.column_stack([first, 1 - first]), float_column(rows, "expected_orders", 0.0)


OfferResponses = Mapping[str, ClassResponses]
"""By offer; offers that were never sent are not in it."""


def offer_responses(rows: pa.Table) -> OfferResponses:
    """Responses to each offer, from rows of RESPONSES_QUERY."""
    found = {}
    for offer in dict.fromkeys(rows["offer"].to_pylist()):
        of_offer = rows.filter(pc.equal(rows["offer"], offer))
        columns = {name: float_column(of_offer, name, np.nan) for name in rows.column_names if name != "offer"}
        found[offer] = ClassResponses(float(columns.pop("class_share")[0]), **columns)
    return found


@dataclass(frozen=True)
class Evidence:
    """What is known about offers before a decision."""

    effects: Effects
    margin_share: float
    """Margin before discounts as a share of the price, 0 to 1."""
    responses: OfferResponses = field(default_factory=dict)
    """How latent classes of customers answer offers."""
    rules: OfferRules = field(default_factory=OfferRules)
    """What experts assume about offers and reasons for leaving."""


def read_evidence(query: Callable[[str], pa.Table], *, margin_share: float, rules: OfferRules) -> Evidence:
    """What the tables of a run say, with what experts assume; `query` runs SQL over them."""
    effects = {
        (row["offer"], row["stratum"]): MeasuredEffect(row["effect_cents"], row["standard_error"], row["window_share"])
        for row in query(EFFECTS_QUERY).to_pylist()
    }
    responses = offer_responses(query(RESPONSES_QUERY))
    return Evidence(effects, margin_share=margin_share, responses=responses, rules=rules)
