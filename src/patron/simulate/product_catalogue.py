"""The goods of the simulated shop: departments, categories, brands, names, prices, and the words used for them."""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from patron.simulate.random_streams import Draws, choose
from patron.simulate.simulator_settings import SimulatorSettings

DEPARTMENTS = (
    ("Kitchen", ("Knives", "Pans", "Coffee", "Glassware", "Baking"), (38, 45, 16, 19, 14)),
    ("Garden", ("Seeds", "Tools", "Planters", "Lighting", "Grills"), (5, 24, 21, 27, 62)),
    ("Sport", ("Running", "Yoga", "Cycling", "Camping", "Swimming"), (48, 26, 39, 52, 23)),
    ("Beauty", ("Skin care", "Hair care", "Fragrance", "Make-up", "Bath"), (22, 15, 49, 18, 11)),
    ("Play", ("Board games", "Puzzles", "Building sets", "Soft toys", "Crafts"), (29, 17, 42, 20, 12)),
)
CATEGORIES_PER_DEPARTMENT = 5
BRANDS = ("Alder", "Birchway", "Cobalt", "Dunmere", "Eastfold", "Fennec", "Glenrow", "Harbour", "Ironleaf", "Juniper")
STYLES = ("Classic", "Compact", "Everyday", "Premium", "Light", "Natural", "Studio", "Family", "Travel", "Original")
QUERIES = ("{category}", "{brand} {category}", "{style} {category}", "cheap {category}")
REVIEWS = (
    ("Broke within a week, I want my money back.", "Not at all as described: {name}."),
    ("Disappointing for the price.", "{name} is smaller than it looks in the pictures."),
    ("It is all right, nothing special.", "{name} does the job."),
    ("Good quality, I would buy it again.", "Happy with {name}, it arrived quickly."),
    ("Love it!", "{name} is the best I have had in years."),
)
DEPARTMENT_PEAK_DAY = (340, 130, 190, 350, 345)
"""Day of the year when a department sells most."""


@dataclass(frozen=True)
class Catalogue:
    """Products by index; within a category they are sorted from cheap to dear."""

    product_id: pa.Array
    product_name: pa.Array
    department: pa.Array
    category: pa.Array
    brand: pa.Array
    price_cents: np.ndarray
    quality: np.ndarray
    """Stars a review of the product has on average."""
    category_of: np.ndarray
    category_names: pa.Array
    per_category: int
    category_shares: np.ndarray
    """Cumulative share of each category in each month, shape (12, categories)."""
    queries: pa.Array
    """JSON texts of searches, `len(QUERIES)` for each product."""
    reviews: pa.Array
    """JSON texts of reviews, two for each product and number of stars."""

    @property
    def category_count(self) -> int:
        """Number of categories."""
        return len(self.category_names)

    def in_category(self, category: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Product of a category at a position, 0 the cheapest and 1 the dearest."""
        place = np.clip((share * self.per_category).astype(np.int64), 0, self.per_category - 1)
        return category * self.per_category + place

    def price_share(self, product: np.ndarray) -> np.ndarray:
        """Position of a product's price in its category, 0 to 1."""
        return (product % self.per_category + 0.5) / self.per_category


def make_catalogue(settings: SimulatorSettings, draws: Draws) -> Catalogue:
    """Make the catalogue of a shop; the same for every call with the same settings and seed."""
    per_category = settings.products_per_category
    departments = DEPARTMENTS[: settings.departments]
    categories = [
        (d, name, base)
        for d, (_, names, bases) in enumerate(departments)
        for name, base in zip(names, bases, strict=True)
    ]
    product = np.arange(len(categories) * per_category)
    category_of = product // per_category
    spread = np.sort(draws.normal("price", product).reshape(-1, per_category), axis=1).ravel()
    base = np.array([base for _, _, base in categories])[category_of]
    brand = [BRANDS[b] for b in choose(np.ones(len(BRANDS)), draws.uniform("brand", product))]
    style = [STYLES[s] for s in choose(np.ones(len(STYLES)), draws.uniform("style", product))]
    category = [categories[c][1] for c in category_of]
    names = [f"{b} {s} {c} {i % per_category + 1}" for b, s, c, i in zip(brand, style, category, product, strict=True)]
    words = zip(names, category, brand, style, strict=True)
    queries, reviews = _texts([{"name": n, "category": c, "brand": b, "style": s} for n, c, b, s in words])
    return Catalogue(
        product_id=pa.array([f"P{i:05d}" for i in product]),
        product_name=pa.array(names),
        department=pa.array([departments[categories[c][0]][0] for c in category_of]),
        category=pa.array(category),
        brand=pa.array(brand),
        price_cents=(np.round(base * np.exp(0.45 * spread)) * 100 - 5).clip(95).astype(np.int64),
        quality=np.clip(3.9 + 0.5 * draws.normal("quality", product), 2.0, 4.9),
        category_of=category_of,
        category_names=pa.array([name for _, name, _ in categories]),
        per_category=per_category,
        category_shares=_category_shares([d for d, _, _ in categories], draws),
        queries=queries,
        reviews=reviews,
    )


def _texts(words: list[dict[str, str]]) -> tuple[pa.Array, pa.Array]:
    """JSON of what people search for and say of each product; made once, picked by index."""
    queries = [json.dumps({"query": q.format(**w).lower()}) for w in words for q in QUERIES]
    reviews = [json.dumps({"review_body": text.format(**w)}) for w in words for stars in REVIEWS for text in stars]
    return pa.array(queries), pa.array(reviews)


def _category_shares(department: list[int], draws: Draws) -> np.ndarray:
    """Cumulative category shares by month: popularity times the department's season."""
    popularity = np.exp(0.6 * draws.normal("popularity", np.arange(len(department))))
    middle = np.arange(12)[:, None] * 30.4 + 15
    peak = np.array(DEPARTMENT_PEAK_DAY)[department][None, :]
    weight = popularity * (1 + 0.6 * np.cos(2 * np.pi * (middle - peak) / 365))
    total = np.cumsum(weight, axis=1)
    return total / total[:, -1:]
