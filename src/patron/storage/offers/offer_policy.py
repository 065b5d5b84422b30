"""The catalogue of offers: the entries [[offers]] of policy.toml."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from patron.schema.models.reason_codes import REASON_CODES
from patron.schema.outreach.channels import CHANNELS
from patron.schema.sentences import Sentence
from patron.schema.spelling import did_you_mean, one_of

OFFER_ID = Sentence("offer_id", "must be letters, digits and _, at most 40, and begin with a letter or digit")
OFFER_NEEDS = Sentence("offer_needs", "needs {key}: {offer} is of the kind {kind}")
OFFER_NEEDS_ABOVE_ZERO = Sentence("offer_needs_above_zero", "needs {key} above 0: {offer} is of the kind {kind}")
OFFER_NOTHING_FREE = Sentence(
    "offer_nothing_free",
    "needs cost_per_order_cents above 0: {offer} has delivery_free_from, which says when it is not paid",
)
OFFER_ORDINARY = Sentence(
    "offer_ordinary",
    "must not have {key}: {offer} is ordinary. It goes to customers who refuse personal offers, and"
    " their data is not looked at",
)
OFFER_DATES = Sentence(
    "offer_dates", "needs available_until of {offer} ({until}) to be no earlier than available_from ({since})"
)
OFFER_MUST_NOT = Sentence("offer_must_not", "must not have {key}, a key of {kind}: {offer} is of the kind {own}")

LifecycleStage = Literal["new", "active", "at_risk", "lapsed", "reactivated"]
OfferKind = Literal["discount", "coupon", "free_delivery", "points", "recommendation", "reminder", "call"]


def _require_channel(name: str) -> str:
    if name not in CHANNELS:
        expected = one_of(map(repr, CHANNELS))
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return name


ChannelName = Annotated[str, AfterValidator(_require_channel)]
REASON_NAMES = tuple(code.code for code in REASON_CODES)
KEYS_OF_KINDS: Mapping[str, tuple[str, ...]] = {
    "discount": ("discount_share",),
    "coupon": ("amount_off", "least_order"),
    "free_delivery": (),
    "points": ("points_share", "redeemed_share"),
    "recommendation": (),
    "reminder": (),
    "call": (),
}
"""Keys that only one kind has."""
NEEDED_KEYS: Mapping[str, str] = {
    "discount": "discount_share",
    "coupon": "amount_off",
    "free_delivery": "cost_per_order_cents",
    "points": "points_share",
    "call": "contact_cost_cents",
}
PRICE_KINDS = frozenset({"discount", "coupon", "free_delivery", "points"})
"""Kinds that change what a customer pays in the end."""


MAX_VALUE = 10**9
"""Largest amount in money, and largest count: larger ones are slips of the pen."""
RULES_ABOUT_CUSTOMERS = ("lifecycle_stages", "reasons", "least_value", "least_orders")


class Offer(BaseModel):
    """Something a customer may be offered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Name in decisions and files, and the coupon code: letters, digits and _."""
    name: str = ""
    """Name shown to people."""
    kind: OfferKind = "discount"
    """What it is, which decides what it costs."""
    discount_share: float = Field(default=0.0, ge=0, lt=1)
    """Discount: share of what the customer pays while the offer is valid, 0 to 1."""
    amount_off: float = Field(default=0.0, ge=0, le=MAX_VALUE)
    """Coupon: amount off one order, in the shop's currency ..."""
    least_order: float = Field(default=0.0, ge=0, le=MAX_VALUE)
    """... of at least this size, in the shop's currency."""
    points_share: float = Field(default=0.0, ge=0, le=1)
    """Points: share of what is paid that is credited ..."""
    redeemed_share: float = Field(default=1.0, ge=0, le=1)
    """... and share of the credit that customers redeem in the end."""
    contact_cost_cents: int = Field(default=0, ge=0, le=MAX_VALUE)
    """Cost of sending it, or of a call, cents."""
    cost_per_order_cents: int = Field(default=0, ge=0, le=MAX_VALUE)
    """Cost of each order that uses it besides the discount, such as free delivery, cents ..."""
    delivery_free_from: float = Field(default=0.0, ge=0, le=MAX_VALUE)
    """... but not of orders of at least this size before discounts, in the shop's currency: delivery is free anyway;
    0: never."""
    margin_share: float | None = Field(default=None, gt=0, le=1)
    """Margin of what it is used for, as a share of the price, where it differs from the shop's."""
    valid_days: int = Field(default=30, ge=1, le=365)
    """Days it can be used."""
    assumed_purchase_uplift: float = Field(ge=0, le=1)
    """Assumed until measured: added probability of an order while it is valid."""
    stock: int | None = Field(default=None, ge=0, le=MAX_VALUE)
    """The most of it that a period may give; without it there is no limit."""
    is_active: bool = True
    """False: it stays in the catalogue, and nobody gets it."""
    is_ordinary: bool = False
    """Whether it is what customers get who refuse personal offers; one offer may be."""
    channels: tuple[ChannelName, ...] = ()
    """Channels it may go by; empty: all."""
    lifecycle_stages: tuple[LifecycleStage, ...] = ()
    """Only for customers of these lifecycle stages; empty: all who are considered."""
    reasons: tuple[str, ...] = ()
    """Only for customers with one of these reasons for leaving; empty: all."""
    least_value: float = Field(default=0.0, ge=0, le=MAX_VALUE)
    """Only for customers who are expected to spend at least this in 90 days, in the shop's currency."""
    least_orders: int = Field(default=0, ge=0, le=MAX_VALUE)
    """Only for customers with at least so many orders in the last year."""
    available_from: date | None = None
    """First day it is given, by the shop's clock."""
    available_until: date | None = None
    """Last day it is given, by the shop's clock."""

    @property
    def amount_off_cents(self) -> int:
        """Coupon: amount off one order, cents."""
        return round(self.amount_off * 100)

    @property
    def least_order_cents(self) -> int:
        """Coupon: size of an order from which it can be used, cents."""
        return round(self.least_order * 100)

    @property
    def delivery_free_from_cents(self) -> int:
        """Size of an order from which it is delivered free anyway, cents; 0: none is."""
        return round(self.delivery_free_from * 100)

    @property
    def least_value_cents(self) -> int:
        """Least expected spend of 90 days, cents."""
        return round(self.least_value * 100)

    @property
    def is_price(self) -> bool:
        """Whether it changes what a customer pays in the end."""
        return self.kind in PRICE_KINDS

    def is_available(self, day: date) -> bool:
        """Whether it is given on a day of the shop's clock."""
        return self.is_active and (self.available_from or day) <= day <= (self.available_until or day)

    def margin(self, shop_margin_share: float) -> float:
        """Margin of what it is used for, as a share of the price."""
        return shop_margin_share if self.margin_share is None else self.margin_share

    def takes_all_margin(self, shop_margin_share: float) -> bool:
        """Whether orders with it leave no margin, so that nobody can be worth it."""
        share = self.discount_share + self.points_share * self.redeemed_share
        return share > 0 and share >= self.margin(shop_margin_share)

    @field_validator("id")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_]{0,39}", value):
            raise ValueError(OFFER_ID)
        return value

    @field_validator("reasons")
    @classmethod
    def _are_reasons(cls, reasons: tuple[str, ...]) -> tuple[str, ...]:
        for reason in reasons:
            require_reason(reason)
        return reasons

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needed = NEEDED_KEYS.get(self.kind)
        is_zero_allowed = self.kind == "discount"
        if needed and (needed not in self.model_fields_set or not (is_zero_allowed or getattr(self, needed))):
            sentence = OFFER_NEEDS if is_zero_allowed else OFFER_NEEDS_ABOVE_ZERO
            raise ValueError(sentence(key=needed, offer=self.id, kind=self.kind))
        for kind, keys in KEYS_OF_KINDS.items():
            defaults = {key: type(self).model_fields[key].default for key in keys}
            wrong = [key for key in keys if kind != self.kind and getattr(self, key) != defaults[key]]
            if wrong:
                raise ValueError(OFFER_MUST_NOT(key=wrong[0], kind=kind, offer=self.id, own=self.kind))
        if self.delivery_free_from_cents and not self.cost_per_order_cents:
            raise ValueError(OFFER_NOTHING_FREE(offer=self.id))
        rules = [key for key in RULES_ABOUT_CUSTOMERS if getattr(self, key)]
        if self.is_ordinary and rules:
            raise ValueError(OFFER_ORDINARY(key=rules[0], offer=self.id))
        if self.available_from and self.available_until and self.available_until < self.available_from:
            raise ValueError(OFFER_DATES(offer=self.id, until=self.available_until, since=self.available_from))
        return self


def require_reason(reason: str) -> None:
    """Raise ValueError for what is not a reason for leaving."""
    if reason not in REASON_NAMES:
        meant = did_you_mean(reason, REASON_NAMES)
        known = ", ".join(REASON_NAMES)
        raise ValueError(f"must be reasons for leaving ({known}); {reason!r} is none. {meant}".rstrip(" ."))
