"""What shown lists teach: how much each source counts, and which products bring more than their sources."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.recommenders.ids import Codes
from patron.recommenders.live.click_model import ClickWeights, ProductResponse
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class ListFeedback:
    """Places of lists that were shown, one row each."""

    product: Codes
    place: Codes
    """From 1."""
    interests: Numbers
    """Rows x SOURCES, 0 to 1."""
    is_clicked: npt.NDArray[np.bool_]
    is_ordered: npt.NDArray[np.bool_]
    """Whether an order followed the click."""


def learn_responses(feedback: ListFeedback, product_count: int) -> tuple[ClickWeights, ProductResponse]:
    """Weights of the sources, and the response of each product next to what the sources alone would bring."""
    weights = ClickWeights().fit(feedback.interests, feedback.place, feedback.is_clicked.astype(np.float64))
    response = ProductResponse.unknown(product_count)
    shares = weights.shares(feedback.interests)
    expected = weights.rates(feedback.interests) * weights.examined(feedback.place)
    response.expected_clicks += np.bincount(feedback.product, expected, product_count)
    clicked = feedback.product[feedback.is_clicked], shares[feedback.is_clicked]
    response.clicks += np.bincount(clicked[0], minlength=product_count)
    response.source_clicks += response.credit(clicked[1])
    is_ordered = feedback.is_ordered & feedback.is_clicked
    ordered = feedback.product[is_ordered], shares[is_ordered]
    response.orders += np.bincount(ordered[0], minlength=product_count)
    response.source_orders += response.credit(ordered[1])
    expected_orders = response.expected_order_shares(clicked[1]) if len(clicked[0]) else np.empty(0)
    response.expected_orders += np.bincount(clicked[0], expected_orders, product_count)
    return weights, response
