"""Warnings counted by hand, and one rule that knows who leaves."""

from datetime import timedelta

import numpy as np
import pytest
from leaving_shop import CUSTOMERS, RUN, START, order_times, table_of, write_shop

from patron.estimators.bootstrap import bootstrap_weights
from patron.predict.survival.early_warnings import SHARES, Forecasts, build_early_warnings, warning_rows


def forecasts(customers, has_left, days, churn):
    rng = np.random.default_rng(1)
    customers, days = np.array(customers), np.array(days, dtype=float)
    weights = np.vstack([np.ones(len(customers)), bootstrap_weights(customers, rng=rng, resamples=100)])
    by_rule = {"churn": np.array(churn, dtype=float), "days_since_last_order": days}
    return Forecasts(customers, np.array(has_left, dtype=bool), days, by_rule, weights)


def test_a_customer_is_warned_of_once_at_the_first_cutoff_that_picks_them():
    found = forecasts([0, 1, 0, 1], [0, 0, 1, 0], [10, 5, 40, 5], [0.9, 0.1, 0.8, 0.2])
    assert found.first_warnings("churn", 0.5).tolist() == [0]
    assert found.first_warnings("churn", 0.75).tolist() == [0, 3]


def test_a_rule_that_knows_who_leaves_is_right_and_early():
    has_left = np.arange(200) < 20
    days = np.where(has_left, 10, 60)  # those who leave ordered lately: the simple rule picks the others
    found = {(row["rule"], row["share"]): row for row in warning_rows(forecasts(range(200), has_left, days, has_left))}
    assert {share for _, share in found} == set(SHARES)
    best, simple = found["churn", 0.1], found["days_since_last_order", 0.1]
    assert (best["precision"], best["low"], best["high"]) == (1, 1, 1)
    assert (best["lead_low_days"], best["lead_days"], best["lead_high_days"]) == (80, 80, 80)
    assert best["leavers_warned_share"] == 1
    assert best["base_rate"] == 0.1
    assert (best["gain"], best["gain_low"]) == (1, 1)
    assert (simple["precision"], simple["lead_days"], simple["gain"]) == (0, None, None)


def test_chance_is_right_as_often_as_everybody_leaves():
    rng = np.random.default_rng(2)
    has_left = rng.random(4000) < 0.2
    found = warning_rows(forecasts(range(4000), has_left, rng.uniform(0, 90, 4000), rng.random(4000)))
    for row in found:
        assert row["low"] - 0.03 < row["base_rate"] < row["high"] + 0.03
        assert row["low"] < row["precision"] < row["high"]


@pytest.fixture(scope="module")
def warned(tmp_path_factory):
    """Past forecasts of a shop, by one who knows which half leaves, at three cutoffs."""
    shop_view = write_shop(tmp_path_factory.mktemp("warnings") / "w", order_times(), churn={})
    cutoffs = [START + timedelta(days=days) for days in (300, 330, 360)]
    past = [
        {"run_id": RUN.run_id, "customer_id": f"c{customer:03d}", "as_of": as_of, "question": "churn"}
        | {"value": 0.2 if customer % 2 else 0.7}
        for as_of in cutoffs
        for customer in range(CUSTOMERS)
    ]
    shop_view.write("past_forecasts", table_of("past_forecasts", past))
    build_early_warnings(shop_view)
    return shop_view.read("early_warnings").to_pylist(), cutoffs


def test_the_run_counts_customers_who_were_active_and_what_became_of_them(warned):
    rows, cutoffs = warned
    outcomes = {}
    for as_of in cutoffs:
        days = {}
        for customer, at in order_times():
            days.setdefault(customer, []).append((at - as_of).total_seconds() / 86400)
        active = [who for who, ats in days.items() if any(-90 <= day < 0 for day in ats)]
        outcomes |= {(who, as_of): not any(0 <= day < 90 for day in days[who]) for who in active}
    assert {row["customer_count"] for row in rows} == {len({who for who, _ in outcomes})}
    assert {row["leaver_count"] for row in rows} == {len({who for (who, _), left in outcomes.items() if left})}
    assert [row["base_rate"] for row in rows] == pytest.approx([np.mean(list(outcomes.values()))] * len(rows))
    best = next(row for row in rows if (row["rule"], row["share"]) == ("churn", 0.2))
    assert best["precision"] > best["base_rate"]
    assert 0 < best["lead_low_days"] <= best["lead_days"] <= best["lead_high_days"] <= 90


def test_without_forecasts_at_past_cutoffs_there_are_no_warnings(tmp_path):
    view = write_shop(tmp_path / "w", order_times()[:50], churn={})
    build_early_warnings(view)
    assert view.read("early_warnings").num_rows == 0
