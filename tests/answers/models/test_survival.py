"""How long customers stay, as pages read it."""

from datetime import UTC, datetime, timedelta

import pytest

from patron.answers.models.survival import customer_survival, survival

FIRST = datetime(2023, 6, 1, 15, tzinfo=UTC)


def curve(run, customer="a", days=(90, 180), shares=(0.8, 0.5)):
    return [
        {"run_id": run.run_id, "customer_id": customer, "horizon_days": horizon, "probability_active": share}
        | {"mean_probability_active": 0.6, "expected_days": None if horizon == 90 else 72.0}
        | {"model_version": f"survival/{run.run_id}"}
        for horizon, share in zip(days, shares, strict=True)
    ]


def backtest(run, learner, metric="brier", days=180, champion="hazard_logistic"):
    row = {"run_id": run.run_id, "origin": "2023-12-04", "learner": learner, "champion": champion, "metric": metric}
    return row | {"horizon_days": days, "value": 0.2, "customer_count": 100, "leaver_count": 30, "actual_share": 0.7}


def warning(run, rule, share):
    row = {"run_id": run.run_id, "rule": rule, "share": share, "warned_count": 9, "precision": 0.5, "low": 0.4}
    numbers = {"high": 0.6, "base_rate": 0.1, "leavers_warned_share": 0.3, "lead_days": 20.0}
    return row | numbers | {"customer_count": 90, "leaver_count": 20}


@pytest.fixture
def view(snapshot_of, this_run):
    order = {"customer_id": "a", "is_identified": True, "order_id": "o", "occurred_at": FIRST, "known_at": FIRST}
    order |= dict.fromkeys(("line_count", "product_count", "unit_count"), 1)
    order |= dict.fromkeys(("gross_cents", "discount_cents", "paid_cents", "local_hour", "local_weekday"), 1)
    return snapshot_of(
        orders=[order | {"has_coupon": False, "local_day": 19509}],
        survival_curves=curve(this_run) + curve(this_run, "b"),
        survival_backtests=[
            backtest(this_run, learner, metric)
            for learner in ("hazard_trees", "life_table", "hazard_logistic")
            for metric in ("brier", "log_loss")
        ],
        early_warnings=[
            warning(this_run, rule, share) for share in (0.1, 0.02) for rule in ("days_since_last_order", "churn")
        ],
    )


def test_a_curve_has_its_dates_and_says_from_when_on_later_horizons_are_known(view, this_run):
    found = customer_survival(view, "a", this_run.as_of - timedelta(days=5))
    assert [(point.horizon_days, point.probability_active) for point in found.points] == [(90, 0.8), (180, 0.5)]
    assert [point.at for point in found.points] == [this_run.as_of + timedelta(days=days) for days in (90, 180)]
    assert (found.is_active, found.expected_days, found.of_days) == (True, 72.0, 90)
    # first order + 150 days + the horizon, at the next midnight
    assert [(later.horizon_days, later.ready_at) for later in found.later] == [
        (270, datetime(2024, 7, 26, tzinfo=UTC)),
        (360, datetime(2024, 10, 24, tzinfo=UTC)),
    ]


def test_a_customer_without_an_order_in_90_days_has_no_curve_and_one_without_any_is_not_spoken_of(view, this_run):
    found = customer_survival(view, "c", this_run.as_of - timedelta(days=91))
    assert (found.is_active, found.points, found.expected_days) == (False, (), None)
    assert customer_survival(view, "c", None) is None


def test_the_learner_that_is_used_comes_first_and_the_life_table_is_next_to_it(view):
    found = survival(view)
    assert found.champion == "hazard_logistic"
    assert [row.learner for row in found.backtests][::2] == ["hazard_logistic", "hazard_trees", "life_table"]
    ((used, baseline),) = found.by_horizon
    assert (used.learner, baseline.learner, used.horizon_days) == ("hazard_logistic", "life_table", 180)
    assert [(row.share, row.rule) for row in found.warnings] == [
        (share, rule) for share in (0.02, 0.1) for rule in ("churn", "days_since_last_order")
    ]


def test_horizons_that_are_old_enough_but_were_not_checked_wait_for_leavers_not_for_a_date(snapshot_of, this_run):
    early = this_run.as_of - timedelta(days=600)
    order = {"customer_id": "a", "is_identified": True, "order_id": "o", "occurred_at": early, "known_at": early}
    order |= dict.fromkeys(("line_count", "product_count", "unit_count"), 1)
    order |= dict.fromkeys(("gross_cents", "discount_cents", "paid_cents", "local_hour", "local_weekday"), 1)
    found = survival(snapshot_of(orders=[order | {"has_coupon": False, "local_day": 1}]))
    assert found.champion is None
    assert [(later.horizon_days, later.ready_at) for later in found.later] == [(180, None), (270, None), (360, None)]
