"""A storefront's products, stock, shoppers and needs in one place, all made from settings and a seed."""

from dataclasses import dataclass

import numpy as np

from patron.simulate.random_streams import Draws
from patron.simulate.storefront.storefront_products import ProductTruth, ShopProducts, make_products, stock_by_day
from patron.simulate.storefront.storefront_settings import StorefrontSettings
from patron.simulate.storefront.storefront_shoppers import Needs, Shoppers, make_needs, make_shoppers


@dataclass(frozen=True)
class StorefrontWorld:
    """What a storefront is made of; only the arrays of `needs` change."""

    settings: StorefrontSettings
    draws: Draws
    products: ShopProducts
    truth: ProductTruth
    shoppers: Shoppers
    needs: Needs
    cycle_days: np.ndarray
    """Mean time in which a shopper uses up a consumable, shape (shoppers, products), days."""
    is_available: np.ndarray
    """Whether each product is launched and in stock, shape (days, products)."""


def make_world(settings: StorefrontSettings, days: int, seed: int) -> StorefrontWorld:
    """Make a world; the same for every call with the same arguments."""
    draws = Draws(seed)
    products, truth = make_products(settings, draws)
    shoppers = make_shoppers(settings, products, truth, draws)
    return StorefrontWorld(
        settings=settings,
        draws=draws,
        products=products,
        truth=truth,
        shoppers=shoppers,
        needs=make_needs(settings, shoppers, products, truth, draws),
        cycle_days=shoppers.cycle_factor[:, None] * truth.cycle_days,
        is_available=stock_by_day(products, settings, days, draws),
    )
