"""What the latent classes of response say of each customer and offer: orders that it adds, and those with its code."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.numbers import Numbers, float_column

MODEL_ERROR_SHARE = 0.25
"""Standard deviation of the orders that an offer is estimated to add, as a share of them, besides chance."""
UNKNOWN_ERROR = 1e3
MIN_ORDERS = 1e-6
RESPONSES_QUERY = """
select offer, class_share, usual_factor, order_factor, extra_orders, standard_error, redeemed_share
from this_offer_response_classes order by offer, class_number
"""


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
    """NaN where no order ever used its code."""

    def added_orders(self, rows: pa.Table) -> tuple[Numbers, Numbers]:
        """Orders in the window that the offer adds for each customer, and their standard error.

        Of who has no forecast nothing is known: the error is so large that what is assumed counts.
        """
        membership, expected = self._known(rows)
        added = expected * (membership @ (self.order_factor - self.usual_factor)) + membership @ self.extra_orders
        chance = np.sqrt(membership**2 @ self.standard_error**2)
        is_known = ~np.isnan(float_column(rows, "expected_orders", np.nan))
        return added, np.where(is_known, np.hypot(chance, MODEL_ERROR_SHARE * added), UNKNOWN_ERROR)

    def code_share(self, rows: pa.Table) -> Numbers:
        """Share of each customer's orders in the window that use the offer's code; 1 where no order ever did."""
        if np.isnan(self.redeemed_share).any():
            return np.ones(rows.num_rows)
        membership, expected = self._known(rows)
        orders = membership * np.maximum(np.outer(expected, self.order_factor) + self.extra_orders, MIN_ORDERS)
        return orders @ self.redeemed_share / orders.sum(axis=1)

    def _known(self, rows: pa.Table) -> tuple[Numbers, Numbers]:
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
