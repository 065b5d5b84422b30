"""Events of visits, in the order in which they happen in a session."""

from dataclasses import dataclass

import numpy as np

from patron.simulate.event_batches import DAY_US, STEPS, Batch, make_batch
from patron.simulate.order_terms import Orders
from patron.simulate.population import People
from patron.simulate.product_catalogue import QUERIES, Catalogue
from patron.simulate.random_streams import Draws
from patron.simulate.recommendation_response import ShownRecommendations
from patron.simulate.visits import Items, Visits

SECOND = 1_000_000
SIGN_IN_SECOND = 600
CHECKOUT_SECOND = 620
ORDER_SECOND = 690
ITEM_SECOND = 30
SECONDS_PER_ITEM = 55
SHOWN_SECOND = 455
ANONYMOUS_SHARE = 0.22
"""Share of visits to the web shop by known customers that begin without signing in."""


@dataclass(frozen=True)
class Session:
    """Device and channel of each visit: one row per visit."""

    start_us: np.ndarray
    device: np.ndarray
    is_app: np.ndarray
    is_known: np.ndarray
    """Whether the person is signed in from the start."""
    signs_in: np.ndarray
    """Whether the person signs in (or up) on the way."""

    def columns(self, visit: np.ndarray, person: np.ndarray, *, is_late: bool = False) -> dict[str, np.ndarray]:
        """Columns that all events of a visit share; late ones come after signing in."""
        known = self.is_known[visit] | (self.signs_in[visit] & is_late)
        return {
            "is_signed_in": known,
            "device": self.device[visit],
            "is_app": self.is_app[visit],
            "visitor": person * 4 + self.device[visit],
        }


def sessions(visits: Visits, people: People, draws: Draws) -> Session:
    """Hour, device and sign-in of each visit."""
    row, number = visits.row, visits.number
    hour = np.clip(people.hour[row] + 2.2 * draws.normal("start", number), 0.1, 23.9)
    away = draws.below("other device", 0.2, number)
    device = (people.device[row] + away) % 3
    is_app = (device == 1) & draws.below("app", 0.4, people.person[row]) & (visits.day > people.signup_day[row])
    signs_up = visits.day == people.signup_day[row]
    is_member = visits.day > people.signup_day[row]
    is_anonymous = ~is_app & draws.below("anonymous", ANONYMOUS_SHARE, number)
    return Session(
        start_us=visits.day * DAY_US + np.floor(hour * 3600).astype(np.int64) * SECOND,
        device=device,
        is_app=is_app,
        is_known=is_member & ~is_anonymous,
        signs_in=signs_up | (is_member & is_anonymous & visits.is_order),
    )


def browsing_events(visits: Visits, items: Items, session: Session, catalogue: Catalogue, draws: Draws) -> list[Batch]:
    """Searches, lists, clicks, views and products put into the cart."""
    first = np.searchsorted(items.visit, np.arange(len(visits)))
    lead = items.product[first]
    number = visits.number
    searched = np.flatnonzero(draws.below("search", 0.55, number))
    query = lead * len(QUERIES) + np.floor(draws.uniform("query", number) * len(QUERIES)).astype(np.int64)
    listed = np.flatnonzero(draws.below("list", 0.8, number))

    def of_visits(name: str, visit: np.ndarray, step: int, second: int, **columns: np.ndarray) -> Batch:
        shared = session.columns(visit, visits.person[visit]) | columns
        time = session.start_us[visit] + second * SECOND
        return make_batch(name, number[visit] * STEPS + step, time, visits.person[visit], **shared)

    def of_items(name: str, chosen: np.ndarray, step: int, second: int, **columns: np.ndarray) -> Batch:
        visit, place = items.visit[chosen], items.place[chosen]
        jitter = np.floor(20 * draws.uniform("pause", number[visit], place)).astype(np.int64)
        seconds = ITEM_SECOND + SECONDS_PER_ITEM * place + second + jitter
        shared = session.columns(visit, visits.person[visit]) | {"product": items.product[chosen]} | columns
        steps = number[visit] * STEPS + 10 + 4 * place + step
        return make_batch(name, steps, session.start_us[visit] + seconds * SECOND, visits.person[visit], **shared)

    everything = np.arange(len(items.visit))
    clicked = np.flatnonzero(draws.below("click", 0.6, number[items.visit], items.place))
    added = np.flatnonzero(items.is_added)
    return [
        of_visits("Products Searched", searched, 0, 0, text=query[searched]),
        of_visits("Product List Viewed", listed, 2, 12, category=catalogue.category_of[lead[listed]]),
        of_items("Product Clicked", clicked, 0, 0),
        of_items("Product Viewed", everything, 1, 2),
        of_items("Product Added", added, 2, 24, quantity=items.quantity[added]),
    ]


def sign_in_events(visits: Visits, people: People, session: Session) -> list[Batch]:
    """Identify where someone signs in, and registration and referral where someone is new."""
    visit = np.flatnonzero(session.signs_in)
    new = visit[visits.day[visit] == people.signup_day[visits.row[visit]]]
    referred = new[people.referrer[visits.row[new]] >= 0]

    def of(name: str, rows: np.ndarray, step: int) -> Batch:
        shared = session.columns(rows, visits.person[rows], is_late=True)
        time = session.start_us[rows] + (SIGN_IN_SECOND + step - 70) * SECOND
        return make_batch(name, visits.number[rows] * STEPS + step, time, visits.person[rows], **shared)

    by = people.referrer[visits.row[referred]]
    time = session.start_us[referred] + (SIGN_IN_SECOND + 3) * SECOND
    referrals = make_batch(
        "Customer Referred", visits.number[referred] * STEPS + 73, time, by, other=visits.person[referred]
    )
    return [of("Identify", visit, 70), of("Customer Registered", new, 71), referrals]


def order_events(visits: Visits, orders: Orders, session: Session) -> list[Batch]:
    """Checkout and order."""
    shared = session.columns(orders.visit, visits.person[orders.visit], is_late=True)
    number = visits.number[orders.visit]
    lines = {"first_line": orders.first_line, "line_count": orders.line_count, "lines": orders.lines}
    start = session.start_us[orders.visit]
    person = visits.person[orders.visit]
    columns = shared | lines | {"order": number, "coupon": orders.coupon}
    return [
        make_batch("Checkout Started", number * STEPS + 80, start + CHECKOUT_SECOND * SECOND, person, **columns),
        make_batch(
            "Order Completed",
            number * STEPS + 81,
            start + ORDER_SECOND * SECOND,
            person,
            **(columns | {"shipping_cents": orders.shipping_cents}),
        ),
    ]


def recommendation_events(visits: Visits, shown: ShownRecommendations, session: Session) -> list[Batch]:
    """Recommendations shown, clicked and viewed (a bought one is among the items of its visit)."""

    def of(name: str, rows: np.ndarray, step: int, second: int, **columns: np.ndarray) -> Batch:
        visit = shown.visit[rows]
        shared = session.columns(visit, visits.person[visit]) | {"product": shown.product[rows]} | columns
        time = session.start_us[visit] + (SHOWN_SECOND + second) * SECOND
        return make_batch(name, visits.number[visit] * STEPS + step, time, visits.person[visit], **shared)

    everything, clicked = np.arange(len(shown.visit)), np.flatnonzero(shown.is_clicked)
    only_viewed = np.flatnonzero(shown.is_clicked & ~shown.is_bought)
    return [
        of("Recommendation Shown", everything, 60, 0, decision=shown.decision),
        of("Recommendation Clicked", clicked, 61, 4, decision=shown.decision[clicked]),
        of("Product Viewed", only_viewed, 62, 6),
    ]
