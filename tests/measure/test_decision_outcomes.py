from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from patron.measure.campaign_outcomes import campaign_outcomes_query
from patron.measure.decision_outcomes import as_decision_outcomes, outcomes_query, windows
from patron.schema.tables import BY_NAME
from patron.storage.offers.offer_policy import Offer

START = datetime(2024, 1, 1, tzinfo=UTC)
UNTIL = START + timedelta(days=28)
FREE = Offer(
    id="FREE",
    kind="free_delivery",
    cost_per_order_cents=400,
    delivery_free_from=60,
    assumed_purchase_uplift=0.1,
)


def test_a_window_ends_where_the_next_offers_begin():
    first = datetime(2024, 1, 1, tzinfo=UTC)
    runs = [("a", first), ("b", first + timedelta(days=7)), ("c", first + timedelta(days=60))]
    rows = windows(runs, first + timedelta(days=70), window_days=28, history_days=69).to_pylist()
    assert [(row["until"] - row["decided_at"]).days for row in rows] == [7, 28, 28]
    assert [row["is_measured"] for row in rows] == [False, True, False]  # too old, over, still running


def test_an_offer_costs_sending_its_orders_and_the_points_that_they_credit():
    texts = {
        "decision_id": ["d0", "d1", "d2"],
        "run_id": ["r"] * 3,
        "customer_id": ["a", "b", "c"],
        "stratum": ["s"] * 3,
    }
    flags = {"is_holdout": [False] * 3, "is_first": [True] * 3}
    zeros = {name: [0.0] * 3 for name in ("margin_cents", "before_cents", "value_cents", "purchase", "propensity")}
    used = {"used_discount_cents": [0, 300, 0], "charged_orders": [2, 1, 0], "used_paid_cents": [10_000, 2_700, 0]}
    rows = pa.table({**texts, **flags, **zeros, **used, "action": ["points", "ten", "none"]})
    drawn = pa.table({"decision_id": ["d0", "d1"], "action": ["points", "ten"], "propensity": [0.5, 0.5]})
    found = as_decision_outcomes(rows, drawn, {"points": (5.0, 40.0, 0.07), "ten": (5.0, 0.0, 0.0)})
    assert found.other_cost_cents.round(6).tolist() == [5.0 + 80.0 + 700.0, 5.0, 0.0]
    assert found.discount_cents.tolist() == [0.0, 300.0, 0.0]


@pytest.fixture
def query():
    """Query order lines of one customer: an order of 45 and one of 70 in two lines each, one of 80 without a code."""

    def line(order, number, gross, coupon="FREE"):
        at = START + timedelta(days=3)
        numbers = {"gross_cents": gross, "discount_cents": 0, "paid_cents": gross, "is_refund": False}
        times = {"ordered_at": at, "known_at": at}
        return {
            "line_id": f"{order}{number}",
            "customer_id": "a",
            "order_id": order,
            "coupon": coupon,
            **numbers,
            **times,
        }

    lines = [
        *(line("small", number, 2_250) for number in range(2)),
        *(line("large", number, 3_500) for number in range(2)),
        line("plain", 0, 8_000, None),
    ]
    connection = duckdb.connect()
    connection.register("order_lines", pa.Table.from_pylist(lines, schema=BY_NAME["order_lines"].schema()))

    def run(sql, **tables):
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(sql).fetchall(), connection.sql(sql).columns

    return run


def row_of(found):
    rows, names = found
    (row,) = rows
    return dict(zip(names, row, strict=True))


@pytest.mark.parametrize(("free_from", "charged"), [(60, 1), (70, 1), (70.01, 2), (0, 2)])
def test_an_order_that_is_delivered_free_anyway_is_not_charged_to_the_offer(query, free_from, charged):
    offer = FREE.model_copy(update={"delivery_free_from": free_from})
    assigned = pa.table({"customer_id": ["a"], "offer": ["FREE"]})
    of_campaign = row_of(query(campaign_outcomes_query(START, UNTIL, 0.4, [offer]), assigned=assigned))
    decided = {"decision_id": "d", "run_id": "r", "customer_id": "a", "action": "FREE", "reason": "exploring"}
    decisions = pa.Table.from_pylist([decided], schema=BY_NAME["decisions"].schema())
    run_windows = windows([("r", START)], UNTIL, window_days=28, history_days=365)
    scores = BY_NAME["scores"].empty()
    of_run = row_of(query(outcomes_query(0.4, [offer]), decisions=decisions, windows=run_windows, scores=scores))
    for found in (of_campaign, of_run):
        assert (found["order_count"], found["used_orders"], found["charged_orders"]) == (3, 2, charged)
        assert found["used_paid_cents"] == 11_500
