"""Reasons for churn that people can act on: which features speak for each, its fact, and what is usual."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NONE = "cast(null as double)"
BEFORE = """days_since_first_order >= 180 and order_count_lifetime - order_count_90_days >= 3"""
"""Condition under which the time before the last 90 days tells what is usual for a customer."""


def _per_90_days(amount: str) -> str:
    """An amount of the time between the first order and the last 90 days, per 90 days; NULL with too little of it."""
    return f"case when {BEFORE} then ({amount}) * 90.0 / (days_since_first_order - 90) end"


USUAL_ORDERS = _per_90_days("order_count_lifetime - order_count_90_days - 1")
"""Why less 1: the first order starts the time that the others are counted in."""
USUAL_SPEND = _per_90_days("paid_cents_lifetime - paid_cents_90_days - paid_cents_first_order_day")
USUAL_REFUNDS = _per_90_days("refund_count_lifetime - refund_count_90_days")
USUAL_DAYS_BETWEEN_VISITS = """case when active_day_count_lifetime >= 5 then
    (days_since_first_activity - days_since_last_activity) / (active_day_count_lifetime - 1) end"""
USUAL_OPENED_SHARE = """case when message_sent_count_lifetime - message_sent_count_90_days >= 3 then least(1.0,
    (message_opened_count_lifetime - message_opened_count_90_days) * 1.0
    / (message_sent_count_lifetime - message_sent_count_90_days)) end"""
USUAL_STARS = """case when review_count_lifetime >= 3 then
    (mean_rating * review_count_lifetime - min_rating_90_days) / (review_count_lifetime - 1) end"""


def _as_orders_fell(share: str) -> str:
    """Whether something fell in the last 90 days about as much as the number of orders did, or less."""
    return f"{share} >= 0.7 * order_count_90_days / nullif({USUAL_ORDERS}, 0)"


@dataclass(frozen=True)
class ReasonCode:
    """One reason: contributions of its features are added up; expressions are SQL over the columns of `features`."""

    code: str
    meaning: str
    """What is on the leaving side, and of what."""
    features: tuple[str, ...]
    fact: str
    """What is so, in the unit of the meaning."""
    usual: str
    """What is usual for this customer; NULL with too little history."""
    leaves: Literal["above", "below"]
    """The side of the usual on which the fact speaks for leaving."""
    ratio: float
    """How many times the usual the fact is at least (above) or at most (below)."""
    difference: float
    """How far from the usual it is at least, in the unit of the fact: less than that nobody notices."""
    help: str
    """Code of what might help."""
    shop_usual: str = ""
    """Of this the shop's median is usual for customers with too little history; default: of `usual`."""
    condition: str = "true"
    """What must hold besides."""
    of_count: str = NONE
    """Of how many the fact is a share; NULL where it is none."""
    window_days: str = NONE
    """Days before the cutoff in which the fact was counted; NULL where it was not counted in a window."""
    days_ago: str = NONE
    """Days from what the fact is about to the cutoff; NULL where it is not about one day."""
    follows: tuple[tuple[str, str], ...] = ()
    """Later codes, each with the condition under which this reason says nothing that the other does not say."""


REASON_CODES: tuple[ReasonCode, ...] = (
    ReasonCode(
        code="less_variety",
        meaning="different categories bought in the last 90 days, against the 90 days before",
        features=(
            "category_count_90_days",
            "category_count_previous_90_days",
            "product_count_90_days",
            "new_line_share_90_days",
        ),
        fact="category_count_90_days",
        usual="category_count_previous_90_days",
        shop_usual=NONE,
        leaves="below",
        ratio=0.5,
        difference=2,
        condition="category_count_90_days >= 1",
        window_days="90",
        help="show_categories",
        follows=(
            ("fewer_orders", _as_orders_fell("category_count_90_days / nullif(category_count_previous_90_days, 0)")),
        ),
    ),
    ReasonCode(
        code="less_spend",
        meaning="paid in the last 90 days, cents",
        features=(
            "paid_cents_7_days",
            "paid_cents_30_days",
            "paid_cents_90_days",
            "paid_cents_365_days",
            "paid_cents_change_30_days",
            "paid_cents_change_90_days",
            "paid_share_of_last_90_in_180_days",
        ),
        fact="greatest(paid_cents_90_days, 0)",
        usual=USUAL_SPEND,
        shop_usual=NONE,
        leaves="below",
        ratio=0.5,
        difference=1000,
        window_days="90",
        help="recommend",
        follows=(
            ("fewer_orders", _as_orders_fell(f"paid_cents_90_days / nullif({USUAL_SPEND}, 0)")),
            ("overdue", "order_count_90_days = 0"),
        ),
    ),
    ReasonCode(
        code="no_visit",
        meaning="days since the last sign of life",
        features=(
            *(f"{what}_count_{days}_days" for what in ("search", "view", "click") for days in (7, 30, 90)),
            *(f"{what}_count_{days}_days" for what in ("cart_add", "wishlist") for days in (7, 30, 90)),
            "views_per_search_90_days",
            "cart_adds_per_view_90_days",
            "active_day_count_30_days",
            "active_day_count_90_days",
            "days_since_last_activity",
            "days_since_last_view",
        ),
        fact="days_since_last_activity",
        usual=USUAL_DAYS_BETWEEN_VISITS,
        leaves="above",
        ratio=2,
        difference=7,
        days_ago="days_since_last_activity",
        help="invite",
        follows=(("overdue", "days_since_last_activity = days_since_last_order"),),
    ),
    ReasonCode(
        code="fewer_orders",
        meaning="orders in the last 90 days",
        features=(
            "order_count_7_days",
            "order_count_30_days",
            "order_count_90_days",
            "order_count_365_days",
            "order_day_count_90_days",
            "order_day_count_365_days",
            "order_count_change_30_days",
            "order_count_change_90_days",
        ),
        fact="order_count_90_days",
        usual=USUAL_ORDERS,
        leaves="below",
        ratio=0.5,
        difference=1,
        condition="days_since_first_order >= 90 and order_count_lifetime > 1",
        window_days="90",
        help="write_early",
        follows=(("overdue", "order_count_90_days = 0"),),
    ),
    ReasonCode(
        code="overdue",
        meaning="days since the last order",
        features=(
            "days_since_last_order",
            "overdue_ratio",
            "days_until_expected_order",
            "mean_days_between_orders",
            "std_days_between_orders",
            "variation_of_days_between_orders",
            "max_days_between_orders",
            "days_between_last_two_orders",
        ),
        fact="days_since_last_order",
        usual="case when order_day_count_lifetime >= 3 then mean_days_between_orders end",
        shop_usual="mean_days_between_orders",
        leaves="above",
        ratio=1.5,
        difference=7,
        days_ago="days_since_last_order",
        help="remind",
        follows=(("one_order", "order_count_lifetime = 1"),),
    ),
    ReasonCode(
        code="one_order",
        meaning="orders so far",
        features=("order_count_lifetime", "order_day_count_lifetime", "days_from_first_to_last_order"),
        fact="order_count_lifetime",
        usual=NONE,
        shop_usual="order_count_lifetime",
        leaves="below",
        ratio=0.5,
        difference=1,
        condition="order_count_lifetime = 1",
        days_ago="days_since_last_order",
        help="welcome",
    ),
    ReasonCode(
        code="no_opens",
        meaning="share of the messages of the last 90 days that were opened",
        features=(
            "message_opened_count_90_days",
            "message_opened_count_lifetime",
            "messages_opened_per_sent_90_days",
            "messages_clicked_per_sent_90_days",
            "days_since_last_message_opened",
        ),
        fact="least(messages_opened_per_sent_90_days, 1.0)",
        usual=USUAL_OPENED_SHARE,
        leaves="below",
        ratio=0.5,
        difference=0.25,
        condition="message_sent_count_90_days >= 3",
        of_count="message_sent_count_90_days",
        window_days="90",
        days_ago="days_since_last_message_opened",
        help="other_channel",
    ),
    ReasonCode(
        code="returns",
        meaning="returns in the last 90 days, or in 30 where all of them were in these",
        features=(
            "refund_count_30_days",
            "refund_count_90_days",
            "refund_count_lifetime",
            "refunded_order_share",
            "refunded_cents_365_days",
            "refunded_share_lifetime",
            "days_since_last_refund",
        ),
        fact="refund_count_90_days",
        usual=USUAL_REFUNDS,
        shop_usual="refund_count_90_days",
        leaves="above",
        ratio=1.5,
        difference=1,
        window_days="case when refund_count_30_days = refund_count_90_days then 30 else 90 end",
        days_ago="days_since_last_refund",
        help="fix_return",
    ),
    ReasonCode(
        code="bad_review",
        meaning="fewest stars given in a review of the last 90 days",
        features=(
            "min_rating_90_days",
            "days_since_min_rating_90_days",
            "days_since_last_review",
            "mean_rating",
            "min_rating",
        ),
        fact="min_rating_90_days",
        usual=USUAL_STARS,
        shop_usual="mean_rating",
        leaves="below",
        ratio=0.6,
        difference=1.5,
        condition="min_rating_90_days <= 2",
        window_days="90",
        days_ago="days_since_min_rating_90_days",
        help="answer_review",
    ),
    ReasonCode(
        code="discounts_only",
        meaning="share of the orders with a discount",
        features=(
            "discount_share_lifetime",
            "discount_share_90_days",
            "discounted_order_share",
            "coupon_order_share",
            "coupon_order_count_90_days",
            "coupon_count_90_days",
            "coupon_count_lifetime",
        ),
        fact="discounted_order_share",
        usual=NONE,
        shop_usual="discounted_order_share",
        leaves="above",
        ratio=1.5,
        difference=0.3,
        condition="discounted_order_share >= 0.8 and order_count_lifetime >= 3",
        of_count="order_count_lifetime",
        help="beyond_price",
    ),
)
"""A code comes before those that it follows. Contributions of a reason that follows count for the one it follows."""

CODE_OF_FEATURE: Mapping[str, str] = {name: one.code for one in REASON_CODES for name in one.features}

NEVER_A_REASON: tuple[str, ...] = (
    *("days_since_first_order", "mean_line_count_per_order", "mean_product_count_per_order"),
    *("mean_gross_cents_per_order", "max_paid_cents_of_an_order", "mean_paid_cents_per_line"),
    *("paid_cents_lifetime", "paid_cents_first_order_day", "paid_cents_last_order_day", "mean_paid_cents_per_order"),
    *("product_count_lifetime", "repeat_line_share"),
    *("category_count", "category_diversity", "favourite_category_share", "favourite_category", "first_category"),
    *("brand_count", "brand_diversity", "favourite_brand_share", "favourite_brand", "first_brand"),
    *("active_day_count_lifetime", "days_since_first_activity", "days_from_first_activity_to_first_order"),
    *("order_days_per_view_day_90_days", "order_days_per_cart_day_90_days", "order_days_per_active_day_lifetime"),
    *("message_sent_count_30_days", "message_sent_count_90_days", "message_sent_count_lifetime"),
    *("days_since_last_message", "review_count_365_days", "review_count_lifetime", "referral_count_lifetime"),
    *("recommendation_clicked_count_90_days", "ad_clicked_count_90_days", "days_since_registration"),
    *("weekend_order_share", "favourite_part_of_day_share", "mean_order_hour", "order_hour_spread"),
    *("favourite_part_of_day", "favourite_weekday_share", "favourite_weekday"),
    *("order_channel_count", "favourite_channel_share", "favourite_channel"),
    *("order_device_count", "favourite_device_share", "favourite_device"),
    *("declared_income", "declared_home_ownership", "declared_household_size", "declared_country"),
    *("declared_region", "declared_language", "declared_loyalty_tier"),
    *("declared_registration_channel", "declared_acquisition_channel"),
)
"""Features that nobody can act on, such as how long somebody is known, and what people declared about themselves.

Months of orders are in no model: see `schema/models/month_columns.py`."""
