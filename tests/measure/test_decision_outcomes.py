from datetime import UTC, datetime, timedelta

import pyarrow as pa

from patron.measure.decision_outcomes import as_decision_outcomes, windows


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
    used = {"used_discount_cents": [0, 300, 0], "used_orders": [2, 1, 0], "used_paid_cents": [10_000, 2_700, 0]}
    rows = pa.table({**texts, **flags, **zeros, **used, "action": ["points", "ten", "none"]})
    drawn = pa.table({"decision_id": ["d0", "d1"], "action": ["points", "ten"], "propensity": [0.5, 0.5]})
    found = as_decision_outcomes(rows, drawn, {"points": (5.0, 40.0, 0.07), "ten": (5.0, 0.0, 0.0)})
    assert found.other_cost_cents.round(6).tolist() == [5.0 + 80.0 + 700.0, 5.0, 0.0]
    assert found.discount_cents.tolist() == [0.0, 300.0, 0.0]
