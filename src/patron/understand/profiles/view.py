"""A profile as people read it: everything that depends on the time is computed here, none of it is kept."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from patron.schema.live_profile import CartItem, EventCount, LiveProfile, RecentEvent, ViewedProduct, Visit
from patron.understand.facts.interactions import AWAY_FROM_THE_SHOP, KINDS
from patron.understand.facts.sessions import GAP_SECONDS
from patron.understand.lifecycle_stages import stages_from_intervals
from patron.understand.profiles.aggregate import ADDED_TO_CART, SOLD
from patron.understand.profiles.profile import NEWEST_ORDERS, CurrencyTotals, EventTally, Profile, StoredEvent

MICROSECONDS = 1_000_000
RECENT = 10
DAYS_OF_RATE = 30.0


@dataclass(frozen=True)
class Shown:
    """What a profile is read with."""

    now: datetime
    zone: str
    rates: Mapping[str, float]
    """Units of the shop's currency that one of each is worth; '' is the shop's."""
    pace_days: float
    """The shop's days between orders."""


def read(customer_id: str, profile: Profile, shown: Shown, *, is_identified: bool) -> LiveProfile:
    """A customer's profile at a moment."""
    orders = [at for at, _ in profile.orders]
    first_order, last_order = _span(profile, SOLD)
    first, last = _span(profile, tuple(profile.names))
    acted = profile.acts[0].at_us if profile.acts else last
    refunded = _in_shop_currency(profile.money, shown, "refunded_cents")
    return LiveProfile(
        customer_id=customer_id,
        read_at=shown.now,
        is_identified=is_identified,
        first_event_at=_time(first),
        last_active_at=_time(acted),
        seconds_since_last_active=None if acted is None else max(0, int(_us(shown.now) - acted) // MICROSECONDS),
        event_count=sum(tally.event_count for tally in profile.names.values()),
        events=_events(profile.names),
        order_count=_order_count(profile),
        first_order_at=_time(first_order),
        last_order_at=_time(last_order),
        days_since_last_order=_day(shown.now, shown) - _day(_moment(orders[0]), shown) if orders else None,
        paid_cents=_in_shop_currency(profile.money, shown, "paid_cents") - refunded,
        refunded_cents=refunded,
        orders_per_30_days=_monthly(_order_count(profile), first, shown.now),
        lifecycle_stage=_lifecycle_stage(orders, shown),
        products=tuple(ViewedProduct(key, _moment(at)) for at, key in profile.products),
        cart=cart(profile.cart),
        visit=visit(profile.acts, shown.now),
        recent=tuple(RecentEvent(_moment(act.at_us), act.name, act.product_id) for act in profile.acts[:RECENT]),
    )


def cart(acts: list[StoredEvent]) -> tuple[CartItem, ...]:
    """What was put into the cart since the last order, and not taken out; the newest acts come first."""
    units: defaultdict[str, int] = defaultdict(int)
    ordered = next((place for place, act in enumerate(acts) if act.name in SOLD), len(acts))
    for act in reversed(acts[:ordered]):
        if act.product_id is None:
            continue
        if act.name in ADDED_TO_CART:
            units[act.product_id] += 1 if act.quantity is None else act.quantity
        else:
            left = 0 if act.quantity is None else units[act.product_id] - act.quantity
            units[act.product_id] = max(0, left)
    return tuple(CartItem(product_id, count) for product_id, count in sorted(units.items()) if count)


def visit(acts: list[StoredEvent], now: datetime) -> Visit | None:
    """The last visit; what happens away from the shop makes none."""
    inside = [act.at_us for act in acts if _is_at_the_shop(act.name)]
    if not inside:
        return None
    seconds = [at // MICROSECONDS for at in inside]
    gaps = [later - earlier < GAP_SECONDS for later, earlier in pairwise(seconds)]
    count = next((place for place, is_same in enumerate(gaps, 1) if not is_same), len(inside))
    is_open = _us(now) // MICROSECONDS - seconds[0] < GAP_SECONDS
    return Visit(_moment(inside[count - 1]), _moment(inside[0]), count, is_open)


def _is_at_the_shop(name: str) -> bool:
    return name in SOLD or (name in KINDS and KINDS[name] not in AWAY_FROM_THE_SHOP)


def _events(names: Mapping[str, EventTally]) -> tuple[EventCount, ...]:
    return tuple(
        EventCount(name, tally.event_count, _moment(tally.first_us), _moment(tally.last_us))
        for name, tally in sorted(names.items())
    )


def _order_count(profile: Profile) -> int:
    if len(profile.orders) < NEWEST_ORDERS:
        return len(profile.orders)
    whole = profile.names.get(SOLD[0])
    return max(NEWEST_ORDERS, whole.event_count if whole else 0)


def _lifecycle_stage(orders: list[int], shown: Shown) -> str | None:
    """Lifecycle stage by the run's rules, from the days of the newest orders."""
    days = sorted({_day(_moment(at), shown) for at in orders})
    if not days:
        return None
    last_gap = days[-1] - days[-2] if len(days) > 1 else 0
    intervals = (_day(shown.now, shown) - days[-1], days[-1] - days[0], len(days) - 1, last_gap)
    since, spread, gaps, last = (np.array([float(value)]) for value in intervals)
    return stages_from_intervals(since, spread, gaps, last, shown.pace_days)[0]


def _in_shop_currency(money: Mapping[str, CurrencyTotals], shown: Shown, part: str) -> int:
    """An amount of all currencies; what has no rate (any more) is left out, as in orders."""
    return sum(round(getattr(of, part) * shown.rates.get(currency, 0.0)) for currency, of in money.items())


def _monthly(count: int, first_us: int | None, now: datetime) -> float | None:
    if first_us is None:
        return None
    days = (_us(now) - first_us) / MICROSECONDS / 86_400
    return count / max(days / DAYS_OF_RATE, 1.0)


def _span(profile: Profile, names: tuple[str, ...]) -> tuple[int, int] | tuple[None, None]:
    tallies = [profile.names[name] for name in names if name in profile.names]
    if not tallies:
        return None, None
    return min(tally.first_us for tally in tallies), max(tally.last_us for tally in tallies)


def _day(moment: datetime, shown: Shown) -> int:
    return moment.astimezone(ZoneInfo(shown.zone)).toordinal()


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * MICROSECONDS)


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / MICROSECONDS, UTC)


def _time(at_us: int | None) -> datetime | None:
    return None if at_us is None else _moment(at_us)
