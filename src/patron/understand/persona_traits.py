"""Traits that personas are formed and described by: how customers shop, never who they say they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.numbers import Numbers, float_column

MAX_Z_SCORE = 3.0
"""Standard deviations beyond which nobody is more extreme: a few outliers are no group."""
COMMON_SHARE = 0.05
"""A favourite category, channel or device is a trait of its own where between 5 % and 95 % of customers have it."""
MAX_LEVELS = 6
MIN_FAVOURITE_SHARE = 1 / 3
"""A favourite that holds less of a customer's lines or orders than this says nothing about them."""

Unit = Literal["money", "share", "days", "count", "number", "hour"]


@dataclass(frozen=True)
class Trait:
    """A feature as a trait: how it is scaled, and the codes that name high and low values of it."""

    feature: str
    unit: Unit
    high: str
    low: str
    """A code is empty where nobody would name a group so."""
    scale: Literal["logarithm", "plain", "share", "mean"] = "plain"
    """`share` and `mean` are of few observations: they are shrunk towards the shop's own by what chance would do."""
    evidence: str = "order_count_lifetime"
    """How many observations a share or mean is of."""
    spread: str = ""
    """Standard deviation of the observations of a mean; 1 without one."""
    fewest: int = 1
    """Observations from which it is known: with one order all is new, and of few categories."""
    is_clustered: bool = True
    """Whether groups are formed by it; otherwise it only describes them, as it follows from the others."""


TRAITS = (
    Trait("paid_cents_365_days", "money", high="high_value", low="low_value", scale="logarithm", is_clustered=False),
    Trait("order_count_365_days", "count", high="frequent", low="rare", scale="logarithm"),
    Trait("mean_gross_cents_per_order", "money", high="big_baskets", low="small_baskets", scale="logarithm"),
    Trait("mean_paid_cents_per_line", "money", high="costly_items", low="cheap_items", scale="logarithm"),
    Trait(
        "mean_line_count_per_order", "number", high="many_items", low="few_items", scale="logarithm", is_clustered=False
    ),
    Trait("days_since_last_order", "days", high="long_absent", low="recent", scale="logarithm"),
    Trait("variation_of_days_between_orders", "number", high="irregular", low="regular", scale="mean"),
    Trait("discount_share_lifetime", "share", "discount_seeker", "full_price"),
    Trait("coupon_order_share", "share", high="coupon_lover", low="", scale="share"),
    Trait("repeat_line_share", "share", "same_again", "", fewest=3),
    Trait("favourite_category_share", "share", "one_taste", "wide_taste", fewest=3, is_clustered=False),
    Trait("refunded_order_share", "share", high="returns", low="", scale="share"),
    Trait("weekend_order_share", "share", high="weekend", low="weekday", scale="share"),
    Trait("mean_order_hour", "hour", high="late_hours", low="early_hours", scale="mean", spread="order_hour_spread"),
    Trait(
        "order_days_per_active_day_lifetime",
        "share",
        high="decided",
        low="browser",
        scale="share",
        evidence="active_day_count_lifetime",
    ),
    Trait("messages_opened_per_sent_90_days", "share", "opens_messages", "", is_clustered=False),
)
TASTES = ("favourite_category", "favourite_channel", "favourite_device")
"""Favourites whose common levels are traits; `<name>_share` is what they hold of the customer's lines or orders."""
NEEDED = sorted(
    {
        *(trait.feature for trait in TRAITS),
        *(trait.evidence for trait in TRAITS),
        *(trait.spread for trait in TRAITS if trait.spread),
        *TASTES,
        *(f"{taste}_share" for taste in TASTES),
    }
)
"""Features that personas need."""


@dataclass(frozen=True, eq=False)
class TraitColumn:
    """One trait of all customers: as it is (NaN where unknown), and scaled for distances."""

    trait: Trait
    values: Numbers
    scaled: Numbers
    level: str | None = None
    """The favourite that this column is about; values are 1 for those whose favourite it is."""


def trait_columns(features: pa.Table) -> list[TraitColumn]:
    """Every trait that varies between customers, in the order of TRAITS, then the common favourites."""
    columns = [_column(features, trait) for trait in TRAITS]
    columns += [column for taste in TASTES for column in _favourites(features, taste)]
    return [column for column in columns if column.scaled.std() > 0]


def clustered_matrix(columns: list[TraitColumn]) -> Numbers:
    """Customers in the space that groups are formed in, one row each.

    Principal components of the scaled traits that vary at least as much as a trait does on average (Kaiser's rule):
    traits that go together count once, and what is peculiar to a single trait is left out.
    """
    scaled = np.column_stack([column.scaled for column in columns if column.trait.is_clustered])
    centred = scaled - scaled.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = values >= values.mean()
    if kept.sum() < 2:
        kept[-2:] = True
    directions = vectors[:, kept][:, ::-1]
    # why: the sign of an eigenvector depends on the library
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    return np.round(centred @ (directions * signs), 9)


def _column(features: pa.Table, trait: Trait) -> TraitColumn:
    counts = float_column(features, trait.evidence)
    values = np.where(counts >= trait.fewest, float_column(features, trait.feature, np.nan), np.nan)
    if trait.unit == "share":
        values = np.clip(values, 0.0, 1.0)
    if trait.scale == "logarithm":
        scaled = standardised(np.sign(values) * np.log1p(np.abs(values)))
    elif trait.scale == "plain":
        scaled = standardised(values)
    else:
        spread = float_column(features, trait.spread) if trait.spread else None
        scaled = shrunk_share(values, counts) if trait.scale == "share" else shrunk_mean(values, counts, spread)
    return TraitColumn(trait, values, scaled)


def _favourites(features: pa.Table, taste: str) -> Iterator[TraitColumn]:
    favourites, shares = features[taste], float_column(features, f"{taste}_share", np.nan)
    is_strong = shares >= MIN_FAVOURITE_SHARE
    counts = {
        count["values"]: count["counts"]
        for count in pc.value_counts(favourites.filter(pa.array(is_strong))).to_pylist()
    }
    common = [
        (-count, level)
        for level, count in counts.items()
        if level is not None and COMMON_SHARE <= count / max(len(shares), 1) <= 1 - COMMON_SHARE
    ]
    levels = [level for _, level in sorted(common)[:MAX_LEVELS]]
    trait = Trait(taste, "share", taste, "")
    for level in levels:
        has_level = pc.fill_null(pc.equal(favourites, level), False).combine_chunks().to_numpy(zero_copy_only=False)
        holds = (has_level & is_strong).astype(np.float64)
        yield TraitColumn(trait, holds, standardised(holds) / np.sqrt(len(levels)), level)


def standardised(values: Numbers) -> Numbers:
    """Deviations from the mean in standard deviations, at most MAX_Z_SCORE; unknown ones are 0."""
    known = np.isfinite(values)
    deviations = np.where(known, values - values[known].mean(), 0.0) if known.any() else np.zeros(len(values))
    spread = deviations.std()
    return np.clip(deviations / spread, -MAX_Z_SCORE, MAX_Z_SCORE) if spread > 1e-9 else np.zeros(len(values))


def shrunk_share(shares: Numbers, counts: Numbers) -> Numbers:
    """Deviations of shares from the shop's own, in standard deviations of customers' true shares.

    A share of few observations is mostly chance, so it is drawn to the shop's by as much as chance explains (beta
    binomial by moments); where customers differ no more than by chance, all are 0.
    """
    known = np.isfinite(shares) & (counts > 0)
    n, share = counts[known], shares[known]
    total = n.sum()
    mean = float((n * share).sum() / total) if total else 0.0
    chance = mean * (1 - mean)
    between = _between(n, n * (share - mean) ** 2, chance)
    if between <= 0:
        return np.zeros(len(shares))
    prior = max(chance / between - 1, 0.0)
    deviations = np.zeros(len(shares))
    deviations[known] = n / (n + prior) * (share - mean) / np.sqrt(between)
    return np.clip(deviations, -MAX_Z_SCORE, MAX_Z_SCORE)


def shrunk_mean(means: Numbers, counts: Numbers, spread: Numbers | None = None) -> Numbers:
    """As `shrunk_share`, for means of observations with a standard deviation of each customer (None: 1)."""
    known = np.isfinite(means) & (counts > 0)
    n, mean = counts[known], means[known]
    if not len(n):
        return np.zeros(len(means))
    several = n > 1
    within = 1.0
    if spread is not None:
        within = (n * spread[known] ** 2)[several].sum() / (n - 1)[several].sum() if several.any() else np.inf
    middle = float((n * mean).sum() / n.sum())
    between = _between(n, n * (mean - middle) ** 2, within)
    if not between > 0:
        return np.zeros(len(means))
    deviations = np.zeros(len(means))
    deviations[known] = n / (n + within / between) * (mean - middle) / np.sqrt(between)
    return np.clip(deviations, -MAX_Z_SCORE, MAX_Z_SCORE)


def _between(counts: Numbers, squares: Numbers, within: float) -> float:
    """Variance between customers beyond that of their few observations, from weighted squares (by moments)."""
    spare = counts.sum() - (counts**2).sum() / max(counts.sum(), 1.0) - (len(counts) - 1)
    return float((squares.sum() - within * (len(counts) - 1)) / spare) if spare > 1e-9 else 0.0
