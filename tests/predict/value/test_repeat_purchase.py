"""Who comes back: the run's model of order days, on shops whose rates and departures are known."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.clv import FittedParetoNBD
from patron.predict import READS, WRITES
from patron.predict.value.repeat_purchase import build_repeat_purchase, last_day
from patron.schema.table_checks import validated
from patron.schema.tables import ORDERS
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

START = datetime(2024, 1, 1, 12, tzinfo=UTC)


def order_days(rng, customers, days, *, leave_after=250.0):
    """Days of orders, by customer: a rate and a lifetime of each one's own."""
    all_days = []
    rate = rng.gamma(1.0, 1 / 30, customers)
    joined = rng.integers(0, max(days // 2, 1), customers)
    gone = joined + rng.exponential(leave_after, customers)
    for who in range(customers):
        at = float(joined[who])
        while at < min(gone[who], days):
            all_days.append((f"c{who}", int(at)))
            at += rng.exponential(1 / max(rate[who], 1e-4))
    return all_days


def with_orders(folder, all_days, run):
    shop = Shop.create(folder)
    at = [START + timedelta(days=day) for _, day in all_days]
    count = len(all_days)
    epoch = (START - datetime(1970, 1, 1, tzinfo=UTC)).days
    rows = {
        "customer_id": [who for who, _ in all_days],
        "is_identified": [True] * count,
        "order_id": [f"o{place}" for place in range(count)],
        "occurred_at": at,
        "known_at": at,
        **{name: [1] * count for name in ("line_count", "product_count", "unit_count", "local_hour", "local_weekday")},
        **{name: [100] * count for name in ("gross_cents", "paid_cents")},
        "discount_cents": [0] * count,
        "has_coupon": [False] * count,
        "local_day": [epoch + day for _, day in all_days],
    }
    shop.lake.replace(ORDERS, validated(ORDERS, pa.table(rows)))
    view = shop.view(READS, WRITES, run=run)
    build_repeat_purchase(view)
    return view


@pytest.fixture(scope="module")
def backtest_shop(tmp_path_factory):
    all_days = order_days(np.random.default_rng(3), 1500, 490)
    run = Run.at(START.replace(hour=0) + timedelta(days=400))
    known = [day for day in all_days if day[1] < 400]
    view = with_orders(tmp_path_factory.mktemp("back") / "w", known, run)
    return view, all_days, known


def test_the_held_out_weeks_came_as_forecast(backtest_shop):
    view, _, _ = backtest_shop
    weeks = view.read("repeat_purchase_weeks").to_pylist()
    held_out = [week for week in weeks if week["is_held_out"]]
    assert len(held_out) == 13
    came = sum(week["order_count"] for week in held_out)
    assert sum(week["expected_orders"] for week in held_out) == pytest.approx(came, rel=0.1)


@pytest.mark.parametrize("age", range(399, 406))
def test_the_check_knows_no_day_of_the_weeks_held_out(tmp_path, age):
    """Before, up to six days were in both: the cut was 13 weeks ago, and weeks are counted from the first order."""
    all_days = order_days(np.random.default_rng(7), 300, age)
    view = with_orders(tmp_path / "w", all_days, Run.at(START.replace(hour=0) + timedelta(days=age)))
    row, weeks = view.read("repeat_purchase_models").to_pylist()[0], view.read("repeat_purchase_weeks").to_pylist()
    firsts = {}
    for who, day in sorted(all_days, key=lambda one: one[1]):
        firsts.setdefault(who, day)
    opened = min(firsts.values())
    ends = opened - 1 + 7 * ((age - opened) // 7)
    cut = ends - 13 * 7
    assert row["weeks_known_until"] == START.replace(hour=0) + timedelta(days=cut)
    first_held_out = min(week["ended_at"] for week in weeks if week["is_held_out"])
    assert first_held_out == row["weeks_known_until"] + timedelta(days=7)
    assert row["checked_customer_count"] == sum(first <= cut for first in firsts.values())
    repeats = {(who, day) for who, day in all_days if day > firsts[who] and firsts[who] <= cut < day <= ends}
    assert sum(week["order_count"] for week in weeks if week["is_held_out"]) == len(repeats)


def test_the_total_forecast_comes_true(backtest_shop):
    view, all_days, known = backtest_shop
    row = view.read("repeat_purchase_models").to_pylist()[0]
    customers = {who for who, _ in known}
    later = {day for day in all_days if day[1] >= 400 and day[0] in customers}
    assert row["customer_count"] == len(customers)
    assert row["expected_orders_90_days"] == pytest.approx(len(later), rel=0.1)
    assert row["dropout_check"] == "confirmed"
    each = view.read("repeat_purchase")
    assert each.num_rows == len(customers)
    assert sum(each["expected_orders_90_days"].to_pylist()) == pytest.approx(row["expected_orders_90_days"])
    assert sum(each["order_day_count"].to_pylist()) == len(set(known))
    assert 0 < min(each["probability_active"].to_pylist()) <= max(each["probability_active"].to_pylist()) <= 1
    assert row["inactive_count"] > 100
    assert row["inactive_actual_share"] == pytest.approx(row["inactive_expected_share"], abs=0.05)
    assert set(FittedParetoNBD.from_dict(json.loads(row["model"])).params) == {"r", "alpha", "s", "beta"}


def test_where_nobody_leaves_dropout_is_not_confirmed(tmp_path):
    all_days = order_days(np.random.default_rng(5), 800, 300, leave_after=1e9)
    view = with_orders(tmp_path / "w", all_days, Run.at(START.replace(hour=0) + timedelta(days=300)))
    assert view.read("repeat_purchase_models").to_pylist()[0]["dropout_check"] in {"unseen", "too_few"}


def test_where_those_taken_for_gone_come_back_dropout_is_not_confirmed(tmp_path):
    """Customers who order each day of one season and stay away for the next: their pauses are no departures."""
    rng = np.random.default_rng(11)
    all_days = [
        (f"c{who}", day)
        for who in range(400)
        for day in range(int(rng.integers(0, 30)), 440)
        if (day + 60 * (who % 4)) % 240 < 90 and rng.random() < 0.5
    ]
    view = with_orders(tmp_path / "w", all_days, Run.at(START.replace(hour=0) + timedelta(days=440)))
    row = view.read("repeat_purchase_models").to_pylist()[0]
    assert row["inactive_count"] >= 50
    assert row["inactive_actual_share"] > 2 * row["inactive_expected_share"]
    assert row["dropout_check"] == "inactive_returned"


@pytest.mark.parametrize(("customers", "days"), [(5, 300), (300, 10)])
def test_too_little_data_gives_no_statement(tmp_path, customers, days):
    all_days = order_days(np.random.default_rng(1), customers, days)
    view = with_orders(tmp_path / "w", all_days, Run.at(START.replace(hour=0) + timedelta(days=days)))
    assert view.read("repeat_purchase_models").num_rows == view.read("repeat_purchase_weeks").num_rows == 0
    assert view.read("repeat_purchase").num_rows == 0


def test_a_young_shop_has_weeks_and_no_check(tmp_path):
    all_days = order_days(np.random.default_rng(2), 600, 100)
    view = with_orders(tmp_path / "w", all_days, Run.at(START.replace(hour=0) + timedelta(days=100)))
    weeks = view.read("repeat_purchase_weeks").to_pylist()
    assert len(weeks) >= 13
    assert not any(week["is_held_out"] for week in weeks)
    row = view.read("repeat_purchase_models").to_pylist()[0]
    assert row["dropout_check"] == "unchecked"
    assert row["checked_customer_count"] == 0


@pytest.mark.parametrize(("age", "is_checked"), [(181, False), (182, True), (184, True), (188, True)])
def test_the_check_has_as_many_weeks_before_it_as_in_it(tmp_path, age, is_checked):
    all_days = [("c0", 0), *order_days(np.random.default_rng(4), 300, age)]
    view = with_orders(tmp_path / "w", all_days, Run.at(START.replace(hour=0) + timedelta(days=age)))
    row = view.read("repeat_purchase_models").to_pylist()[0]
    assert (row["checked_customer_count"] > 0) == is_checked


def test_a_closed_shop_sees_the_forecast_and_that_nobody_came(tmp_path):
    all_days = order_days(np.random.default_rng(9), 600, 300)
    view = with_orders(tmp_path / "w", all_days, Run.at(START.replace(hour=0) + timedelta(days=400)))
    held_out = [week for week in view.read("repeat_purchase_weeks").to_pylist() if week["is_held_out"]]
    assert sum(week["order_count"] for week in held_out) == 0
    assert sum(week["expected_orders"] for week in held_out) > 100
    row = view.read("repeat_purchase_models").to_pylist()[0]
    assert row["dropout_check"] == "active_lapsed", (
        "orders that were not imported look the same: nobody is reported as gone"
    )
    assert row["active_actual_share"] == 0 < row["active_expected_share"]


def test_days_are_those_of_the_shops_calendar(tmp_path):
    shop = Shop.create(tmp_path / "w")
    midday = START.replace(hour=9)
    for zone, day in (("Asia/Shanghai", midday.date()), ("America/Los_Angeles", midday.date())):
        (shop.folder / "patron.toml").write_text(f'[shop]\ntime_zone = "{zone}"\n', encoding="utf-8")
        view = Shop.open(shop.folder).view(READS, WRITES, run=Run.at(midday, zone=zone))
        assert last_day(view) == day
    early = Run.at(START.replace(hour=6), zone="America/Los_Angeles")
    view = Shop.open(shop.folder).view(READS, WRITES, run=early)
    assert last_day(view) == (START - timedelta(days=1)).date(), "it is still the evening before there"


def test_at_midnight_the_day_before_is_the_last_one_known(backtest_shop):
    view, _, _ = backtest_shop
    assert last_day(view) == (START + timedelta(days=399)).date()
