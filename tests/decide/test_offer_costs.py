import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.decide.evidence import Evidence, MeasuredEffect
from patron.decide.expected_value import expected_values, forecast_orders, order_cents, spend_per_day
from patron.decide.offer_costs import offer_costs
from patron.storage.offers.offer_policy import Offer
from patron.storage.offers.offer_rules import OfferRules

PER_DAY, ORDER = np.array([0.0, 50.0, 200.0]), np.array([5_000.0, 3_000.0, 6_000.0])


def costs_of(**keys):
    offer = Offer(id="x", assumed_purchase_uplift=0.1, **keys)
    return offer_costs(offer, offer.valid_days * PER_DAY / ORDER, ORDER)


def test_each_kind_costs_what_it_gives_away():
    spend, orders = 30 * PER_DAY, 30 * PER_DAY / ORDER
    discount = costs_of(discount_share=0.1, contact_cost_cents=5)
    assert discount.anyway == pytest.approx(0.1 * spend + 5)
    assert discount.per_order == pytest.approx(0.1 * ORDER)
    points = costs_of(kind="points", points_share=0.1, redeemed_share=0.6)
    assert points.anyway == pytest.approx(0.06 * spend)
    assert points.discounts == pytest.approx(0)
    delivery = costs_of(kind="free_delivery", cost_per_order_cents=400)
    assert delivery.anyway == pytest.approx(400 * orders)
    assert delivery.per_order == pytest.approx(400)
    for kind in ("recommendation", "reminder", "call"):
        assert costs_of(kind=kind, contact_cost_cents=300).anyway == pytest.approx(300)


def test_an_order_that_is_delivered_free_anyway_costs_no_delivery():
    draws = np.random.default_rng(1).lognormal(np.log(6_000) - 0.18, 0.6, 40_000)
    plain, free = (
        costs_of(kind="free_delivery", cost_per_order_cents=400, delivery_free_from=least) for least in (0, 50)
    )
    delivered = np.mean(draws < 5_000)
    assert free.per_order[2] == pytest.approx(400 * delivered, rel=0.05)
    assert free.anyway[2] == pytest.approx(plain.anyway[2] * delivered, rel=0.05)


def test_orders_that_are_forecast_for_customers_without_any_are_charged(candidates):
    rows = candidates(50)
    nothing = pa.array(np.zeros(50, np.int64))
    for name in ("order_count", "paid_cents"):
        rows = rows.set_column(rows.schema.get_field_index(name), name, nothing)
    offer = Offer(id="x", discount_share=0.1, valid_days=30, assumed_purchase_uplift=0.1)
    size = order_cents(rows)
    costs = offer_costs(offer, forecast_orders(rows, 30, size), size)
    assert costs.anyway == pytest.approx(0.1 * 30 * spend_per_day(rows))
    assert costs.anyway.max() > 0


def test_a_coupon_is_used_once_at_most_and_only_for_orders_that_are_large_enough():
    plain, large = (costs_of(kind="coupon", amount_off=5, least_order=least) for least in (0, 80))
    assert (plain.discounts <= 500).all()
    assert plain.discounts[0] == 0
    assert (large.discounts[1:] < plain.discounts[1:]).all()
    draws = np.random.default_rng(1)
    orders = draws.poisson(30 * 200.0 / 6_000, 40_000)
    sizes = [draws.lognormal(np.log(6_000) - 0.18, 0.6, count) for count in orders]
    used = np.mean([(size >= 8_000).any() for size in sizes])
    assert large.discounts[2] == pytest.approx(500 * used, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0.0, 0.9), amount=st.floats(0.01, 50), days=st.integers(1, 365))
def test_a_larger_offer_never_costs_less(share, amount, days):
    for keys, more in (
        ({"discount_share": share}, {"discount_share": min(share * 1.1, 0.99)}),
        ({"kind": "coupon", "amount_off": amount}, {"kind": "coupon", "amount_off": amount * 1.5}),
    ):
        assert (costs_of(**more, valid_days=days).anyway >= costs_of(**keys, valid_days=days).anyway - 1e-9).all()


def test_an_offers_own_margin_counts_instead_of_the_shops(candidates):
    rows = candidates(50)
    stratum = np.full(50, "all")
    offers = [
        Offer(id=name, kind="reminder", assumed_purchase_uplift=0.1, margin_share=share)
        for name, share in (("a", None), ("b", 0.9))
    ]
    effect = expected_values(rows, stratum, offers, Evidence({}, 0.3)).effect
    assert effect[:, 0] == pytest.approx(0.1 * 0.3 * order_cents(rows))
    assert effect[:, 1] == pytest.approx(3 * effect[:, 0])


def test_points_and_coupons_earn_what_was_measured(candidates):
    rows = candidates(50)
    stratum, sure = np.full(50, "all"), MeasuredEffect(200.0, 1e-9)
    coupon = Offer(id="c", kind="coupon", amount_off=2, assumed_purchase_uplift=0.1)
    points = Offer(id="p", kind="points", points_share=0.1, assumed_purchase_uplift=0.1)
    effects = {("c", "all"): sure, ("p", "all"): sure}
    found = expected_values(rows, stratum, [coupon, points], Evidence(effects, 0.4))
    assert found.net[:, 0] == pytest.approx(200.0), "the margin already lacks what the coupon took off"
    spend = 30 * spend_per_day(rows)
    assert found.net[:, 1] == pytest.approx(200.0 - 0.1 * spend - 0.1 * 200 / 0.4), "points come later"


def test_rules_for_reasons_change_what_is_assumed_and_give_way_to_what_was_measured(candidates):
    rows = candidates(40)
    at = rows.column_names.index("reason_1")
    rows = rows.set_column(at, "reason_1", pa.array(["returns", "overdue"] * 20))
    call = Offer(id="call", kind="call", contact_cost_cents=100, assumed_purchase_uplift=0.1)
    rules = OfferRules({"returns": {"call": 2.0}, "overdue": {"call": 0.0}})

    def effect(rules, error=None):
        effects = {("call", "all"): MeasuredEffect(50.0, error)} if error else {}
        return expected_values(rows, np.full(40, "all"), [call], Evidence(effects, 0.4, rules=rules)).effect[:, 0]

    plain = effect(OfferRules())
    assert effect(rules)[::2] == pytest.approx(2 * plain[::2])
    assert effect(rules)[1::2] == pytest.approx(0)
    distance = [np.abs(effect(rules, error) - effect(OfferRules(), error)).mean() for error in (1e4, 100.0, 1e-6)]
    assert distance[0] > distance[1] > distance[2]
    assert distance[2] == pytest.approx(0, abs=1e-6)
