"""Products of a storefront: what the shop knows of them, and what is true of them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from patron.simulate.product_catalogue import make_catalogue
from patron.simulate.random_streams import Draws
from patron.simulate.simulator_settings import SimulatorSettings
from patron.simulate.storefront.storefront_settings import StorefrontSettings

CONSUMABLE_CATEGORIES = ("Coffee", "Baking", "Seeds", "Skin care", "Hair care", "Make-up", "Bath", "Crafts")
"""Categories whose products are used up and bought again."""
COMPLEMENT_STEP = 1
"""A category goes with the next one of its department."""
VARIANT_SHARE = 0.4
"""Share of pairs of neighbouring products that are variants of one style, 0 to 1."""
BRAND_SHARE, STYLE_SHARE, CATEGORY_SHARE = 0.25, 0.3, 0.15
"""Shares of the variance of product vectors that brand, style and category explain; the rest is the product's."""


@dataclass(frozen=True)
class ShopProducts:
    """What the shop knows of its products, one row each, by index."""

    product_id: pa.Array
    product_name: pa.Array
    category_of: np.ndarray
    brand_of: np.ndarray
    style_of: np.ndarray
    """Variants of one style have the same number."""
    price_cents: np.ndarray
    margin_cents: np.ndarray
    is_consumable: np.ndarray
    launch_day: np.ndarray
    """0 of those that are there from the first day."""

    def __len__(self) -> int:
        return len(self.price_cents)


@dataclass(frozen=True)
class ProductTruth:
    """What is true of the products and nobody sees."""

    appeal: np.ndarray
    """Appeal to everybody, logits."""
    quality: np.ndarray
    """What the page adds to the odds of buying, logits."""
    vector: np.ndarray
    """One row per product, of length 1 in the mean square."""
    price_share: np.ndarray
    """Place of the price in its category, 0 to 1."""
    cycle_days: np.ndarray
    complements: np.ndarray
    """Gain of products of the column's category in visits about the row's, as a share of the intention's."""


def make_products(settings: StorefrontSettings, draws: Draws) -> tuple[ShopProducts, ProductTruth]:
    """Make the products; the same for every call with the same settings and seed."""
    catalogue = make_catalogue(SimulatorSettings(products_per_category=settings.products_per_category), draws)
    product = np.arange(len(catalogue.price_cents))
    style = product - (product % 2) * draws.below("variant", VARIANT_SHARE, product // 2)
    brand = np.unique(catalogue.brand.to_numpy(zero_copy_only=False), return_inverse=True)[1]
    launched = draws.below("launched", settings.launched_share, style)
    day = 1 + np.floor(draws.uniform("launch day", style) * (settings.year_days - 1)).astype(np.int64)
    low, high = settings.margin_shares
    margin = low + (high - low) * draws.uniform("margin", style)
    names = catalogue.category_names.to_pylist()
    consumable = np.array([name in CONSUMABLE_CATEGORIES for name in names])
    facts = ShopProducts(
        product_id=catalogue.product_id,
        product_name=catalogue.product_name,
        category_of=catalogue.category_of,
        brand_of=brand,
        style_of=style,
        price_cents=catalogue.price_cents,
        margin_cents=np.round(catalogue.price_cents * margin).astype(np.int64),
        is_consumable=consumable[catalogue.category_of],
        launch_day=np.where(launched, day, 0),
    )
    truth = ProductTruth(
        appeal=settings.appeal_logit * (0.95 * draws.normal("appeal", style) + 0.31 * draws.normal("look", product)),
        quality=settings.quality_logit * draws.normal("page", product),
        vector=_vectors(facts, settings.vector_length, draws),
        price_share=catalogue.price_share(product),
        cycle_days=settings.cycle_days * np.exp(settings.cycle_spread / 2**0.5 * draws.normal("cycle", product)),
        complements=_complements(len(names), settings.complement_share),
    )
    return facts, truth


def _vectors(facts: ShopProducts, length: int, draws: Draws) -> np.ndarray:
    """Product vectors: partly what brand, style and category say, partly the product's."""
    axis = np.arange(length)
    rest = 1 - BRAND_SHARE - STYLE_SHARE - CATEGORY_SHARE
    parts = (
        ("brand vector", BRAND_SHARE, facts.brand_of),
        ("style vector", STYLE_SHARE, facts.style_of),
        ("category vector", CATEGORY_SHARE, facts.category_of),
        ("product vector", rest, np.arange(len(facts))),
    )
    total = np.zeros((len(facts), length))
    for name, share, key in parts:
        total += share**0.5 * draws.normal(name, key[:, None], axis[None, :])
    return total / length**0.5


def _complements(categories: int, share: float) -> np.ndarray:
    """1 on the diagonal, `share` for the category that goes with the row's, 0 elsewhere."""
    row = np.arange(categories)
    goes_with = row // 5 * 5 + (row % 5 + COMPLEMENT_STEP) % 5
    gain = np.eye(categories)
    gain[row, goes_with] = share
    return gain


def stock_by_day(facts: ShopProducts, settings: StorefrontSettings, days: int, draws: Draws) -> np.ndarray:
    """Whether each product (column) is launched and in stock on each day (row): a Markov chain of outages."""
    product = np.arange(len(facts))
    ends = 1 / settings.outage_days
    begins = ends * settings.outage_share / (1 - settings.outage_share)
    is_out = draws.below("first outage", settings.outage_share, product)
    in_stock = np.empty((days, len(product)), dtype=bool)
    for day in range(days):
        in_stock[day] = ~is_out
        uniform = draws.uniform("outage", np.array([day]), product)
        is_out = np.where(is_out, uniform > ends, uniform < begins)
    in_stock &= facts.launch_day[None, :] <= np.arange(days)[:, None]
    in_stock.setflags(write=False)
    return in_stock
