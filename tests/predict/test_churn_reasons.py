"""A reason is kept only where it sets the customer apart, speaks for leaving, and made a noticeable part."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from patron.predict import READS, WRITES
from patron.predict.churn.churn_reasons import reason_rows
from patron.predict.explanation import Explanation, explain, sums_by_code
from patron.schema.models.questions import CHURN
from patron.schema.models.reason_codes import REASON_CODES
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

PLACE = {one.code: place for place, one in enumerate(REASON_CODES)}
REGULAR = {
    "days_since_last_order": 10,
    "days_since_first_order": 450,
    "order_count_lifetime": 16,
    "order_day_count_lifetime": 16,
    "order_count_90_days": 3,
    "mean_days_between_orders": 30,
    "paid_cents_lifetime": 160_000,
    "paid_cents_90_days": 30_000,
    "paid_cents_first_order_day": 10_000,
    "days_since_last_activity": 3,
    "days_since_first_activity": 450,
    "active_day_count_lifetime": 90,
    "category_count_90_days": 3,
    "category_count_previous_90_days": 3,
    "refund_count_30_days": 0,
    "refund_count_90_days": 0,
    "refund_count_lifetime": 1,
    "message_sent_count_90_days": 4,
    "message_sent_count_lifetime": 14,
    "message_opened_count_90_days": 2,
    "message_opened_count_lifetime": 7,
    "messages_opened_per_sent_90_days": 0.5,
    "review_count_lifetime": 4,
    "mean_rating": 4.25,
    "discounted_order_share": 0.25,
}
"""Orders every 30 days, and nothing about them has changed."""
LATE = {"days_since_last_order": 93, "order_count_90_days": 0, "paid_cents_90_days": 0, "days_since_last_activity": 93}


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    shop = Shop.create(tmp_path_factory.mktemp("reasons") / "w")
    return shop.view(READS, WRITES, run=Run.at(datetime(2024, 6, 1, tzinfo=UTC)))


@pytest.fixture(scope="module")
def reasons_of(view):
    """Reasons of customers, each with what differs from a regular one and what each code added to the log-odds."""

    def rows(*customers, probability=0.9, others=0.0):
        differing, sizes = zip(*customers, strict=True)
        ids = [f"c{number}" for number in range(len(customers))]
        columns = {
            name: [float(REGULAR[name] if name not in one else one[name]) for one in differing] for name in REGULAR
        }
        for name in {name for one in differing for name in one} - REGULAR.keys():
            columns[name] = pa.array([one.get(name) for one in differing], pa.float64())
        by_code = np.zeros((len(customers), len(REASON_CODES) + 1))
        by_code[:, -1] = others
        for row, size in enumerate(sizes):
            for code, value in size.items():
                by_code[row, PLACE[code]] = value
        scores = pa.table({"value": np.broadcast_to(np.asarray(probability, float), len(ids))})
        features = pa.table({"customer_id": ids, **columns})
        explanation = Explanation(pa.nulls(len(ids)), REASON_CODES, by_code)
        found = reason_rows(view, CHURN, features, scores, explanation).to_pylist()
        return [[one for one in found if one["customer_id"] == who] for who in ids]

    return rows


def codes(rows):
    return [row["code"] for row in rows]


def test_the_reason_has_the_fact_and_what_is_usual_for_this_customer(reasons_of):
    [[reason]] = reasons_of((LATE, {"overdue": 1.2}))
    assert (reason["code"], reason["rank"], reason["question"]) == ("overdue", 1, "churn")
    assert (reason["fact"], reason["usual"], reason["basis"], reason["days_ago"]) == (93, 30, "customer", 93)
    assert reason["contribution"] == pytest.approx(1.2)
    assert (reason["of_count"], reason["window_days"]) == (None, None)


def test_who_has_too_little_history_is_compared_with_the_shop(reasons_of):
    few = {"order_day_count_lifetime": 2, "order_count_lifetime": 2, "mean_days_between_orders": 9}
    first, *_ = reasons_of((LATE | few, {"overdue": 1.2}), *[({}, {})] * 4)
    assert [(row["code"], row["usual"], row["basis"]) for row in first] == [("overdue", 30, "shop")]


def test_a_contribution_alone_is_no_reason_where_nothing_sets_the_customer_apart(reasons_of):
    everything = {one.code: 1.0 for one in REASON_CODES}
    assert reasons_of(({}, everything)) == [[]]


def test_a_fact_alone_is_no_reason_where_the_model_makes_little_of_it(reasons_of):
    assert [codes(rows) for rows in reasons_of((LATE, {"overdue": -0.5}), (LATE, {"overdue": 0.09}))] == [[], []]
    assert reasons_of((LATE, {"overdue": 0.3}), others=3.0) == [[]]
    assert codes(reasons_of((LATE, {"overdue": 0.3}), others=2.0)[0]) == ["overdue"]


def test_who_is_not_likely_to_leave_has_no_reason(reasons_of):
    customers = [(LATE, {"overdue": 2.0}), (LATE, {"overdue": 1.0}), ({}, {})]
    assert [codes(rows) for rows in reasons_of(*customers, probability=[0.9, 0.4, 0.8])] == [["overdue"], [], []]
    above_the_mean = [0.2, 0.01, 0.01]
    assert [codes(rows) for rows in reasons_of(*customers, probability=above_the_mean)] == [["overdue"], [], []]


def test_what_says_the_same_again_counts_for_the_reason_that_it_follows(reasons_of):
    """Who ordered nothing for 93 days also paid nothing and had no orders in 90: that is one reason."""
    sizes = {"overdue": 0.5, "fewer_orders": 0.3, "less_spend": 0.2, "no_visit": 0.4}
    [[reason]] = reasons_of((LATE, sizes))
    assert (reason["code"], reason["contribution"]) == ("overdue", pytest.approx(1.4))


def test_at_most_three_reasons_the_strongest_first(reasons_of):
    slower = {
        "order_count_90_days": 1,
        "days_since_last_order": 60,
        "refund_count_90_days": 2,
        "refund_count_30_days": 2,
        "refund_count_lifetime": 3,
        "days_since_last_refund": 5,
        "min_rating_90_days": 1,
        "days_since_min_rating_90_days": 6,
        "message_opened_count_90_days": 0,
        "messages_opened_per_sent_90_days": 0,
        "days_since_last_message_opened": 120,
    }
    sizes = {"overdue": 0.4, "fewer_orders": 0.5, "returns": 0.9, "bad_review": 0.7, "no_opens": 0.3}
    [rows] = reasons_of((slower, sizes))
    assert [(row["rank"], row["code"]) for row in rows] == [(1, "returns"), (2, "bad_review"), (3, "fewer_orders")]
    assert (rows[0]["fact"], rows[0]["window_days"], rows[0]["days_ago"]) == (2, 30, 5)
    assert (rows[1]["fact"], rows[1]["days_ago"]) == (1, 6)
    assert (rows[2]["fact"], rows[2]["usual"]) == (1, pytest.approx(14 * 90 / 360))
    [rows] = reasons_of((slower, {"no_opens": 0.3}))
    assert [(row["fact"], row["usual"], row["of_count"]) for row in rows] == [(0, 0.7, 4)]


def test_spending_less_is_a_reason_of_its_own_only_where_orders_did_not_fall_as_much(reasons_of):
    smaller = {"paid_cents_90_days": 9_000}
    fewer = {"paid_cents_90_days": 9_000, "order_count_90_days": 1}
    sizes = {"less_spend": 0.5, "fewer_orders": 0.5}
    assert [codes(rows) for rows in reasons_of((smaller, sizes), (fewer, sizes))] == [["less_spend"], ["fewer_orders"]]


def test_a_single_order_is_a_reason_only_where_customers_usually_have_several(reasons_of):
    once = {"order_count_lifetime": 1, "order_day_count_lifetime": 1, "mean_days_between_orders": None, **LATE}
    once = {name: value for name, value in once.items() if value is not None} | {"mean_days_between_orders": np.nan}
    one = (once, {"one_order": 0.5, "overdue": 0.5})
    first, *_ = reasons_of(one, ({}, {}), ({}, {}))
    assert [(row["code"], row["contribution"], row["days_ago"]) for row in first] == [("one_order", 1.0, 93)]
    assert reasons_of(one, one, one) == [[], [], []], "nobody has more, and nobody's rhythm is known"


def test_a_model_that_explains_nothing_gives_no_reasons(reasons_of, view):
    assert reasons_of((LATE, {})) == [[]]
    nothing = Explanation(pa.nulls(0), (), np.zeros((0, 1)))
    assert (
        reason_rows(view, CHURN, pa.table({"customer_id": pa.array([], pa.string())}), pa.table({}), nothing).num_rows
        == 0
    )


class Additive:
    """Explains forecasts by the values of two columns and a level."""

    def contributions(self, table):
        values = np.column_stack([table["a"].to_numpy(), -table["a"].to_numpy(), table["a"].to_numpy() / 2])
        return ("overdue_ratio", "days_since_last_order", "favourite_category=tea"), values


def test_contributions_are_added_up_within_a_code_whatever_the_blocks_are():
    rows = pa.table({"a": np.linspace(-1, 2, 7)})
    whole, blocks = (explain(Additive(), rows, REASON_CODES, block_rows=size) for size in (100, 2))
    assert whole.moved_most.equals(blocks.moved_most)
    assert np.array_equal(whole.by_code, blocks.by_code)
    names = ("overdue_ratio", "refund_count_30_days", "days_since_last_order", "favourite_category=tea")
    [sums] = sums_by_code(names, np.array([[0.5, -0.2, 0.25, 0.3]]), REASON_CODES)
    assert (sums[PLACE["overdue"]], sums[PLACE["returns"]]) == (0.75, -0.2)
    assert sums[-1] == 0.3, "a favourite category is never a reason"
    assert sums.sum() == pytest.approx(0.85)


def test_contributions_are_against_those_who_are_likely_to_stay(reasons_of):
    """Among customers long gone 50 days of silence speak for staying; against those who stay they do not."""
    silent = (LATE, {"overdue": -0.5})
    first, _, _ = reasons_of(silent, ({}, {"overdue": -2.0}), ({}, {"overdue": -3.0}), probability=[0.9, 0.1, 0.1])
    assert [(row["code"], row["contribution"]) for row in first] == [("overdue", 2.0)]
