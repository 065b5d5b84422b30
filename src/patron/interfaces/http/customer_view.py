"""One customer for a page or the API: the last run's facts, and the live profile."""

from dataclasses import dataclass, replace
from datetime import datetime

from patron.answers.customer_profile import CustomerCard, customer_card
from patron.interfaces.http.answer_cache import Answers
from patron.schema.errors import NotFound
from patron.schema.live_profile import LiveProfile
from patron.service.live_profiles import live_profile


@dataclass(frozen=True)
class NewCustomer:
    """A customer whom no run has seen yet: only what is live."""

    customer_id: str
    live: LiveProfile


def customer_now(answers: Answers, customer_id: str, *, now: datetime) -> CustomerCard | NewCustomer:
    """One customer at the last run, which is kept for the next reader, and now. Raises NotFound for an unknown id."""
    shop = answers.shop
    live = live_profile(shop, customer_id, now=now)
    try:
        card = answers.cached_per_customer(("card", customer_id), lambda: customer_card(shop, customer_id))
        return replace(card, live=live)
    except NotFound:
        if live is None:
            raise
        return NewCustomer(customer_id, live)
