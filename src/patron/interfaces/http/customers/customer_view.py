"""One customer for a page or the API: the last run's facts, and the live profile."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from patron.answers.customers.customer_profile import CustomerCard, CustomerSummary, customer_card, customer_summary
from patron.interfaces.http.answer_cache import Answers
from patron.schema.customers.live_profile import LiveProfile
from patron.schema.errors import NotFound
from patron.service.live_profiles import live_profile
from patron.storage.shop import Shop

Summary = TypeVar("Summary", bound=CustomerSummary)


@dataclass(frozen=True)
class NewCustomer:
    """A customer whom no run has seen yet: only what is live."""

    customer_id: str
    live: LiveProfile


def customer_now(answers: Answers, customer_id: str, *, now: datetime) -> CustomerCard | NewCustomer:
    """One customer at the last run, which is kept for the next reader, and now. Raises NotFound for an unknown id."""
    return _now(answers, "card", customer_card, customer_id, now)


def customer_summary_now(answers: Answers, customer_id: str, *, now: datetime) -> CustomerSummary | NewCustomer:
    """What matters most about one customer, for which less is read. Raises NotFound for an unknown id."""
    return _now(answers, "summary", customer_summary, customer_id, now)


def _now(
    answers: Answers, name: str, read: Callable[[Shop, str], Summary], customer_id: str, now: datetime
) -> Summary | NewCustomer:
    shop = answers.shop
    live = live_profile(shop, customer_id, now=now)
    try:
        of_run = answers.cached_per_customer((name, customer_id), lambda: read(shop, customer_id))
        return replace(of_run, live=live)
    except NotFound:
        if live is None:
            raise
        return NewCustomer(customer_id, live)
