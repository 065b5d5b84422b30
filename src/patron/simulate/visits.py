"""Visits: who comes on which day, what they look at, put into the cart and buy."""

from dataclasses import dataclass

import numpy as np

from patron.simulate.population import People
from patron.simulate.product_catalogue import Catalogue
from patron.simulate.random_streams import Draws

MAX_LINES = 6
MAX_VIEWS = 8
DAY_SPAN = 2**16
"""More days than a shop lives: a visit's number is person times this plus day."""


@dataclass(frozen=True)
class Visits:
    """One row per visit; a person makes at most one a day."""

    row: np.ndarray
    """Position of the person in the people it was made for."""
    person: np.ndarray
    day: np.ndarray
    month: np.ndarray
    """Calendar month of the day, 0 to 11."""
    is_order: np.ndarray
    is_sale: np.ndarray
    offer: np.ndarray
    """Index of the offer in force, or -1."""

    @property
    def number(self) -> np.ndarray:
        """Number of the visit, unique in a shop for ever."""
        return self.person * DAY_SPAN + self.day

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Items:
    """One row per product looked at in a visit, in order of visit and place; the first ones are bought or put in."""

    visit: np.ndarray
    """Position of the visit."""
    place: np.ndarray
    product: np.ndarray
    is_added: np.ndarray
    is_bought: np.ndarray
    quantity: np.ndarray


def browse_products(visits: Visits, people: People, catalogue: Catalogue, draws: Draws) -> Items:
    """What is looked at, put into the cart and bought in each visit; never the same product twice in one."""
    number = visits.number
    lines = _line_count(visits, people, draws)
    views = 1 + np.floor(2.3 * draws.exponential("views", number)).astype(np.int64)
    count = np.maximum(np.minimum(views, MAX_VIEWS), lines)
    visit = np.repeat(np.arange(len(visits)), count)
    place = np.arange(len(visit)) - np.repeat(np.cumsum(count) - count, count)
    product = choose_products(visits, visit, place, people, catalogue, draws)
    keep = _first_of_each(visit, product, len(catalogue.price_cents))
    visit, place, product = visit[keep], place[keep], product[keep]
    is_bought = place < lines[visit]
    abandoned = ~visits.is_order & draws.below("abandoned", 0.14, number)
    tried = draws.below("tried", 0.08, number[visit], place)
    return Items(
        visit=visit,
        place=place,
        product=product,
        is_added=is_bought | (abandoned[visit] & (place == 0)) | tried,
        is_bought=is_bought,
        quantity=quantity_of(number[visit], place, draws),
    )


def _line_count(visits: Visits, people: People, draws: Draws) -> np.ndarray:
    """Lines each visit buys (0 without an order)."""
    further = np.floor(people.further_lines[visits.row] * draws.exponential("lines of", visits.number))
    return np.where(visits.is_order, 1 + np.minimum(further, MAX_LINES - 1), 0).astype(np.int64)


def _first_of_each(visit: np.ndarray, product: np.ndarray, products: int) -> np.ndarray:
    """Mask of the first time a product runs up in a visit."""
    keep = np.zeros(len(visit), dtype=bool)
    keep[np.unique(visit * products + product, return_index=True)[1]] = True
    return keep


def quantity_of(number: np.ndarray, place: np.ndarray, draws: Draws) -> np.ndarray:
    """Units of each line: mostly one."""
    uniform = draws.uniform("quantity", number, place)
    return 1 + (uniform < 0.16).astype(np.int64) + (uniform < 0.04)


def choose_products(
    visits: Visits, visit: np.ndarray, place: np.ndarray, people: People, catalogue: Catalogue, draws: Draws
) -> np.ndarray:
    """Products chosen in visits (by position), one for each place.

    A category to the person's taste or the season's, then a habit, a hit or a price they like.
    The habits are three products per person and category near the price they like; hits are the same for everybody.
    """
    row, number = visits.row[visit], visits.number[visit]
    slot = draws.uniform("slot", number, place)
    shares = catalogue.category_shares[visits.month[visit]]
    seasonal = (shares < draws.uniform("category", number, place)[:, None]).sum(axis=1)
    rank = np.digitize(slot, (0.46, 0.64, 0.74))
    taste = people.favourites[row, np.minimum(rank, 2)]
    category = np.where(rank < 3, taste, np.minimum(seasonal, catalogue.category_count - 1))
    liked = np.clip(0.92 - 0.75 * people.price_sensitivity[row], 0.05, 0.95)
    how = draws.uniform("how", number, place)
    which = draws.uniform("which", number, place)
    habit = _habit(people.person[row], category, which, liked, draws)
    hit = draws.uniform("hit", category, np.floor(which * which * 8).astype(np.int64))
    whim = np.clip(liked + 0.25 * draws.normal("whim", number, place), 0.0, 0.999)
    share = np.select([how < 0.45, how < 0.7], [habit, hit], whim)
    return catalogue.in_category(category, share)


def _habit(person: np.ndarray, category: np.ndarray, which: np.ndarray, liked: np.ndarray, draws: Draws) -> np.ndarray:
    """Position of one of three habitual products of a person in a category."""
    one = np.digitize(which, (0.55, 0.85))
    shift = draws.normal("habit", person * 1024 + category, one)
    return np.clip(liked + 0.2 * shift, 0.0, 0.999)
