"""One customer for a page or the API: the last run's facts, and the live profile."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from patron.answers.customers.customer_profile import (
    CustomerCard,
    CustomerFacts,
    CustomerForecasts,
    CustomerSummary,
    customer_card,
    customer_facts,
    customer_forecasts,
    customer_summary,
)
from patron.govern.access.operations import operation
from patron.schema.customers.customer_rights import READ_CUSTOMERS, CustomerId
from patron.schema.customers.live_profile import LiveProfile
from patron.schema.errors import NotFound
from patron.service.live_profiles import live_profile
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.shop import Shop

Known = TypeVar("Known", bound=CustomerFacts)


@dataclass(frozen=True)
class NewCustomer:
    """A customer whom no run has seen yet: only what is live."""

    customer_id: str
    live: LiveProfile


@operation(READ_CUSTOMERS, "GET /api/customers/{customer_id}")
def customer_now(cache: AnswerCache, customer_id: CustomerId, *, now: datetime) -> CustomerCard | NewCustomer:
    """One customer: everything the last run knows, and `live` what they are doing; only that for a new one."""
    return _now(cache, "card", customer_card, customer_id, now)


def customer_summary_now(cache: AnswerCache, customer_id: str, *, now: datetime) -> CustomerSummary | NewCustomer:
    """What matters most about one customer, for which less is read. Raises NotFound for an unknown id."""
    return _now(cache, "summary", customer_summary, customer_id, now)


def customer_forecasts_now(cache: AnswerCache, customer_id: str, *, now: datetime) -> CustomerForecasts | NewCustomer:
    """What the run expects of one customer. Raises NotFound for an unknown id."""
    return _now(cache, "forecasts", customer_forecasts, customer_id, now)


def customer_facts_now(cache: AnswerCache, customer_id: str, *, now: datetime) -> CustomerFacts | NewCustomer:
    """Who one customer is, for which least is read. Raises NotFound for an unknown id."""
    return _now(cache, "facts", customer_facts, customer_id, now)


def _now(
    cache: AnswerCache, name: str, read: Callable[[Shop, str], Known], customer_id: str, now: datetime
) -> Known | NewCustomer:
    shop = cache.shop
    live = live_profile(shop, customer_id, now=now)
    try:
        of_run = cache.cached_per_customer((name, customer_id), lambda: read(shop, customer_id))
        return replace(of_run, live=live)
    except NotFound:
        if live is None:
            raise
        return NewCustomer(customer_id, live)
