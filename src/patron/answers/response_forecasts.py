"""Whether a customer is likely to respond to the next message, by channel and type."""

from dataclasses import dataclass

from patron.storage.last_run import records
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
    sql = f"""
select f.channel, f.message_type, f.probability, f.response, f.message_count, f.response_count, f.shop_response_share
from response_forecasts f join customer a on a.customer_id = f.customer_id
where f.run_id = '{view.run.run_id}' order by f.probability desc, f.channel, f.message_type"""
    return tuple(ResponseForecast(**row) for row in records(view.query_customer(customer_id, sql)))
