"""One customer's events, and the features of each family worked out by hand."""

import math

import pytest

from patron.schema.models.month_columns import ORDER_DAYS_BY_MONTH
from patron.understand.features import EVERY_FAMILY

# Day 0 is Monday, 1 January 2024. Orders: Thursday 11 January at 12, Saturday 10 February at 6, Thursday 21 March, 18.
CUTOFF = 100
BRANDED = {"category": "a", "brand": "x"}
WEB_MOBILE = {"channel": "web", "device": "mobile"}
WEB_DESKTOP = {"channel": "web", "device": "desktop", **BRANDED}
APP_MOBILE = {"channel": "app", "device": "mobile", **BRANDED}


def story(pipeline):
    e = pipeline.event
    first = [
        {"product_id": "p1", "price_cents": 500, "quantity": 2, **BRANDED},
        {"product_id": "p2", "price_cents": 1000, "quantity": 1, "category": "b"},
    ]
    return [
        e("o1", "Order Completed", 10.5, order_id="o1", products=first, discount_cents=200, coupon="C", **WEB_MOBILE),
        e("o2", "Order Line Completed", 40.25, order_id="o2", product_id="p1", price_cents=500, **WEB_DESKTOP),
        e("o3", "Order Line Completed", 80.75, order_id="o3", product_id="p3", price_cents=3000, **APP_MOBILE),
        e("r1", "Order Refunded", 85, order_id="o1", products=[{"product_id": "p2", "quantity": 1}]),
        e("g", "Customer Registered", 5),
        e("t1", "Identify", 5, traits='{"income":"low","country":"DE"}'),
        e("t2", "Identify", 50, traits='{"income":"high"}'),
        e("c", "Coupon Applied", 10.4),
        e("w", "Product Added to Wishlist", 20),
        e("s1", "Products Searched", 50),
        e("f", "Customer Referred", 55),
        e("v1", "Product Viewed", 72),
        e("q1", "Product Reviewed", 82, rating=4.0),
        e("q2", "Product Reviewed", 83, rating=2.0),
        e("m1", "Message Sent", 60),
        e("m2", "Message Sent", 90),
        e("m3", "Message Opened", 90.5),
        e("s2", "Products Searched", 95),
        e("v2", "Product Viewed", 95.01),
        e("v3", "Product Viewed", 95.02),
        e("k", "Product Clicked", 95.03),
        e("a", "Product Added", 96),
    ]  # fmt: skip


IN_MONTHS = {f"order_day_count_{month}": 1 for month in ("january", "february", "march")}
EXPECTED = {
    "orders": {
        "days_since_last_order": 20,
        "days_since_first_order": 90,
        "days_from_first_to_last_order": 70,
        "order_count_7_days": 0,
        "order_count_30_days": 1,
        "order_count_90_days": 3,
        "order_count_lifetime": 3,
        "order_day_count_90_days": 3,
        "order_count_change_30_days": 0,
        "mean_line_count_per_order": 4 / 3,
        "mean_gross_cents_per_order": 5500 / 3,
        "max_paid_cents_of_an_order": 3000,
        "mean_paid_cents_per_line": 5300 / 4,
        "discount_share_lifetime": 200 / 5500,
        "discounted_order_share": 1 / 3,
        "coupon_order_share": 1 / 3,
    },
    "money": {
        "paid_cents_30_days": 3000,
        "paid_cents_90_days": 1800 + 500 + 3000 - 900,
        "paid_cents_lifetime": 4400,
        "paid_cents_first_order_day": 900,
        "paid_cents_last_order_day": 3000,
        "mean_paid_cents_per_order": 4400 / 3,
        "paid_cents_change_30_days": 3000 - 500,
        "paid_share_of_last_90_in_180_days": 1,
        "refund_count_lifetime": 1,
        "refund_count_30_days": 1,
        "refund_count_90_days": 1,
        "refunded_order_share": 1 / 3,
        "refunded_cents_365_days": 900,
        "refunded_share_lifetime": 900 / 5300,
        "days_since_last_refund": 15,
    },
    "regularity": {
        "mean_days_between_orders": 35,
        "std_days_between_orders": math.sqrt(50),
        "variation_of_days_between_orders": math.sqrt(50) / 35,
        "max_days_between_orders": 40,
        "days_between_last_two_orders": 40,
        "overdue_ratio": 20 / 35,
        "days_until_expected_order": 15,
    },
    "products": {
        "product_count_lifetime": 3,
        "product_count_90_days": 3,
        "repeat_line_share": 1 / 4,
        "new_line_share_90_days": 3 / 4,
    },
    "categories": {
        "category_count": 2,
        "category_diversity": 1 - (3 / 4) ** 2 - (1 / 4) ** 2,
        "favourite_category_share": 3 / 4,
        "favourite_category": "a",
        "first_category": "a",
    },
    "brands": {"brand_count": 1, "brand_diversity": 0, "favourite_brand_share": 1, "favourite_brand": "x"},
    "category_changes": {"category_count_90_days": 2, "category_count_previous_90_days": 0},
    "activity": {
        "search_count_7_days": 1,
        "search_count_90_days": 2,
        "view_count_7_days": 2,
        "view_count_30_days": 3,
        "click_count_30_days": 1,
        "cart_add_count_7_days": 1,
        "wishlist_count_30_days": 0,
        "wishlist_count_90_days": 1,
        "views_per_search_90_days": 3 / 2,
        "cart_adds_per_view_90_days": 1 / 3,
    },
    "visits": {
        "active_day_count_30_days": 7,  # 72, 80, 82, 83, 90 (a message opened), 95, 96
        "active_day_count_90_days": 12,  # and 10, 20, 40, 50, 55
        "active_day_count_lifetime": 13,  # and 5
        "days_since_last_activity": 4,
        "days_since_first_activity": 95,
        "days_from_first_activity_to_first_order": 5,
        "days_since_last_view": 5,
        "order_days_per_view_day_90_days": 3 / 2,
        "order_days_per_cart_day_90_days": 3,
        "order_days_per_active_day_lifetime": 3 / 13,
    },
    "messages": {
        "message_sent_count_30_days": 1,
        "message_sent_count_90_days": 2,
        "messages_opened_per_sent_90_days": 1 / 2,
        "messages_clicked_per_sent_90_days": 0,
        "message_sent_count_lifetime": 2,
        "message_opened_count_90_days": 1,
        "message_opened_count_lifetime": 1,
        "days_since_last_message": 10,
        "days_since_last_message_opened": 10,
        "coupon_count_90_days": 1,
        "review_count_lifetime": 2,
        "mean_rating": 3,
        "min_rating": 2,
        "min_rating_90_days": 2,
        "days_since_min_rating_90_days": 17,
        "days_since_last_review": 17,
        "referral_count_lifetime": 1,
        "days_since_registration": 95,
    },
    "habits": {
        "weekend_order_share": 1 / 3,
        "favourite_part_of_day_share": 1 / 3,
        "mean_order_hour": 12,
        "order_hour_spread": math.sqrt(24),
        "favourite_part_of_day": "afternoon",  # three parts once each: the least in the alphabet
    },
    "weekdays": {"favourite_weekday_share": 2 / 3, "favourite_weekday": "thursday"},
    "months": {"first_order_month": 1, **dict.fromkeys(ORDER_DAYS_BY_MONTH, 0), **IN_MONTHS},
    "channels": {"order_channel_count": 2, "favourite_channel_share": 2 / 3, "favourite_channel": "web"},
    "devices": {"order_device_count": 2, "favourite_device_share": 2 / 3, "favourite_device": "mobile"},
    "traits": {"declared_income": "high", "declared_country": "DE", "declared_region": None},
    "arrivals": {
        "is_registered": 1,
        "sign_of_life_count": 14,
        "page_count": 0,
        "checkout_count": 0,
        "message_answer_count": 1,
        "first_hour": 0,
        "first_weekday": 5,
        "first_channel": None,
        "first_device": None,
        "first_campaign": None,
    },
}


@pytest.fixture(scope="module")
def row(pipeline):
    [only] = pipeline.features(pipeline.facts(story(pipeline)), [CUTOFF])
    return only


@pytest.mark.parametrize("family", EXPECTED)
def test_the_family_says_of_the_story_what_a_person_would(row, family):
    numbers = {name: value for name, value in EXPECTED[family].items() if isinstance(value, int | float)}
    others = {name: value for name, value in EXPECTED[family].items() if name not in numbers}
    assert {name: row[name] for name in numbers} == pytest.approx(numbers)
    assert {name: row[name] for name in others} == others


def test_every_family_is_in_the_story():
    assert list(EXPECTED) == [family.name for family in EVERY_FAMILY]


def test_days_and_hours_are_those_of_the_shop(pipeline):
    events = [pipeline.event("o", "Order Line Completed", 10 + 2 / 24, order_id="o", price_cents=100)]
    [here] = pipeline.features(pipeline.facts(events, zone="America/New_York"), [10.5], "America/New_York")
    [utc] = pipeline.features(pipeline.facts(events), [10.5])
    assert (here["mean_order_hour"], here["favourite_weekday"], here["days_since_last_order"]) == (21, "wednesday", 1)
    assert (utc["mean_order_hour"], utc["favourite_weekday"], utc["days_since_last_order"]) == (2, "thursday", 0)


def test_who_never_did_something_has_zero_of_it_and_no_ratio(pipeline):
    [row] = pipeline.features(pipeline.facts([pipeline.event("o", "Order Line Completed", 1, order_id="o")]), [2])
    assert (row["view_count_90_days"], row["refund_count_lifetime"], row["message_sent_count_90_days"]) == (0, 0, 0)
    unknown = (
        "days_since_min_rating_90_days",
        "days_since_last_message_opened",
        "views_per_search_90_days",
        "mean_rating",
        "mean_days_between_orders",
        "favourite_brand",
    )
    assert [row[name] for name in unknown] == [None] * len(unknown)


def test_returns_reviews_and_openings_count_in_the_window_of_their_own_day(pipeline):
    """A refund counts by its day and not by its order's; of reviews with as few stars the last one's day counts."""
    e = pipeline.event
    events = [
        e("o1", "Order Line Completed", 5, order_id="o1", product_id="p1", price_cents=500, category="a"),
        e("o2", "Order Line Completed", 6, order_id="o2", product_id="p2", price_cents=500, category="b"),
        e("o3", "Order Line Completed", 150, order_id="o3", product_id="p1", price_cents=500, category="a"),
        e("r1", "Order Refunded", 100, order_id="o1"),
        e("r2", "Order Refunded", 165, order_id="o2"),
        e("q0", "Product Reviewed", 20, rating=1.0),
        e("q1", "Product Reviewed", 110, rating=2.0),
        e("q2", "Product Reviewed", 120, rating=2.0),
        e("q3", "Product Reviewed", 160, rating=4.5),
        e("m1", "Message Sent", 30),
        e("m2", "Message Opened", 31),
        e("m3", "Message Sent", 130),
    ]
    [row] = pipeline.features(pipeline.facts(events), [170])
    expected = {
        "refund_count_30_days": 1,
        "refund_count_90_days": 2,
        "min_rating": 1,
        "min_rating_90_days": 2,
        "days_since_min_rating_90_days": 50,
        "days_since_last_review": 10,
        "message_sent_count_lifetime": 2,
        "message_opened_count_90_days": 0,
        "message_opened_count_lifetime": 1,
        "days_since_last_message_opened": 139,
        "category_count_90_days": 1,
        "category_count_previous_90_days": 2,
    }
    assert {name: row[name] for name in expected} == expected


def test_refunds_whose_day_nobody_knows_count_in_amounts_and_in_all_time_and_in_no_number_of_days(pipeline):
    e = pipeline.event
    unknown = {"properties": '{"is_undated":"true"}'}
    events = [
        e("o1", "Order Line Completed", 5, order_id="o1", product_id="p1", price_cents=500),
        e("o2", "Order Line Completed", 150, order_id="o2", product_id="p2", price_cents=300),
        e("r1", "Order Refunded", 165, order_id="o1", **unknown),
        e("r2", "Order Refunded", 165, order_id="o2", total_cents=100, **unknown),
    ]
    [row] = pipeline.features(pipeline.facts(events), [170])
    expected = {
        "refund_count_30_days": 0,
        "refund_count_90_days": 0,
        "days_since_last_refund": None,
        "refund_count_lifetime": 2,
        "refunded_order_share": 1,
        "refunded_cents_365_days": 600,
        "paid_cents_lifetime": 200,
    }
    assert {name: row[name] for name in expected} == expected
