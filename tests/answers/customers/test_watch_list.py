"""The watch list holds those who are likely to leave, by what the shop stands to lose."""

from datetime import timedelta

import pytest

from patron.answers.customers.watch_list import watch_list
from patron.storage.models.model_registry import record_models

EVERYBODY = 10_000


@pytest.fixture(scope="module")
def listed(last):
    return watch_list(last, limit=EVERYBODY)


@pytest.fixture(scope="module")
def churn(rows_of_last):
    return {row["customer_id"]: row for row in rows_of_last("scores") if row["question"] == "churn"}


@pytest.fixture(scope="module")
def stage(rows_of_last):
    return {row["customer_id"]: row["lifecycle_stage"] for row in rows_of_last("segments")}


def test_everybody_at_risk_with_something_to_lose_is_on_it_and_nobody_else(listed, churn, stage, rows_of_last):
    expected = {row["customer_id"] for row in rows_of_last("value_at_risk") if stage[row["customer_id"]] == "at_risk"}
    assert {one.customer_id for one in listed} == expected
    assert 12 < len(listed) == len(expected) < len(churn)


def test_the_most_value_at_risk_comes_first_and_the_list_ends_at_its_limit(last, listed):
    at_risk = [one.value_at_risk_cents for one in listed]
    assert at_risk == sorted(at_risk, reverse=True)
    assert watch_list(last, limit=5) == listed[:5]
    assert len(watch_list(last)) == 12
    assert watch_list(last, limit=0) == ()


def test_value_at_risk_is_usual_spend_times_churn_probability(listed):
    for one in listed:
        assert one.value_at_risk_cents == pytest.approx(one.usual_cents * one.churn_probability)


def test_each_row_says_why_and_what_was_decided(listed, churn, stage, rows_of_last):
    decided = {row["customer_id"]: row["action"] for row in rows_of_last("decisions")}
    last_order = {row["customer_id"]: row["last_order_at"] for row in rows_of_last("customers")}
    for one in listed:
        assert one.churn_probability == churn[one.customer_id]["value"]
        assert list(one.reasons) == churn[one.customer_id]["reasons"]
        assert one.lifecycle_stage == stage[one.customer_id]
        assert one.last_order_at == last_order[one.customer_id]
        assert one.action == decided.get(one.customer_id)
    assert {one.action for one in listed} == {"none", "ten_percent"}


def test_where_nothing_is_forecast_nobody_is_watched(snapshot_of):
    assert watch_list(snapshot_of()) == ()


def test_where_the_champion_knows_the_last_order_only_that_is_the_reason(snapshot_of, order_of, this_run):
    shop_rows = order_of(("late", at(this_run, 80), 900), ("now", at(this_run, 1), 900))
    of_run = {"run_id": this_run.run_id, "as_of": this_run.as_of}
    base = of_run | {"question": "churn", "model_version": "churn/recent"}
    scores = [base | {"customer_id": who, "value": value} for who, value in (("late", 0.9), ("now", 0.1))]
    fives = dict.fromkeys(("recency_score", "frequency_score", "monetary_score", "persona_id"), 1)
    segments = [
        of_run | fives | {"customer_id": who, "lifecycle_stage": stage}
        for who, stage in (("late", "at_risk"), ("now", "at_risk"))
    ]
    at_risk = [
        {"run_id": this_run.run_id, "customer_id": who, "churn_probability": chance}
        | {"usual_cents": 100.0, "value_at_risk_cents": 100.0 * chance}
        for who, chance in (("late", 0.9), ("now", 0.1))
    ]
    view = snapshot_of(scores=scores, segments=segments, value_at_risk=at_risk, **shop_rows)
    assert {row.reasons for row in watch_list(view)} == {()}, "a model nobody knows"
    card = view.folder / "models" / "churn" / "recent" / "card.json"
    card.parent.mkdir(parents=True)
    card.write_text('{"learner": "recency_only"}', encoding="utf-8")
    card.with_name("manifest.json").write_text("{}", encoding="utf-8")
    record_models(view.folder / "models", view.store)
    reasons = {row.customer_id: row.reasons for row in watch_list(view)}
    assert reasons == {"late": ("+days_since_last_order",), "now": ("-days_since_last_order",)}


def at(run, days):
    return run.as_of - timedelta(days=days)
