"""Shoppers of a storefront: when they come, what they like, and what they need regularly."""

from dataclasses import dataclass

import numpy as np

from patron.simulate.random_streams import Draws, gamma_quantile
from patron.simulate.storefront.storefront_products import ProductTruth, ShopProducts
from patron.simulate.storefront.storefront_settings import StorefrontSettings

NEVER = np.inf


@dataclass(frozen=True)
class Shoppers:
    """One row per shopper."""

    first_day: np.ndarray
    signs_up: np.ndarray
    """Whether the shopper signs up, with the first purchase or the second visit."""
    visits_per_day: np.ndarray
    category_shares: np.ndarray
    """Cumulative share of visits about each category, shape (shoppers, categories)."""
    taste: np.ndarray
    """Personal taste times its strength plus general appeal, shape (shoppers, products), logits."""
    cycle_factor: np.ndarray

    def __len__(self) -> int:
        return len(self.first_day)


@dataclass(frozen=True)
class Needs:
    """State of each shopper and product that changes with purchases and lists; shape (shoppers, products)."""

    due_at: np.ndarray
    """When a regular need is due, days; infinite where there is none."""
    bought_at: np.ndarray
    """When a consumable last came into the house, days; minus infinity if it never did."""
    is_owned: np.ndarray
    """Whether a durable product's style is owned."""
    showings: np.ndarray
    """Earlier showings without a click, decayed."""


def make_shoppers(settings: StorefrontSettings, facts: ShopProducts, truth: ProductTruth, draws: Draws) -> Shoppers:
    """Make the shoppers; the same for every call with the same settings and seed."""
    shopper = np.arange(settings.shoppers)
    is_present = draws.below("present", settings.present_share, shopper)
    arrival = np.floor(draws.uniform("arrival", shopper) * settings.year_days).astype(np.int64)
    category = np.arange(facts.category_of.max() + 1)
    weight = gamma_quantile(
        draws.uniform("preference", shopper[:, None], category[None, :]), settings.category_concentration, 1.0
    )
    preference = weight / weight.sum(axis=1, keepdims=True)
    personal = min(settings.taste_strength, 1.0)
    shares = personal * preference + (1 - personal) / len(category)
    return Shoppers(
        first_day=np.where(is_present, 0, arrival),
        signs_up=~draws.below("anonymous", settings.anonymous_share, shopper),
        visits_per_day=gamma_quantile(
            draws.uniform("visit rate", shopper), settings.visits_shape, settings.visits_per_day
        ),
        category_shares=np.cumsum(shares, axis=1),
        taste=truth.appeal + settings.taste_strength * _personal_taste(settings, preference, facts, truth, draws),
        cycle_factor=np.exp(settings.cycle_spread / 2**0.5 * draws.normal("pace", shopper)),
    )


def _personal_taste(
    settings: StorefrontSettings, preference: np.ndarray, facts: ShopProducts, truth: ProductTruth, draws: Draws
) -> np.ndarray:
    """Category preference, match of vectors and price liking, shape (shoppers, products), logits."""
    shopper, axis = np.arange(len(preference))[:, None], np.arange(settings.vector_length)[None, :]
    liking = np.log(preference * preference.shape[1] + 0.1)
    match = draws.normal("taste vector", shopper, axis) @ truth.vector.T
    price = np.abs(draws.uniform("price liked", shopper) - truth.price_share)
    return (
        settings.category_logit * liking[:, facts.category_of]
        + settings.vector_logit * match
        - settings.price_logit * price
    )


def make_needs(
    settings: StorefrontSettings, shoppers: Shoppers, facts: ShopProducts, truth: ProductTruth, draws: Draws
) -> Needs:
    """Needs at the start: each shopper has some regular consumables, met elsewhere until now."""
    shopper, product = np.arange(len(shoppers))[:, None], np.arange(len(facts))[None, :]
    shape = (len(shoppers), len(facts))
    utility = settings.choice_slope * shoppers.taste + draws.gumbel("regular", shopper, product)
    is_candidate = facts.is_consumable & (facts.launch_day == 0)
    utility[:, ~is_candidate] = -np.inf
    count = np.floor(settings.regulars * 2 * draws.uniform("regulars", np.arange(len(shoppers))) + 0.5)
    rank = np.argsort(np.argsort(-utility, axis=1), axis=1)
    is_regular = (rank < count[:, None]) & is_candidate
    cycle = shoppers.cycle_factor[:, None] * truth.cycle_days
    elapsed = draws.uniform("elapsed", shopper, product)
    first = shoppers.first_day[:, None].astype(float)
    return Needs(
        due_at=np.where(is_regular, first + (1 - elapsed) * cycle, NEVER),
        bought_at=np.where(is_regular, first - elapsed * cycle, -NEVER),
        is_owned=np.zeros(shape, dtype=bool),
        showings=np.zeros(shape, dtype=np.float32),
    )
