"""A storefront day by day: visits, lists from a policy, clicks and purchases, and what the policy gets to see.

Random numbers belong to a shopper, a day and a product, so policies can be compared in pairs. The alternation of
lists with browsing without them is that of RecoGym (Rohde et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from patron.schema.errors import InvalidTable
from patron.simulate.storefront.storefront_choice import (
    Chances,
    Intentions,
    draw_intentions,
    draw_views,
    draw_visitors,
    examination,
    expected_click,
    meet_needs,
    meet_needs_elsewhere,
    true_chances,
)
from patron.simulate.storefront.storefront_policy import EventKind, ListRequest, Policy, Scenario, ShopEvent, ShownList
from patron.simulate.storefront.storefront_products import ShopProducts
from patron.simulate.storefront.storefront_result import SCENARIOS, Impressions, Purchases, StorefrontResult, Visits
from patron.simulate.storefront.storefront_settings import DEFAULT_STOREFRONT, StorefrontSettings
from patron.simulate.storefront.storefront_world import make_world

PAGE_DAYS = 5 / 86_400
"""Time between two pages of a visit: five seconds, because a visit starts only after the one before it."""
VISITS_BEFORE_SIGN_UP = 2


@dataclass
class _Today:
    """What is fixed at the start of a day, one row per visit."""

    day: int
    visits: Intentions
    chances: Chances
    views: np.ndarray
    has_product_list: np.ndarray
    click_draws: dict[Scenario, np.ndarray]
    buy_draws: np.ndarray
    add_draws: np.ndarray


@dataclass
class _Visit:
    """A visit while it goes on."""

    row: int
    shopper: int
    at: float
    pages: list[int] = field(default_factory=list)
    bought: list[tuple[int, float]] = field(default_factory=list)
    events: list[ShopEvent] = field(default_factory=list)


class Storefront:
    """A storefront that one policy runs for some days; the same seed makes the same shop, whatever the policy."""

    def __init__(self, settings: StorefrontSettings = DEFAULT_STOREFRONT, *, days: int, seed: int) -> None:
        self.days = days
        self._world = make_world(settings, days, seed)
        self._look = examination(settings)
        self._past_visits = np.zeros(settings.shoppers, dtype=np.int64)
        self._is_signed_up = np.zeros(settings.shoppers, dtype=bool)
        self._requests = 0
        self._visit_log: list[tuple[int, int, bool]] = []
        self._list_log: list[tuple] = []
        self._buy_log: list[tuple[int, int, int, int, int]] = []
        self._click_share_sum = np.zeros(len(self.products))
        self._click_share_count = np.zeros(len(self.products))

    @property
    def products(self) -> ShopProducts:
        """What the shop knows of its products."""
        return self._world.products

    def run(self, policy: Policy) -> StorefrontResult:
        """Run all days with a policy, once."""
        for day in range(self.days):
            policy.refresh(day)
            self._today = self._begin(day)
            order = np.argsort(self._today.visits.at, kind="stable")
            visits: list[_Visit] = []
            for row in order.tolist():
                free_at = visits[-1].at + PAGE_DAYS if visits else 0.0
                start = max(float(self._today.visits.at[row]), free_at)
                visits.append(self._visit(_Visit(row, int(self._today.visits.shopper[row]), start), policy))
            self._end(visits)
        return self._result()

    def true_chances(self, request: ListRequest) -> tuple[np.ndarray, np.ndarray]:
        """Truth about every product for the request being answered: P(click | looked at), P(bought | clicked)."""
        visits = self._today.visits
        row = int(np.flatnonzero(visits.shopper == request.visitor)[0])
        click = self._today.chances.click[row].copy()
        click[list(request.session_items)] = 0
        return click, self._today.chances.buy[row]

    def expected_click(self, request: ListRequest) -> np.ndarray:
        """P(click | looked at) by all that is true but what the visit is about, which only the shopper knows."""
        click = expected_click(self._world, request.visitor, self._today.day, request.context_item)
        click[list(request.session_items)] = 0
        return click

    def _begin(self, day: int) -> _Today:
        """Draw who visits on a day, what for, and what follows from it."""
        world, date = self._world, np.array([day])
        draws, settings = world.draws, world.settings
        meet_needs_elsewhere(world, day)
        world.needs.showings[:] *= 2 ** (-1 / settings.fatigue_days)
        visitors = draw_visitors(world, day)
        visits = draw_intentions(world, visitors, day)
        chances = true_chances(world, visits, day)
        is_launched = self.products.launch_day <= day
        self._click_share_sum += np.where(is_launched, chances.click.sum(axis=0), 0)
        self._click_share_count += is_launched * len(visitors)
        keys = visitors[:, None], date, np.arange(len(self.products))[None, :]
        return _Today(
            day=day,
            visits=visits,
            chances=chances,
            views=draw_views(world, visits, chances.utility, day),
            has_product_list=draws.below("product list", settings.product_list_share, visitors, date),
            click_draws={scenario: draws.uniform(f"click {scenario}", *keys) for scenario in SCENARIOS},
            buy_draws=draws.uniform("buy", *keys),
            add_draws=draws.uniform("add", *keys),
        )

    def _visit(self, visit: _Visit, policy: Policy) -> _Visit:
        """Go through one visit: the home list, what is looked at unaided, and a list on the first page."""
        today, row = self._today, visit.row
        views = [int(item) for item in today.views[row] if item >= 0]
        self._show_list(visit, "home", None, policy)
        if views:
            self._open_page(visit, views[0], -1, 0)
        if visit.pages and today.has_product_list[row]:
            self._publish(visit, policy)
            self._show_list(visit, "product", visit.pages[0], policy)
        for item in views[1:]:
            self._open_page(visit, item, -1, 0)
        self._publish(visit, policy)
        self._past_visits[visit.shopper] += 1
        is_ready = bool(visit.bought) or self._past_visits[visit.shopper] >= VISITS_BEFORE_SIGN_UP
        self._is_signed_up[visit.shopper] |= is_ready and self._world.shoppers.signs_up[visit.shopper]
        self._visit_log.append((today.day, visit.shopper, bool(visit.bought)))
        return visit

    def _show_list(self, visit: _Visit, scenario: Scenario, context_item: int | None, policy: Policy) -> None:
        """Ask the policy for a list, show it, and open the pages of what is clicked."""
        today, row = self._today, visit.row
        shopper = visit.shopper if self._is_signed_up[visit.shopper] else None
        number, k = self._requests, self._world.settings.list_length
        self._requests += 1
        is_available = self._world.is_available[today.day]
        request = ListRequest(
            number,
            shopper,
            visitor=visit.shopper,
            at=visit.at,
            scenario=scenario,
            context_item=context_item,
            k=k,
            session_items=tuple(visit.pages),
            is_available=is_available,
        )
        items, propensities = self._check(policy.recommend(request), k)
        chance = self._look[: len(items)] * today.chances.click[row, items]
        if visit.pages:
            chance[np.isin(items, visit.pages)] = 0
        is_clicked = today.click_draws[scenario][row, items] < chance
        self._list_log.append(
            (today.day, number, visit.shopper, SCENARIOS.index(scenario), items, propensities, chance, is_clicked)
        )
        for place, item in enumerate(items.tolist(), 1):
            self._record(visit, "shown", item, number, place)
        self._world.needs.showings[visit.shopper, items] += 1
        self._world.needs.showings[visit.shopper, items[is_clicked]] = 0
        for place in np.flatnonzero(is_clicked).tolist():
            self._open_page(visit, int(items[place]), number, place + 1)

    def _check(self, shown: ShownList, k: int) -> tuple[np.ndarray, np.ndarray]:
        """A list as arrays. Raises InvalidTable for a list that no page could show."""
        items = np.asarray(shown.items, dtype=np.int64)
        propensities = np.asarray(shown.propensities, dtype=float)
        launched = self.products.launch_day <= self._today.day
        is_known = bool(np.all((items >= 0) & (items < len(self.products)))) and bool(launched[items].all())
        if len(items) > k or len(np.unique(items)) < len(items) or not is_known or len(items) != len(propensities):
            raise InvalidTable(
                f"{items.tolist()} is no list of up to {k} different launched products, each with a propensity",
                where="policy.recommend",
                todo="Return codes of products whose launch day has come, each once.",
            )
        return items, propensities

    def _open_page(self, visit: _Visit, item: int, request: int, place: int) -> None:
        """Open a product's page: it is looked at, perhaps put into the cart, perhaps bought; once a visit."""
        if item in visit.pages:
            return
        today, row = self._today, visit.row
        visit.at += PAGE_DAYS
        visit.pages.append(item)
        self._record(visit, "clicked" if place else "viewed", item, request, place)
        buy = today.chances.buy[row, item] * (self._world.settings.satisfied_factor if visit.bought else 1.0)
        is_bought = bool(today.buy_draws[row, item] < buy)
        if is_bought or today.add_draws[row, item] < self._world.settings.added_share:
            self._record(visit, "added", item, request, place)
        if is_bought:
            self._record(visit, "bought", item, request, place)
            visit.bought.append((item, visit.at))
            margin = int(self.products.margin_cents[item])
            self._buy_log.append((today.day, visit.shopper, item, request, margin))

    def _record(self, visit: _Visit, kind: EventKind, item: int, request: int, place: int) -> None:
        shopper = visit.shopper if self._is_signed_up[visit.shopper] else None
        visit.events.append(
            ShopEvent(
                visit.at, kind, shopper=shopper, visitor=visit.shopper, item=item, request=request, position=place
            )
        )

    def _publish(self, visit: _Visit, policy: Policy) -> None:
        """Let the policy observe what has happened since the last time."""
        if visit.events:
            policy.observe(tuple(visit.events))
            visit.events.clear()

    def _end(self, visits: Sequence[_Visit]) -> None:
        """Change needs by what was bought on the day."""
        rows = [(visit.shopper, item, at) for visit in visits for item, at in visit.bought]
        if rows:
            meet_needs(self._world, *(np.array(column) for column in zip(*rows, strict=True)))

    def _result(self) -> StorefrontResult:
        """Logs as arrays."""
        lists = self._list_log
        size = np.array([len(list_[4]) for list_ in lists], dtype=np.int64)
        visits = np.array(self._visit_log, dtype=np.int64).reshape(-1, 3)
        bought = np.array(self._buy_log, dtype=np.int64).reshape(-1, 5)
        per_list = np.array([list_[:4] for list_ in lists], dtype=np.int64).reshape(-1, 4)
        day, request, shopper, scenario = np.repeat(per_list, size, axis=0).T
        item, propensity, chance, clicked = (
            np.concatenate([list_[column] for list_ in lists]) if lists else np.empty(0) for column in range(4, 8)
        )
        return StorefrontResult(
            days=self.days,
            products=self.products,
            visits=Visits(visits[:, 0], visits[:, 1], visits[:, 2].astype(bool)),
            impressions=Impressions(
                day,
                request,
                shopper=shopper,
                scenario=scenario,
                item=item.astype(np.int64),
                position=_places(size),
                propensity=propensity,
                click_chance=chance,
                is_clicked=clicked.astype(bool),
            ),
            purchases=Purchases(*bought.T),
            true_click_share=np.divide(
                self._click_share_sum,
                self._click_share_count,
                out=np.full(len(self.products), np.nan),
                where=self._click_share_count > 0,
            ),
        )


def _places(sizes: np.ndarray) -> np.ndarray:
    """Positions from 1 within lists of these sizes."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1
