from datetime import UTC, datetime, timedelta

from patron.measure.decision_outcomes import windows


def test_a_window_ends_where_the_next_offers_begin():
    first = datetime(2024, 1, 1, tzinfo=UTC)
    runs = [("a", first), ("b", first + timedelta(days=7)), ("c", first + timedelta(days=60))]
    rows = windows(runs, first + timedelta(days=70), window_days=28, history_days=69).to_pylist()
    assert [(row["until"] - row["decided_at"]).days for row in rows] == [7, 28, 28]
    assert [row["is_measured"] for row in rows] == [False, True, False]  # too old, over, still running
