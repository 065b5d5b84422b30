"""Whether a customer is likely to respond to the next message, by channel and type."""

from dataclasses import dataclass, fields

from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class ResponseForecast:
    """How likely a customer responds to the next message of a channel and type; no measure of what it causes."""

    channel: str
    message_type: str
    """Type of the campaign, id of the offer, or 'any'."""
    probability: float
    response: str
    """What counts as one: 'order' or 'click'."""
    message_count: int
    """Such messages to the customer so far."""
    response_count: int
    """How many of them the customer responded to."""
    shop_response_share: float
    """Share of all such messages that were responded to, 0 to 1."""


def customer_responses(view: Snapshot, customer_id: str) -> tuple[ResponseForecast, ...]:
    """The customer's forecasts, the likeliest first; none where the run had too few messages or responses."""
    facts = [field_.name for field_ in fields(ResponseForecast)]
    order = [("probability", "descending"), ("channel", "ascending"), ("message_type", "ascending")]
    rows = view.customer_rows("response_forecasts", customer_id, is_of_run=True).sort_by(order)
    return tuple(ResponseForecast(**row) for row in records(rows.select(facts)))
