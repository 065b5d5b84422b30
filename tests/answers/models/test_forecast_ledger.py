"""Earlier forecasts against what came, and those that wait: the numbers of the last run."""

from datetime import timedelta

import pytest

from patron.answers.models.forecast_ledger import HORIZONS, forecast_ledger


@pytest.fixture(scope="module")
def ledger(made_shop):
    return forecast_ledger(made_shop)


def test_every_scored_forecast_has_one_entry_in_the_order_of_the_questions(ledger, rows_of_last):
    everybody = [row for row in rows_of_last("forecast_checks") if row["decile"] == 0]
    assert sorted((entry.question, entry.scored_at) for entry in ledger.entries) == sorted(
        (row["question"], row["scored_at"]) for row in everybody
    )
    assert [entry.question for entry in ledger.entries] == [name for name in HORIZONS if name in {"value", "churn"}]


def test_an_entry_was_due_a_horizon_after_its_forecast(ledger):
    assert all(entry.due_at - entry.scored_at == timedelta(days=HORIZONS[entry.question]) for entry in ledger.entries)


def test_the_worst_decile_is_the_one_whose_total_was_furthest_off(ledger, rows_of_last):
    for entry in ledger.entries:
        deciles = [
            row for row in rows_of_last("forecast_checks") if row["question"] == entry.question and row["decile"]
        ]
        off = {row["decile"]: abs(row["forecast_mean"] - row["actual_mean"]) * row["customer_count"] for row in deciles}
        assert off[entry.worst_decile] == max(off.values())


def test_a_bias_within_its_interval_is_not_a_bias(ledger):
    assert [entry.is_biased for entry in ledger.entries] == [False, False]


def test_forecasts_of_runs_that_are_not_due_wait(ledger, rows_of_last):
    scored = {row["question"] for row in rows_of_last("scores")}
    assert {one.question for one in ledger.waiting} == scored & set(HORIZONS) < set(HORIZONS)
    assert all(one.next_due_at > ledger.as_of and one.run_count >= 1 for one in ledger.waiting)
