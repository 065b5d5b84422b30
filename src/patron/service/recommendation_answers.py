"""What a page asks for and gets: who is there and where, and a list with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from patron.schema import recommendation_reasons


@dataclass(frozen=True)
class RecommendationQuery:
    """Who is there and where; at most one of the three ids, which may be unknown."""

    scenario: str = "home"
    user_id: str | None = None
    anonymous_id: str | None = None
    customer_id: str | None = None
    is_public: bool = False
    """Whether anybody may ask, as with a write key: nobody's history is used then, whoever owns the device."""
    product_ids: Sequence[str] = ()
    """Products of the page or the cart."""
    only: Sequence[str] | None = None
    """Only these products."""
    k: int | None = None
    """Products; by default as many as the scenario has."""
    min_relevance: float | None = None
    """Least click probability, 0 to 1; by default that of policy.toml."""
    next: str | None = None
    """Continue a list: its products after those that were answered."""
    is_preview: bool = False
    """For staff: no place is explored, the list is not kept and has no next page."""


@dataclass(frozen=True)
class RecommendationReason:
    """Why a product is in a list, with its facts."""

    code: recommendation_reasons.RecommendationReason
    product_id: str | None = None
    """The other product that it is about."""
    product_name: str | None = None
    days_since: float | None = None
    """Days since the customer last bought it."""
    usual_days: float | None = None
    """Days between the customer's purchases of it."""
    offer_starts_at: datetime | None = None
    """When the promotion that it is about starts; none once it runs."""
    offer_ends_at: datetime | None = None
    """When it is over."""


@dataclass(frozen=True)
class RecommendedProduct:
    """One product of a list."""

    product_id: str
    position: int
    product_name: str | None
    price_cents: int | None
    click_probability: float
    buy_probability: float
    propensity: float
    """Probability with which this product was chosen for its place."""
    reason: RecommendationReason
    event: Mapping[str, Any]
    """Properties to send with Recommendation Shown, Clicked or Hidden."""


@dataclass(frozen=True)
class Recommendation:
    """A list, and what it was made from."""

    list_id: str
    scenario: str
    model_version: str
    """The run that the list rests on; empty before any run."""
    is_personal: bool
    """Whether the customer's history was used."""
    products: tuple[RecommendedProduct, ...]
    why_short: Mapping[str, int]
    """Of a list that is shorter than asked for: how many products each rule left out."""
    next: str | None
    """Pass it to get what follows in this list; None at its end."""
