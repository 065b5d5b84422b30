"""How shoppers choose: utility, looking at positions, clicks and purchases by logits, and what they look at unaided.

Random utility with logit errors (McFadden 1974); a click needs a look at the position and an attractive product
(position-based model: Richardson, Dominowska and Ragno 2007; Chuklin, Markov and de Rijke 2015); taste is a product
of latent vectors; needs return after gamma gaps (Chatfield and Goodhardt 1973; Platzer and Reutterer 2016); repeated
showings are discounted (Lee, Lakshmanan, Tiwari and Shah 2014).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from patron.simulate.random_streams import gamma_quantile
from patron.simulate.storefront.storefront_settings import StorefrontSettings
from patron.simulate.storefront.storefront_world import StorefrontWorld

MAX_VIEWS = 6
MAX_SHOWINGS = 5.0
UNAVAILABLE = -1e9
MIN_LIKELY = 0.01
"""Categories that a visit is less likely about are left out of its expected click."""


@dataclass(frozen=True)
class Intentions:
    """What the visits of a day are about, one row per visit."""

    shopper: np.ndarray
    at: np.ndarray
    """Time of the visit, days."""
    category: np.ndarray
    needed: np.ndarray
    """Product whose need the visit is about, or -1."""


@dataclass(frozen=True)
class Chances:
    """True probabilities of every product in each visit of a day, shape (visits, products)."""

    click: np.ndarray
    """Of a click, if the product is looked at in a list."""
    buy: np.ndarray
    """Of a purchase on the product's page; 0 when it is not available."""
    utility: np.ndarray
    """What shoppers look at without a list follows it, logits."""


def examination(settings: StorefrontSettings) -> np.ndarray:
    """Probability that each position is looked at."""
    return np.arange(1, settings.list_length + 1.0) ** -settings.examination_exponent


def draw_visitors(world: StorefrontWorld, day: int) -> np.ndarray:
    """Shoppers who visit on a day: at a rate of their own times the weekday's, higher while a need is due."""
    settings, shoppers = world.settings, world.shoppers
    is_due = (world.needs.due_at <= day).any(axis=1)
    rate = shoppers.visits_per_day * settings.weekday_factors[day % 7]
    rate = rate * np.where(is_due, settings.need_visits_factor, 1.0)
    comes = world.draws.below("visit", 1 - np.exp(-rate), np.arange(len(shoppers)), np.array([day]))
    return np.flatnonzero(comes & (shoppers.first_day <= day))


def draw_intentions(world: StorefrontWorld, visitors: np.ndarray, day: int) -> Intentions:
    """Draw the time and the intention of each visit of a day: a need that is due, or a favourite category."""
    draws, date = world.draws, np.array([day])
    at = day + 0.3 + 0.65 * draws.uniform("hour", visitors, date)
    due_at = world.needs.due_at[visitors]
    longest = np.argmin(due_at, axis=1)
    about_need = draws.below("about need", world.settings.due_visits_share, visitors, date)
    is_need = (due_at <= day).any(axis=1) & about_need
    browsed = _pick_category(world.shoppers.category_shares[visitors], draws.uniform("about", visitors, date)[:, None])
    category = np.where(is_need, world.products.category_of[longest], browsed[:, 0])
    return Intentions(visitors, at, category, np.where(is_need, longest, -1))


def _pick_category(cumulative: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Categories of uniform draws (rows and places) by cumulative shares (rows and categories)."""
    index = (cumulative[:, None, :] < uniform[:, :, None]).sum(axis=2)
    return np.minimum(index, cumulative.shape[1] - 1)


def true_chances(world: StorefrontWorld, visits: Intentions, day: int) -> Chances:
    """Compute the true probabilities of all products in the visits of a day."""
    settings, row = world.settings, visits.shopper
    utility = _lasting_utility(world, row, day)
    utility += settings.intention_logit * world.truth.complements[visits.category][:, world.products.category_of]
    buy = special.expit(settings.buy_logit + settings.buy_slope * utility + world.truth.quality)
    click = special.expit(settings.click_logit + utility - _fatigue(world, row))
    return Chances(click, buy * world.is_available[day], utility)


def expected_click(world: StorefrontWorld, shopper: int, day: int, context_item: int | None) -> np.ndarray:
    """Probability of a click, if looked at, by all that is true but what the visit is about.

    That is weighed by its probability, or on a product's page taken to be the product's category.
    """
    settings = world.settings
    row = np.array([shopper])
    category_of = world.products.category_of
    due_at = world.needs.due_at[shopper]
    about = np.diff(world.shoppers.category_shares[shopper], prepend=0.0)
    if context_item is not None:
        about = np.eye(len(about))[category_of[context_item]]
    elif due_at.min() <= day:
        about = (1 - settings.due_visits_share) * about
        about[category_of[due_at.argmin()]] += settings.due_visits_share
    base = settings.click_logit + _lasting_utility(world, row, day) - _fatigue(world, row)
    gain = settings.intention_logit * world.truth.complements[:, category_of]
    likely = np.flatnonzero(about > MIN_LIKELY)
    return about[likely] @ special.expit(base + gain[likely])


def _lasting_utility(world: StorefrontWorld, row: np.ndarray, day: int) -> np.ndarray:
    """Utility without the visit's category: taste, needs, what is at home or owned. Shape (rows, products)."""
    settings, needs = world.settings, world.needs
    utility = world.shoppers.taste[row]
    utility += settings.need_logit * (needs.due_at[row] <= day)
    utility -= settings.at_home_logit * np.clip(1 - (day - needs.bought_at[row]) / world.cycle_days[row], 0, 1)
    return utility - settings.owned_logit * needs.is_owned[row]


def _fatigue(world: StorefrontWorld, row: np.ndarray) -> np.ndarray:
    return world.settings.fatigue_logit * np.minimum(world.needs.showings[row], MAX_SHOWINGS)


def draw_views(world: StorefrontWorld, visits: Intentions, utility: np.ndarray, day: int) -> np.ndarray:
    """Products each visit looks at without a list, in order; -1 for none. Shape (visits, MAX_VIEWS).

    A logit choice among the products of a category; who needs a product and searches for it looks at it first.
    """
    settings = world.settings
    draws = world.draws
    is_available = world.is_available[day]
    shopper = visits.shopper[:, None]
    place = np.arange(MAX_VIEWS)[None, :]
    date = np.array([day])
    uniform = draws.uniform("view category", shopper, date, place)
    other = _pick_category(world.shoppers.category_shares[visits.shopper], uniform)
    is_same = draws.below("same category", settings.same_category_share, shopper, date, place)
    category = np.where(is_same, visits.category[:, None], other)
    inside = np.arange(settings.products_per_category)
    product = category[:, :, None] * len(inside) + inside
    wish = settings.choice_slope * np.take_along_axis(utility[:, None, :], product, axis=2)
    wish += draws.gumbel("view", shopper[:, :, None], date, place[:, :, None], inside)
    wish[~is_available[product]] = UNAVAILABLE
    chosen = np.take_along_axis(product, wish.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    searches = (visits.needed >= 0) & draws.below("search", settings.search_share, visits.shopper, date)
    chosen[:, 0] = np.where(searches, visits.needed, chosen[:, 0])
    count = np.floor(settings.views_per_visit * draws.exponential("views", shopper, date) + 0.5)
    is_viewed = (place < np.maximum(count, searches[:, None])) & is_available[chosen]
    return np.where(is_viewed, chosen, -1)


def meet_needs(world: StorefrontWorld, shopper: np.ndarray, item: np.ndarray, at: np.ndarray) -> None:
    """Change the needs after purchases at times in days: a style is owned, or the next need comes after a gamma gap."""
    needs, products = world.needs, world.products
    is_consumed = products.is_consumable[item]
    for who, style in zip(shopper[~is_consumed], products.style_of[item[~is_consumed]], strict=True):
        needs.is_owned[who, products.style_of == style] = True
    shopper, item, at = shopper[is_consumed], item[is_consumed], at[is_consumed]
    was_regular = np.isfinite(needs.due_at[shopper, item])
    is_regular = was_regular | world.draws.below("habit", world.settings.habit_share, shopper, item)
    uniform = world.draws.uniform("gap", shopper, item, np.floor(at).astype(np.int64))
    gap = gamma_quantile(uniform, world.settings.cycle_shape, 1.0) * world.cycle_days[shopper, item]
    needs.due_at[shopper, item] = np.where(is_regular, at + gap, np.inf)
    needs.bought_at[shopper, item] = at


def meet_needs_elsewhere(world: StorefrontWorld, day: int) -> None:
    """Meet some needs that are due in another shop, at the start of a day."""
    shopper, item = np.nonzero(world.needs.due_at <= day)
    share = 1 - np.exp(-1 / world.settings.elsewhere_days)
    is_met = world.draws.below("elsewhere", share, shopper, item, np.array([day]))
    meet_needs(world, shopper[is_met], item[is_met], np.full(int(is_met.sum()), float(day)))
