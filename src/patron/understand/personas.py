"""Personas: groups of customers who shop alike, by k-means, each named by what stands out."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

COUNTS = range(3, 9)
"""Numbers of personas that are tried; the one with the best silhouette on a sample is chosen, the least of equals."""
SAMPLE = 2_000
FIT_SAMPLE = 50_000
STANDS_OUT = 0.5
"""Standard deviations from the shop's mean that make a trait part of the name."""
TRAITS = {
    "paid_cents_365_days": ("high_value", "low_value"),
    "order_count_365_days": ("frequent", "rare"),
    "mean_gross_cents_per_order": ("big_baskets", "small_baskets"),
    "days_since_last_order": ("long_absent", "recent"),
    "discount_share_lifetime": ("discount_seeker", "full_price"),
    "coupon_order_share": ("coupon_lover", ""),
    "category_diversity": ("wide_taste", "one_taste"),
}
"""Features that are clustered, and the codes of high and low values; an empty code is never named."""
SKEWED = frozenset(
    {"paid_cents_365_days", "order_count_365_days", "mean_gross_cents_per_order", "days_since_last_order"}
)


@dataclass(frozen=True)
class Personas:
    """Persona of each row (0 is the most valuable, -1 none), their name codes and how well they are apart."""

    ids: np.ndarray
    name_codes: tuple[str, ...]
    silhouette: float


def find_personas(features: pa.Table, seed: int) -> Personas:
    """Group customers. With fewer than 10 distinct customers a persona there are none."""
    scaled = scaled_traits(features)
    rng = np.random.default_rng(seed)
    different = len(set(map(bytes, scaled)))
    if different < COUNTS[-1] * 10:
        return Personas(np.full(len(scaled), -1), (), 0.0)
    sample = scaled[np.sort(rng.permutation(len(scaled))[:SAMPLE])]
    fit_on = scaled[np.sort(rng.permutation(len(scaled))[:FIT_SAMPLE])]
    tried = [(_silhouette(sample, count, seed), -count) for count in COUNTS]
    best, negative = max(tried)
    labels = np.asarray(_kmeans(-negative, seed).fit(fit_on).predict(scaled))
    return _by_value(labels, scaled, features["paid_cents_365_days"].to_numpy(), best)


def scaled_traits(features: pa.Table) -> np.ndarray:
    """One standardised column per trait; skewed ones as signed logarithms, NULL as the mean, beyond 3 as 3."""
    columns = []
    for name in TRAITS:
        values = features[name].to_numpy().astype(float)
        values = np.sign(values) * np.log1p(np.abs(values)) if name in SKEWED else values
        middle = np.nanmean(values) if np.isfinite(values).any() else 0.0
        values = np.where(np.isfinite(values), values, middle)
        deviation = values.std()
        columns.append(np.clip((values - middle) / deviation, -3, 3) if deviation > 0 else np.zeros(len(values)))
    return np.column_stack(columns)


def _kmeans(count: int, seed: int) -> KMeans:
    return KMeans(count, n_init=4, random_state=seed % 2**31)  # pyright: ignore[reportArgumentType] - stubs know 'auto' only


def _silhouette(sample: np.ndarray, count: int, seed: int) -> float:
    return round(float(silhouette_score(sample, _kmeans(count, seed).fit_predict(sample))), 6)


def _by_value(labels: np.ndarray, scaled: np.ndarray, paid: np.ndarray, silhouette: float) -> Personas:
    """Number personas by mean spend, the highest first, and name them."""
    groups = np.unique(labels)
    order = sorted(groups, key=lambda group: (-paid[labels == group].mean(), group))
    ids = np.zeros(len(labels), dtype=np.int64)
    for place, group in enumerate(order):
        ids[labels == group] = place
    names = [name_code(scaled[labels == group].mean(axis=0)) for group in order]
    return Personas(ids, tuple(names), silhouette)


def name_code(centre: np.ndarray) -> str:
    """Codes of at most two traits that stand out most, joined by +; 'average' when none does."""
    codes = [
        (abs(value), high if value > 0 else low) for value, (high, low) in zip(centre, TRAITS.values(), strict=True)
    ]
    telling = sorted((one for one in codes if one[0] >= STANDS_OUT and one[1]), key=lambda one: -one[0])
    return "+".join(code for _, code in telling[:2]) or "average"
