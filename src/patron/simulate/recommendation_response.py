"""Response to recommended products: shown in visits, sometimes clicked, sometimes bought."""

from dataclasses import dataclass, replace

import numpy as np

from patron.simulate.population import People
from patron.simulate.product_catalogue import Catalogue
from patron.simulate.random_streams import Draws
from patron.simulate.simulator_settings import SimulatorSettings
from patron.simulate.visits import DAY_SPAN, MAX_VIEWS, Items, Visits, quantity_of

BOUGHT_SHARE = 0.35
"""Share of well matched clicked recommendations that join an order placed in the same visit."""
CATEGORY_MATCH = np.array([1.0, 0.75, 0.55, 0.15])
"""How well a product of the first, second, third favourite and any other category matches."""


@dataclass(frozen=True)
class ActiveRecommendations:
    """Recommended products in force, sorted by person and day, in the order given."""

    person: np.ndarray
    product: np.ndarray
    decision: np.ndarray
    day: np.ndarray

    def followed_by(self, other: "ActiveRecommendations") -> "ActiveRecommendations":
        """These and then later ones."""
        pairs = ((self.person, other.person), (self.product, other.product), (self.decision, other.decision))
        person, product, decision = (np.concatenate(pair) for pair in pairs)
        day = np.concatenate([self.day, other.day])
        order = np.lexsort((day, person))
        return ActiveRecommendations(person[order], product[order], decision[order], day[order])


NO_RECOMMENDATIONS = ActiveRecommendations(*(np.empty(0, np.int64) for _ in range(4)))


@dataclass(frozen=True)
class ShownRecommendations:
    """One recommendation a visit dwells on: one row per visit that has any."""

    visit: np.ndarray
    product: np.ndarray
    decision: np.ndarray
    is_clicked: np.ndarray
    is_bought: np.ndarray


_NOBODY, _NEVER = np.empty(0, np.int64), np.empty(0, bool)
NONE_SHOWN = ShownRecommendations(_NOBODY, _NOBODY, decision=_NOBODY, is_clicked=_NEVER, is_bought=_NEVER)


def taste_match(people: People, row: np.ndarray, product: np.ndarray, catalogue: Catalogue) -> np.ndarray:
    """How well products match the taste of people (by row), 0 to 1: the category, and the price they like."""
    favourite = people.favourites[row] == catalogue.category_of[product][:, None]
    rank = np.where(favourite.any(axis=1), favourite.argmax(axis=1), 3)
    liked = np.clip(0.92 - 0.75 * people.price_sensitivity[row], 0.05, 0.95)
    return CATEGORY_MATCH[rank] * (1 - 0.6 * np.abs(liked - catalogue.price_share(product)))


def show_recommendations(
    recommended: ActiveRecommendations,
    visits: Visits,
    people: People,
    catalogue: Catalogue,
    shop: SimulatorSettings,
    draws: Draws,
) -> ShownRecommendations:
    """Which recommendation each visit sees (mostly the first ones), clicks and buys."""
    if not len(recommended.person):
        return NONE_SHOWN
    keys = recommended.person * DAY_SPAN + recommended.day
    last = np.searchsorted(keys, visits.number, side="right") - 1
    at = np.maximum(last, 0)
    fresh = visits.day - recommended.day[at] < shop.recommendation_days
    signed_up = visits.day > people.signup_day[visits.row]
    visit = np.flatnonzero((last >= 0) & (recommended.person[at] == visits.person) & fresh & signed_up)
    first = np.searchsorted(keys, keys[at[visit]], side="left")
    number, row = visits.number[visit], visits.row[visit]
    place = np.floor(draws.uniform("rank", number) ** 2 * (at[visit] + 1 - first)).astype(np.int64)
    product = recommended.product[first + place]
    fit = taste_match(people, row, product, catalogue)
    clicked = draws.below("rec click", people.recommendation_interest[row] * fit, number)
    bought_share = np.where(visits.is_order[visit], BOUGHT_SHARE, shop.recommendation_conversion_share)
    bought = clicked & draws.below("rec buy", bought_share * fit, number)
    return ShownRecommendations(
        visit, product, decision=recommended.decision[first + place], is_clicked=clicked, is_bought=bought
    )


def add_bought_items(visits: Visits, items: Items, shown: ShownRecommendations, draws: Draws) -> tuple[Visits, Items]:
    """Add bought recommendations to what the visits buy; a visit without an order becomes one."""
    visit, product = shown.visit[shown.is_bought], shown.product[shown.is_bought]
    span = int(max(items.product.max(initial=0), product.max(initial=0))) + 1
    is_new = ~np.isin(visit * span + product, (items.visit * span + items.product)[items.is_bought])
    visit, product = visit[is_new], product[is_new]
    place = np.full(len(visit), MAX_VIEWS)
    yes = np.ones(len(visit), dtype=bool)
    quantity = quantity_of(visits.number[visit], place, draws)
    extra = Items(visit, place, product=product, is_added=yes, is_bought=yes, quantity=quantity)
    both = {name: np.concatenate([getattr(items, name), getattr(extra, name)]) for name in Items.__dataclass_fields__}
    order = np.lexsort((both["place"], both["visit"]))
    is_order = visits.is_order.copy()
    is_order[visit] = True
    return replace(visits, is_order=is_order), Items(**{name: values[order] for name, values in both.items()})
