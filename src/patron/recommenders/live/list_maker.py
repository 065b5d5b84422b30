"""Make one list: candidates, how likely each is clicked, rules and diversity, one place explored, and reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from patron.recommenders.ids import Codes
from patron.recommenders.lists.choose_lists import ProductLists, choose_lists
from patron.recommenders.lists.exclusions import EXCLUSIONS, LOWER_RANK, Exclusion
from patron.recommenders.lists.list_candidates import ItemsByRow, ListCandidates, ShopperFacts
from patron.recommenders.live.candidate_interests import POPULAR, Candidates
from patron.recommenders.live.click_model import TINY, ClickWeights, ProductResponse
from patron.recommenders.live.exploration import DRAWS, RegretBudget, draw_product
from patron.recommenders.live.list_reasons import Reason, reason_of
from patron.recommenders.live.recommendation_index import DAYS, UNKNOWN, RecommendationIndex
from patron.recommenders.live.scenarios import CART, Scenario
from patron.recommenders.live.session_memory import CLICK, HIDE, ORDER, RETURN, SHOWN, SessionEvent
from patron.schema.numbers import Numbers

MORE_POPULAR = 3_000
"""Best sellers that are tried where rules leave too few candidates."""
EXPLORED_PLACE = 3
"""Place of a list that is explored; the last one of a shorter list."""
MAX_EXPLORED = 50
"""Products that one draw decides between."""
LOWEST_VALUE, HIGHEST_VALUE = 0.1, 10.0
"""A product's margin counts as so much of the median at least and at most."""
NOTHING = ItemsByRow.none(1)


@dataclass(frozen=True, eq=False)
class ListRequest:
    """Who is there, where, and when."""

    scenario: Scenario
    day: float
    """Days since 1970."""
    customer: int = UNKNOWN
    """Place of the customer in the index; -1 of a visitor."""
    session: Sequence[SessionEvent] = ()
    """The shopper's newest events, in order of time."""
    context: Sequence[int] = ()
    """Products of the page or cart."""
    hidden: Sequence[int] = ()
    """Products that the customer does not want to see."""
    count: int | None = None
    """Products; by default as many as the scenario has."""
    allowed: Codes | None = None
    """Only these products."""
    first_place: int = 1
    """Place of the first product: more on a next page."""


@dataclass(frozen=True, eq=False)
class ListedProduct:
    """One product of a list."""

    product: int
    click_probability: float
    """At the first place, 0 to 1."""
    expected_clicks: float
    """At its place, by its sources alone: what its clicks are compared with."""
    buy_probability: float
    """Click and order, 0 to 1."""
    propensity: float
    """Probability with which this product was chosen for its place."""
    interests: tuple[float, ...]
    """How much each source but `any` speaks for it, 0 to 1."""
    shares: Numbers
    """What each source adds to its rate."""
    reason: Reason


@dataclass(frozen=True, eq=False)
class ProductList:
    """A list, and why what is not in it is not."""

    products: tuple[ListedProduct, ...]
    choice: ProductLists
    """The greedy choice that the list is, but for an explored place."""

    @property
    def why_short(self) -> Mapping[Exclusion, int]:
        """How many products each reason left out of a list that is shorter than it should be."""
        return self.choice.why_short(0)

    def why_not(self, product: int) -> Exclusion | None:
        """Why a product is not in the list; None where it is."""
        if any(one.product == product for one in self.products):
            return None
        return self.choice.why_not(0, product) or EXCLUSIONS[LOWER_RANK]


@dataclass(eq=False)
class ListMaker:
    """Makes lists from an index; what was shown and clicked since changes how likely each product is clicked."""

    index: RecommendationIndex
    weights: ClickWeights = field(default_factory=ClickWeights)
    response: ProductResponse = None  # type: ignore[assignment] - made from the index
    budget: RegretBudget = field(default_factory=lambda: RegretBudget(0.0))

    def __post_init__(self) -> None:
        """Start without feedback where none is passed."""
        self.response = self.response or ProductResponse.unknown(len(self.index.facts.products))
        self._margins = _relative_margins(self.index.margin_cents.astype(np.float64))

    def make(self, request: ListRequest, rng: np.random.Generator) -> ProductList:
        """One list; its cost does not grow with the number of products.

        Raises BadListInput.
        """
        shopper = self._shopper(request)
        count = request.scenario.count if request.count is None else request.count
        for popular in (POPULAR, MORE_POPULAR):
            candidates = self._candidates(request, popular)
            rates = self._rates(candidates, request)
            worth = self._worth(candidates, rates, request)
            pairs = ListCandidates(np.zeros(len(worth), np.int64), candidates.product, worth, 1)
            choice = choose_lists(pairs, self.index.facts, request.scenario.rules, count, shopper)
            if choice.items[0, -1] >= 0 or request.allowed is not None:
                break
        places = np.searchsorted(candidates.product, choice.items[0][choice.items[0] >= 0])
        propensities = np.ones(len(places))
        looks = self._looks(len(places), request)
        cost = 0.0
        expected = float(worth[places] @ looks)
        if len(places) and self.budget.allows:
            cost = self._explore(places, propensities, candidates, worth, choice, request, rng)
        if self.budget.share:
            self.budget.add(expected=expected, cost=cost)
        return ProductList(self._listed(candidates, rates, places, propensities, request), choice)

    def _candidates(self, request: ListRequest, popular: int) -> Candidates:
        return Candidates.of(
            self.index,
            customer=request.customer,
            session=request.session,
            context=request.context,
            day=request.day,
            popular=popular,
            allowed=request.allowed,
        )

    def _worth(self, candidates: Candidates, rates: Numbers, request: ListRequest) -> Numbers:
        """What candidates are ranked by, 0 to 1: click and order, and the margin as far as the scenario says.

        In clicks of a product whose orders and margin are the median's.
        """
        scenario = request.scenario
        orders = self.response.order_shares(candidates.product, self.weights.shares(candidates.interests))
        value = orders / max(float(np.median(orders)) if len(orders) else 1.0, TINY)
        if scenario.value_weight:
            value *= self._margins[candidates.product] ** scenario.value_weight
        worth = np.clip(rates * value, TINY, 1.0)
        return np.where(rates < scenario.least_click_probability, 0.0, worth)

    def _rates(self, candidates: Candidates, request: ListRequest) -> Numbers:
        """Clicks per look of each candidate, less what rotation takes off."""
        rates = self.weights.rates(candidates.interests) * self.response.multipliers(candidates.product)
        if request.scenario.rotation:
            rates *= self._kept_by_rotation(candidates, request)
        return np.minimum(rates, 1.0)

    def _kept_by_rotation(self, candidates: Candidates, request: ListRequest) -> Numbers:
        """Share of its rate that each candidate keeps after it was shown and not clicked."""
        kept, scenario = np.ones(len(candidates.product)), request.scenario
        shown: dict[int, float] = {}
        for event in request.session:
            if event.kind == SHOWN:
                shown[self.index.code(event.product)] = event.day
            elif event.kind == CLICK:
                shown.pop(self.index.code(event.product), None)
        for code, day in shown.items():
            place = np.searchsorted(candidates.product, code)
            if place < len(kept) and candidates.product[place] == code:
                age = max(request.day - day, 0.0)
                kept[place] = 1 - scenario.rotation * 0.5 ** (age / scenario.rotation_half_life_days)
        return kept

    def _shopper(self, request: ListRequest) -> ShopperFacts:
        """What the customer bought, returned and hid, until the newest event."""
        customers, since = self.index.customers, max(request.day - self.index.at_day, 0.0)
        past: dict[str, tuple[Codes, Numbers]] = {}
        for kind, rows in ((ORDER, customers.bought), (RETURN, customers.returned)):
            days = (rows.value(DAYS, request.customer) + since).astype(np.float64)
            past[kind] = (rows.row(request.customer).astype(np.int64), days)
        hidden = [*request.hidden, *customers.hidden.row(request.customer).tolist()]
        for event in request.session:
            if event.kind in past:
                products, days = past[event.kind]
                age = max(request.day - event.day, 0.0)
                past[event.kind] = np.append(products, self.index.code(event.product)), np.append(days, age)
            elif event.kind in HIDE:
                hidden.append(self.index.code(event.product))
        bought, returned = (_one_row(*past[kind]) for kind in (ORDER, RETURN))
        out_of_list = _one_row(hidden), _one_row(request.context), _one_row(self._apart(request))
        return ShopperFacts(bought, returned, *out_of_list)

    def _apart(self, request: ListRequest) -> list[int]:
        """What is not shown next to the products of the page or cart."""
        is_cart = request.scenario.name == CART
        rows = (self.index.never, self.index.substitutes) if is_cart else (self.index.never,)
        return [other for one in request.context for of_kind in rows for other in of_kind.row(one).tolist()]

    def _explore(  # noqa: PLR0913, PLR0917 - all that one draw needs
        self,
        places: Codes,
        propensities: Numbers,
        candidates: Candidates,
        worth: Numbers,
        choice: ProductLists,
        request: ListRequest,
        rng: np.random.Generator,
    ) -> float:
        """Let one place of a list be drawn, in place; return the worth that this is expected to cost."""
        at = min(EXPLORED_PLACE, len(places)) - 1
        is_free = choice.exclusions == LOWER_RANK
        if request.scenario.rules.tail_share and self.index.facts.is_tail[candidates.product[places[at]]]:
            is_free &= self.index.facts.is_tail[candidates.product]
        free = np.flatnonzero(is_free)
        if len(free) > MAX_EXPLORED:
            spread = 2 / np.sqrt(self.response.prior + self.response.clicks[candidates.product[free]])
            free = np.sort(free[np.argsort(-worth[free] * (1 + spread), kind="stable")[:MAX_EXPLORED]])
        pool = np.append(places[at], free)
        products = candidates.product[pool]
        draws = self.response.draws(products, DRAWS, rng) / self.response.multipliers(products)
        drawn = draw_product(worth[pool], draws, rng)
        places[at], propensities[at] = pool[drawn.place], drawn.propensities[drawn.place]
        return drawn.cost * float(self._looks(at + 1, request)[-1])

    def _looks(self, count: int, request: ListRequest) -> Numbers:
        """How often each place of a list is looked at."""
        return self.weights.examined(np.arange(request.first_place, request.first_place + count))

    def _listed(
        self, candidates: Candidates, rates: Numbers, places: Codes, propensities: Numbers, request: ListRequest
    ) -> tuple[ListedProduct, ...]:
        shares = self.weights.shares(candidates.interests[places])
        expected = self.weights.rates(candidates.interests[places]) * self._looks(len(places), request)
        buys = rates[places] * self.response.order_shares(candidates.product[places], shares)
        return tuple(
            ListedProduct(
                int(candidates.product[place]),
                float(rates[place]),
                expected_clicks=float(expected[at]),
                buy_probability=float(buys[at]),
                propensity=float(propensities[at]),
                interests=tuple(candidates.interests[place, :-1].tolist()),
                shares=shares[at],
                reason=reason_of(self.index, candidates, int(place), shares[at], request.customer, request.day),
            )
            for at, place in enumerate(places)
        )


def _one_row(items: npt.ArrayLike, days: Numbers | None = None) -> ItemsByRow:
    products = np.asarray(items, dtype=np.int64)
    if not len(products):
        return NOTHING
    since = np.zeros(len(products)) if days is None else days
    return ItemsByRow(np.array([0, len(products)]), products, since)


def _relative_margins(margin_cents: Numbers) -> Numbers:
    """Margin of each product as a share of the median; 1 where it is not known."""
    known = margin_cents[np.isfinite(margin_cents)]
    median = np.median(known) if len(known) else 1.0
    shares = margin_cents / median if median > 0 else np.ones(len(margin_cents))
    return np.where(np.isfinite(shares), np.clip(shares, LOWEST_VALUE, HIGHEST_VALUE), 1.0)
