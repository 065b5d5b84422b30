"""Forecasts of earlier trainings make the effect of thresholds by group measurable, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from leaving_shop import table_of, write_shop

from patron import decide
from patron.decide.fair_churn import judge_churn, read_past_churn
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

NOW = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CUSTOMERS = 150
RATES = -np.log(np.random.default_rng(3).uniform(0.05, 0.95, CUSTOMERS)) / 90
"""Orders a day; exp(-90 x rate) is the probability of none in 90 days."""
GROUPS = {"gender": {f"c{customer:03d}": "ab"[customer % 2] for customer in range(CUSTOMERS)}}


def order_times():
    rng = np.random.default_rng(4)
    for customer, rate in enumerate(RATES):
        yield customer, NOW - 500 * DAY
        day = rng.exponential(1 / rate)
        while day < 500:
            yield customer, NOW - (500 - day) * DAY
            day += rng.exponential(1 / rate)


def past_rows(run, shift=0.4):
    """What a training forecast at its three cutoffs: too low for group b by the shift."""
    for cutoff in (90, 120, 150):
        for customer, rate in enumerate(RATES):
            value = np.clip(np.exp(-90 * rate) - shift * (customer % 2), 0, 1)
            keys = {"run_id": run.run_id, "customer_id": f"c{customer:03d}", "as_of": run.as_of - cutoff * DAY}
            yield keys | {"question": "churn", "value": float(value)}


def training_row(run, trained):
    reason = "due" if run == trained else "recent"
    return {"run_id": run.run_id, "question": "churn", "trained_run_id": trained.run_id} | {
        "trained_at": trained.as_of,
        "reason": reason,
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("past") / "w"
    write_shop(folder, list(order_times()), churn={})
    shop = Shop.open(folder)
    yield shop
    shop.close()


def past_of(shop, trainings, *, as_of=NOW, unknown=()):
    """Past churn of a run that uses the latest of trainings, by days ago and shift."""
    run, runs = Run.at(as_of), {Run.at(NOW - days * DAY): shift for days, shift in trainings.items()}
    used = max((one for one in runs if one.as_of <= as_of), key=lambda one: one.as_of)
    write = {
        "trainings": [training_row(one, one) for one in runs] + [training_row(run, used)] * (run not in runs),
        "past_forecasts": [row for one, shift in runs.items() for row in past_rows(one, shift)],
        "features": [
            {"run_id": run.run_id, "customer_id": name, "as_of": as_of, "feature_version": "1"}
            for name in GROUPS["gender"]
            if name not in unknown
        ],
    }
    for name, rows in write.items():
        table = table_of(name, rows)
        shop.lake.replace(BY_NAME[name], table)
    return read_past_churn(shop.view(decide.READS, decide.WRITES, run=run))


def days_ago(past, which):
    return sorted({(NOW - at.astype("datetime64[s]").item().replace(tzinfo=UTC)).days for at in past.cutoffs[which]})


def judge(past, policy, **fairness):
    usual = {"sensitive_traits": ["gender"], "mitigation": "group_thresholds", "fewest_customers": 20}
    changed = policy(fairness=usual | fairness)
    return judge_churn(past, GROUPS, changed, rng=np.random.default_rng(0))


def is_measured(churn):
    return any(row.mitigation == "group_thresholds" and row.metric == "true_positive_rate" for row in churn.rows)


def test_a_refusal_is_lifted_once_three_months_of_trainings_show_that_thresholds_close_the_gap(lake, policy):
    young = judge(past_of(lake, {0: 0.4}), policy)
    assert young.is_refused
    assert young.thresholds["b"] < young.thresholds["a"]
    assert not is_measured(young)
    sixty_days = judge(past_of(lake, {0: 0.4, 30: 0.4, 60: 0.4}), policy)
    assert sixty_days.is_refused, "one of three cutoffs has no threshold that could have been learned there"
    assert not is_measured(sixty_days)
    past = past_of(lake, {0: 0.4, 30: 0.4, 60: 0.4, 90: 0.4})
    usual = judge(past, policy)
    assert is_measured(usual)
    assert not usual.is_refused
    assert judge(past, policy, mitigation="none").is_refused
    before, after = (
        next(
            row
            for row in usual.rows
            if (row.mitigation, row.metric, row.group_name) == (which, "true_positive_rate", "b")
        )
        for which in ("none", "group_thresholds")
    )
    assert before.customer_count == after.customer_count, "the same customers"
    assert before.verdict == "refuse"
    assert abs(after.gap) < 0.1 < abs(before.gap)


def test_a_refusal_stays_where_thresholds_of_the_past_do_not_help(lake, policy):
    changed = judge(past_of(lake, {0: 0.4, 90: 0.0}), policy)  # the forecast was fair before
    assert is_measured(changed)
    assert changed.is_refused


def test_a_refusal_stays_where_too_few_left_to_see_what_thresholds_do(lake, policy):
    past = past_of(lake, {0: 0.4, 90: 0.4})
    assert not judge(past, policy).is_refused
    few = judge(past, policy, fewest_customers=60)  # enough to be calibrated, not of those who left
    assert few.is_refused
    assert not is_measured(few)


def test_a_gap_that_the_latest_training_closed_is_none(lake, policy):
    fixed = judge(past_of(lake, {0: 0.0, 30: 0.4, 60: 0.4, 90: 0.4}), policy)
    assert not fixed.is_refused
    assert not fixed.thresholds


def test_of_a_cutoff_the_newest_training_counts_and_of_many_those_thirty_days_apart(lake):
    past = past_of(lake, dict.fromkeys((0, 30), 0.4) | {1: 0.1, 2: 0.1, 37: 0.3, 400: 0.2})
    assert days_ago(past, past.is_latest) == [90, 120, 150]
    assert days_ago(past, ~past.is_latest) == [180]
    assert len(past.forecast) == 4 * CUSTOMERS
    again = past_of(lake, {0: 0.4, 7: 0.1, 91: 0.2})
    assert days_ago(again, ~again.is_latest) == [181, 211, 241]


def test_a_run_learns_nothing_from_later_trainings_and_forgotten_customers(lake):
    past = past_of(lake, {0: 0.4, 20: 0.3, 110: 0.2}, as_of=NOW - 15 * DAY, unknown=("c007",))
    assert days_ago(past, past.is_latest) == [110, 140, 170]
    assert days_ago(past, ~past.is_latest) == [200, 230, 260]
    assert set(past.customers) == set(GROUPS["gender"]) - {"c007"}
    everybody = replace(past, happened=np.nan_to_num(past.happened, nan=-1))
    assert set(everybody.happened) == {0.0, 1.0}
