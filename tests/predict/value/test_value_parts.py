"""What a customer is worth is the sum of its parts, and each part is what it is named after."""

from datetime import timedelta

import pytest

from patron.predict.value.value_parts import MAX_RETURNS_SHARE, PRIOR_ORDERS, build_value_parts
from patron.storage.runs.runs import Run

COSTS = ("returns_cents", "service_cents", "marketing_cents")


@pytest.fixture(scope="module")
def parts(built, order_line, score, value_run):
    """Value in parts of customers that differ in one thing each; ten others buy for 10.00 five times."""
    plain = [order_line(f"plain {n}", 30 * at + 1, 1_000) for n in range(10) for at in range(5)]
    lines = [
        *plain,
        order_line("late", 1, 700),
        order_line("late", 90, 300, order_id="first", part=0),
        order_line("late", 90, 200, order_id="first", part=1),
        order_line("late", 90, 999, order_id="same second"),
        order_line("returner", 50, 4_000),
        order_line("returner", 50, -1_000),
        order_line("returns all", 60, 5_000),
        order_line("returns all", 60, -5_000),
        order_line("written off", 60, 2_000),
    ]
    values = {f"plain {n}": 2_000.0 for n in range(10)}
    values |= {"late": 1_500.0, "returner": 3_000.0, "returns all": 100.0, "written off": -50.0, "prospect": 800.0}
    earlier = Run.at(value_run.as_of - timedelta(days=30))
    at = value_run.as_of - timedelta(days=20)
    sent_message = {
        "source": "shop",
        "is_identified": True,
        "occurred_at": at,
        "known_at": at,
        "local_hour": 1,
        "local_day": 1,
    }
    sent = [
        ("plain 1", "message_sent"),
        ("plain 1", "message_sent"),
        ("plain 1", "message_opened"),
        ("plain 2", "view"),
    ]
    offer = {"run_id": "r", "action": "ten_percent", "channel": "outbox", "exposed_at": at}
    delivered = [("plain 3", True), ("plain 3", True), ("plain 4", False)]
    referred = [("plain 5", "late"), ("plain 5", "returner"), ("plain 6", "no forecast"), ("stranger", "plain 7")]
    return built(
        build_value_parts,
        "value_parts",
        order_lines=lines,
        scores=[
            *(score("value", who, value) for who, value in values.items()),
            *(score("churn", who, 0.5) for who in values),
            score("value", "late", 99_000.0, earlier),
            score("value", "only before", 1_000.0, earlier),
        ],
        interactions=[
            sent_message | {"event_id": f"m{n}", "customer_id": who, "kind": kind} for n, (who, kind) in enumerate(sent)
        ],
        exposures=[
            offer | {"decision_id": f"d{n}", "customer_id": who, "is_delivered": is_delivered}
            for n, (who, is_delivered) in enumerate(delivered)
        ],
        referrals=[
            {"customer_id": who, "referred_customer_id": whom, "occurred_at": at, "known_at": at}
            for who, whom in referred
        ],
    )


def test_everyone_whose_value_this_run_forecasts_has_parts_and_nobody_else(parts):
    assert "only before" not in parts
    assert "stranger" not in parts
    assert {"late", "returner", "returns all", "written off", "prospect"} < set(parts)
    assert len(parts) == 15


def test_parts_add_up_and_only_costs_are_below_zero(parts):
    for row in parts.values():
        cents = {name: value for name, value in row.items() if name.endswith("_cents")}
        assert cents.pop("total_cents") == sum(cents.values())
        assert all((value <= 0) if name in COSTS else (value >= 0) for name, value in cents.items())


def test_the_first_order_is_all_lines_of_the_earliest(parts):
    assert parts["late"]["first_order_cents"] == 300 + 200
    assert parts["late"]["repeat_cents"] == 700 + 999
    assert (parts["plain 0"]["first_order_cents"], parts["plain 0"]["repeat_cents"]) == (1_000, 4_000)


def test_expected_value_less_returns_is_the_forecast(parts):
    returned = {"returner": 1_000, "returns all": 5_000}
    forecast = {"plain 0": 2_000, "late": 1_500, "returner": 3_000, "returns all": 100, "prospect": 800}
    for who, value in forecast.items():
        row = parts[who]
        assert row["expected_cents"] + row["returns_cents"] + returned.get(who, 0) == pytest.approx(value, abs=1)


def test_customers_who_return_more_have_a_higher_expected_return_share_than_the_shop(parts):
    paid = 10 * 5_000 + 2_199 + 4_000 + 5_000 + 2_000
    of_shop = 6_000 / paid

    def share(customer_share, orders):
        return (PRIOR_ORDERS * of_shop + orders * customer_share) / (PRIOR_ORDERS + orders)

    for who, customer_share, orders in (
        ("prospect", 0.0, 0),
        ("late", 0.0, 3),
        ("returner", 0.25, 1),
        ("returns all", MAX_RETURNS_SHARE, 1),
    ):
        row = parts[who]
        expected_back = (
            1 - {"prospect": 800, "late": 1_500, "returner": 3_000, "returns all": 100}[who] / (row["expected_cents"])
        )
        assert expected_back == pytest.approx(share(customer_share, orders), abs=1 / row["expected_cents"])


def test_a_forecast_below_zero_is_nothing_expected(parts):
    assert parts["written off"]["expected_cents"] == 0
    assert parts["written off"]["returns_cents"] == 0
    assert parts["written off"]["service_cents"] == -40


def test_who_has_not_ordered_has_a_future_only(parts):
    row = parts["prospect"]
    assert (row["first_order_cents"], row["repeat_cents"], row["marketing_cents"]) == (0, 0, 0)
    assert row["expected_cents"] > 800


def test_a_share_of_what_the_referred_will_pay_counts_for_who_brought_them(parts):
    assert parts["plain 5"]["referral_cents"] == (1_500 + 3_000) // 4
    assert sum(row["referral_cents"] for who, row in parts.items() if who != "plain 5") == 0


def test_messages_that_were_sent_and_offers_that_were_delivered_cost(parts):
    costs = {who: -row["marketing_cents"] for who, row in parts.items() if row["marketing_cents"]}
    assert costs == {"plain 1": 2 * 3, "plain 3": 2 * 5}


def test_service_costs_for_each_order_so_far_and_each_expected(parts):
    row = parts["plain 0"]
    average = (10 * 5_000 + 2_199 + 4_000 + 5_000 + 2_000) / (50 + 3 + 1 + 1 + 1)
    order_cents = (PRIOR_ORDERS * average + 5_000) / (PRIOR_ORDERS + 5)
    assert -row["service_cents"] == pytest.approx(40 * (5 + row["expected_cents"] / order_cents), abs=1)


def test_a_shop_in_which_nobody_has_paid_yet_has_parts_all_the_same(built, order_line, score):
    rows = built(
        build_value_parts,
        "value_parts",
        order_lines=[order_line("free", 10, 0)],
        scores=[score("value", "free", 500.0), score("value", "prospect", 0.0)],
    )
    assert rows["free"]["expected_cents"] == 500
    assert rows["prospect"]["total_cents"] == 0
