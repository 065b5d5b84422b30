"""The live profile that people read, from a stored one; all that depends on the time of reading is computed here."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from patron.schema.customers.live_profile import CartItem, EventCount, LiveProfile, RecentEvent, ViewedProduct, Visit
from patron.understand.facts.interactions import AWAY_FROM_THE_SHOP, KINDS
from patron.understand.facts.sessions import GAP_SECONDS
from patron.understand.lifecycle_stages import OrderRhythm, lifecycle_stages
from patron.understand.profiles.profile_query import ADDED_TO_CART, SOLD
from patron.understand.profiles.token_profile import (
    MAX_EVENTS,
    MAX_ORDERS,
    CurrencyTotals,
    EventTally,
    StoredEvent,
    TokenProfile,
)

MICROSECONDS = 1_000_000
MAX_RECENT_EVENTS = 10
DAYS_OF_RATE = 30.0


@dataclass(frozen=True)
class StageAtRun:
    """The lifecycle stage that a run found for the customer: it holds until they order again."""

    lifecycle_stage: str
    as_of: datetime


@dataclass(frozen=True)
class ViewContext:
    """What a live profile depends on besides the stored one."""

    now: datetime
    zone: str
    rates: Mapping[str, float]
    """Units of the shop's currency that one of each is worth; '' is the shop's."""
    pace_days: float
    """The shop's days between orders."""
    stage_at_run: StageAtRun | None = None
    """The customer's stage in the last run; None for whom it did not know."""


def live_profile_of(
    customer_id: str, profile: TokenProfile, context: ViewContext, *, is_identified: bool
) -> LiveProfile:
    """Live profile of a customer at the time of the context."""
    orders = [at for at, _ in profile.orders]
    first_order, last_order = _first_and_last(profile, SOLD)
    first, last = _first_and_last(profile, tuple(profile.tallies))
    acted = profile.recent_events[0].at_us if profile.recent_events else last
    order_count, has_more_orders = _order_count(profile)
    refunded = _in_shop_currency(profile.totals, context, "refunded_cents")
    return LiveProfile(
        customer_id=customer_id,
        read_at=context.now,
        is_identified=is_identified,
        first_event_at=_datetime_or_none(first),
        last_active_at=_datetime_or_none(acted),
        seconds_since_last_active=None if acted is None else max(0, int(_us(context.now) - acted) // MICROSECONDS),
        event_count=sum(tally.event_count for tally in profile.tallies.values()),
        events=_event_counts(profile.tallies),
        order_count=order_count,
        has_more_orders=has_more_orders,
        first_order_at=_datetime_or_none(first_order),
        last_order_at=_datetime_or_none(last_order),
        days_since_last_order=_day(context.now, context) - _day(_datetime(orders[0]), context) if orders else None,
        paid_cents=_in_shop_currency(profile.totals, context, "paid_cents") - refunded,
        refunded_cents=refunded,
        orders_per_30_days=None if has_more_orders else _per_30_days(order_count, first, context.now),
        lifecycle_stage=_lifecycle_stage(orders, context),
        products=tuple(ViewedProduct(key, _datetime(at)) for at, key in profile.viewed_products),
        cart=cart_items(profile.cart_events),
        visit=last_visit(profile.recent_events, context.now),
        recent=tuple(
            RecentEvent(_datetime(event.at_us), event.name, event.product_id)
            for event in profile.recent_events[:MAX_RECENT_EVENTS]
        ),
    )


def cart_items(events: list[StoredEvent]) -> tuple[CartItem, ...]:
    """Products added to the cart since the last order and not removed; `events` are sorted from new to old."""
    units: defaultdict[str, int] = defaultdict(int)
    ordered = next((position for position, event in enumerate(events) if event.name in SOLD), len(events))
    for event in reversed(events[:ordered]):
        if event.product_id is None:
            continue
        if event.name in ADDED_TO_CART:
            units[event.product_id] += 1 if event.quantity is None else event.quantity
        else:
            left = 0 if event.quantity is None else units[event.product_id] - event.quantity
            units[event.product_id] = max(0, left)
    return tuple(CartItem(product_id, count) for product_id, count in sorted(units.items()) if count)


def visit_events(events: list[StoredEvent]) -> list[StoredEvent]:
    """Events of the last visit, from new to old as they come; those away from the shop belong to none."""
    at_shop = [event for event in events if is_at_the_shop(event.name)]
    seconds = [event.at_us // MICROSECONDS for event in at_shop]
    gaps = (later - earlier < GAP_SECONDS for later, earlier in pairwise(seconds))
    count = next((position for position, is_same in enumerate(gaps, 1) if not is_same), len(at_shop))
    return at_shop[:count]


def last_visit(events: list[StoredEvent], now: datetime) -> Visit | None:
    """The last visit; events away from the shop, such as an opened message, belong to none."""
    of_visit = visit_events(events)
    if not of_visit:
        return None
    last_us, count = of_visit[0].at_us, len(of_visit)
    is_open = _us(now) // MICROSECONDS - last_us // MICROSECONDS < GAP_SECONDS
    has_more_events = len(events) == MAX_EVENTS and count == sum(is_at_the_shop(event.name) for event in events)
    return Visit(
        _datetime(of_visit[-1].at_us),
        _datetime(last_us),
        event_count=count,
        is_open=is_open,
        has_more_events=has_more_events,
    )


def is_at_the_shop(name: str) -> bool:
    """Whether an event of this name is part of a visit."""
    return name in SOLD or (name in KINDS and KINDS[name] not in AWAY_FROM_THE_SHOP)


def _event_counts(names: Mapping[str, EventTally]) -> tuple[EventCount, ...]:
    return tuple(
        EventCount(name, tally.event_count, _datetime(tally.first_us), _datetime(tally.last_us))
        for name, tally in sorted(names.items())
    )


def _order_count(profile: TokenProfile) -> tuple[int, bool]:
    """Orders, and whether there may be more than these."""
    if len(profile.orders) < MAX_ORDERS:
        return len(profile.orders), False
    whole = profile.tallies.get(SOLD[0])
    count = whole.event_count if whole else 0
    return max(MAX_ORDERS, count), count < MAX_ORDERS or SOLD[1] in profile.tallies


def _lifecycle_stage(orders: list[int], context: ViewContext) -> str | None:
    """The stage of the last run; by the rhythm of the newest orders for whom it did not know or who ordered since."""
    days = sorted({_day(_datetime(at), context) for at in orders})
    if not days:
        return None
    if context.stage_at_run is not None and orders[0] < _us(context.stage_at_run.as_of):
        return context.stage_at_run.lifecycle_stage
    last_gap = days[-1] - days[-2] if len(days) > 1 else 0
    intervals = (_day(context.now, context) - days[-1], days[-1] - days[0], len(days) - 1, last_gap)
    rhythm = OrderRhythm(*(np.array([float(value)]) for value in intervals))
    return lifecycle_stages(rhythm, context.pace_days)[0]


def _in_shop_currency(money: Mapping[str, CurrencyTotals], context: ViewContext, part: str) -> int:
    """Sum over currencies; one without a rate is left out, as in orders."""
    return sum(round(getattr(of, part) * context.rates.get(currency, 0.0)) for currency, of in money.items())


def _per_30_days(count: int, first_us: int | None, now: datetime) -> float | None:
    if first_us is None:
        return None
    days = (_us(now) - first_us) / MICROSECONDS / 86_400
    return count / max(days / DAYS_OF_RATE, 1.0)


def _first_and_last(profile: TokenProfile, names: tuple[str, ...]) -> tuple[int, int] | tuple[None, None]:
    tallies = [profile.tallies[name] for name in names if name in profile.tallies]
    if not tallies:
        return None, None
    return min(tally.first_us for tally in tallies), max(tally.last_us for tally in tallies)


def _day(moment: datetime, context: ViewContext) -> int:
    return moment.astimezone(ZoneInfo(context.zone)).toordinal()


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * MICROSECONDS)


def _datetime(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / MICROSECONDS, UTC)


def _datetime_or_none(at_us: int | None) -> datetime | None:
    return None if at_us is None else _datetime(at_us)
