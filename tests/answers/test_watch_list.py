"""The watch list holds those who are likely to leave, by what the shop stands to lose."""

import pytest

from patron.answers.watch_list import watch_list

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


def test_everybody_with_something_at_risk_who_is_likelier_than_average_to_leave_is_on_it(
    listed, churn, stage, rows_of_last
):
    mean = sum(row["value"] for row in churn.values()) / len(churn)
    expected = {
        row["customer_id"]
        for row in rows_of_last("value_at_risk")
        if stage[row["customer_id"]] == "at_risk" or row["churn_probability"] > mean
    }
    assert {one.customer_id for one in listed} == expected
    assert len(listed) == len(expected) < len(churn)
    assert any(one.lifecycle_stage == "at_risk" and one.churn_probability < mean for one in listed)
    assert any(one.lifecycle_stage != "at_risk" for one in listed)


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
    assert {one.action for one in listed} == {None, "none", "ten_percent"}


def test_where_nothing_is_forecast_nobody_is_watched(snapshot_of):
    assert watch_list(snapshot_of()) == ()
