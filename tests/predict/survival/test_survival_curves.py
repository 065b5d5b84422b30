"""Curves that follow from the churn forecast and hazards: what they never contradict, and what they may not know."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from leaving_shop import CUSTOMERS, HISTORY_DAYS, RUN, START, order_times, write_shop

from patron.predict.survival import build_survival_curves
from patron.predict.survival.hazard_backtest import backtest_hazards, fit_learner
from patron.predict.survival.landmarks import FEATURES, read_landmarks
from patron.predict.survival.survival_curves import expected_days
from patron.schema.errors import NotEnoughData
from patron.schema.json_files import read_json
from patron.schema.models.survival import HORIZONS_DAYS
from patron.storage.runs.runs import Run
from patron.tabular.hazards import FittedHazards


@pytest.fixture(scope="module")
def curves(view):
    build_survival_curves(view)
    rows = view.read("survival_curves").to_pylist()
    by_customer = {}
    for row in sorted(rows, key=lambda row: row["horizon_days"]):
        by_customer.setdefault(row["customer_id"], []).append(row)
    return by_customer


def test_the_curve_at_90_days_is_the_churn_forecast_exactly(curves, churn):
    assert len(curves) > 40
    for customer, rows in curves.items():
        assert rows[0]["horizon_days"] == 90
        assert rows[0]["probability_active"] == 1 - churn[int(customer[1:])]


def test_a_curve_never_rises_and_no_customer_is_expected_to_stay_longer_than_the_time(curves):
    for rows in curves.values():
        assert [row["horizon_days"] for row in rows] == list(HORIZONS_DAYS)
        chances = [row["probability_active"] for row in rows]
        assert all(0 <= later <= earlier for earlier, later in pairwise(chances))
        assert rows[0]["expected_days"] is None
        for before, row in pairwise(rows):
            of_days = row["horizon_days"] - 90
            assert (
                row["probability_active"] * of_days <= row["expected_days"] <= rows[0]["probability_active"] * of_days
            )
            assert row["expected_days"] > (before["expected_days"] or 0)


def test_only_customers_with_an_order_in_the_last_90_days_have_a_curve(curves):
    last = {}
    for customer, at in order_times():
        last[f"c{customer:03d}"] = at
    assert curves.keys() == {who for who, at in last.items() if RUN.as_of - at <= timedelta(days=90)}


def test_hazards_that_beat_the_life_table_tell_who_stays(view, curves):
    backtests = view.read("survival_backtests").to_pylist()
    champion = {row["champion"] for row in backtests}
    assert champion <= {"hazard_trees", "hazard_logistic"}
    gains = [row for row in backtests if row["learner"] in champion and row["metric"] == "log_loss"]
    assert [row["gain_low"] > 0 for row in gains] == [True]
    assert {row["learner"] for row in backtests} == {"hazard_trees", "hazard_logistic", "life_table"}
    kept = {who: rows[-1]["probability_active"] / rows[0]["probability_active"] for who, rows in curves.items()}
    loyal, others = ([share for who, share in kept.items() if int(who[1:]) % 2 == part] for part in (1, 0))
    assert np.mean(loyal) > np.mean(others) + 0.2


def test_forecasts_of_the_backtest_are_near_what_came(view, curves):
    assert curves
    briers = [row for row in view.read("survival_backtests").to_pylist() if row["metric"] == "brier"]
    for row in briers:
        if row["learner"] == row["champion"]:
            noise = np.sqrt(0.25 / (row["customer_count"] / 3))
            assert row["forecast_share"] == pytest.approx(row["actual_share"], abs=3 * noise)


def test_where_nothing_tells_customers_apart_the_life_table_is_used(tmp_path):
    rng, orders = np.random.default_rng(3), []
    for customer in range(CUSTOMERS):
        day = 0.0
        while day < HISTORY_DAYS:  # everybody the same, all the time: gaps decide by chance who pauses
            day += rng.exponential(45)
            orders.append((customer, START + timedelta(days=float(day))))
    view = write_shop(tmp_path / "w", orders, churn=dict.fromkeys(range(CUSTOMERS), 0.1))
    build_survival_curves(view)
    assert set(view.read("survival_backtests")["champion"].to_pylist()) == {"life_table"}
    rows = view.read("survival_curves")
    for days in HORIZONS_DAYS:
        chances = rows.filter(pc.equal(rows["horizon_days"], days))["probability_active"].to_numpy()
        assert np.ptp(chances) < 1e-12
    [version] = set(rows["model_version"].to_pylist())
    kept = view.models_folder / version
    assert read_json(kept / "card.json")["learner"] == "life_table"
    assert FittedHazards.load(kept / "model").model.kind == "baseline"


def test_the_ids_of_customers_and_the_order_of_rows_change_nothing(view, curves, churn, tmp_path):
    def renamed(customer):
        return f"d{(customer * 77 + 13) % CUSTOMERS:03d}"

    other = write_shop(tmp_path / "w", order_times()[::-1], churn=churn, name_of=renamed)
    build_survival_curves(other)
    names = [name for name in other.read("survival_backtests").column_names if name != "run_id"]
    assert other.read("survival_backtests").select(names).equals(view.read("survival_backtests").select(names))
    chances = {(row["customer_id"], row["horizon_days"]): row for row in other.read("survival_curves").to_pylist()}
    for customer, rows in curves.items():
        for row in rows:
            twin = chances[renamed(int(customer[1:])), row["horizon_days"]]
            assert twin["probability_active"] == row["probability_active"]


def test_a_young_shop_has_no_curves(tmp_path, churn):
    run = Run.at(START + timedelta(days=329))
    known = [(customer, at) for customer, at in order_times() if at < run.as_of]
    view = write_shop(tmp_path / "w", known, churn=churn, run=run)
    build_survival_curves(view)
    assert view.read("survival_curves").num_rows == view.read("survival_backtests").num_rows == 0


def test_too_few_leavers_are_said_to_be_too_few(view):
    landmarks = read_landmarks(view, START)
    few = replace(landmarks, rows=landmarks.rows.slice(0, 40), place=landmarks.place[:40])
    with pytest.raises(NotEnoughData, match="too few customers"):
        backtest_hazards(few, HORIZONS_DAYS[1:], seed=1)


def test_a_horizon_that_hardly_anybody_is_observed_for_is_not_checked(view):
    """A shop that grew tenfold after its oldest cutoff: nearly all lifetimes are cut off before the end."""
    landmarks, longest = read_landmarks(view, START), HORIZONS_DAYS[-1] // 30
    oldest, later = (np.flatnonzero(landmarks.back == back) for back in (longest, longest - 1))
    before = np.flatnonzero(landmarks.back > longest)
    at = np.concatenate([*[later] * 10, oldest[:60], before, np.flatnonzero(landmarks.back < longest - 1)])
    grown = replace(landmarks, rows=landmarks.rows.take(pa.array(at)), place=landmarks.place[at])
    assert backtest_hazards(landmarks, HORIZONS_DAYS[1:], seed=1).horizons_days[-1] == HORIZONS_DAYS[-1]
    assert backtest_hazards(grown, HORIZONS_DAYS[1:], seed=1).horizons_days[-1] < HORIZONS_DAYS[-1]


def test_expected_days_are_the_area_under_the_curve():
    stays = np.array([[0.5, 0.25, 0.1]])
    assert expected_days(stays).tolist() == [[0.0, 15.0, 22.5]]


def test_what_is_known_later_changes_no_fit_at_a_past_cutoff(view, tmp_path, churn):
    """The same shop whose last year went otherwise, and one order of the year before that only became known in it."""
    origin = RUN.as_of - timedelta(days=360)
    orders = [(customer, at) for customer, at in order_times() if at < origin]
    late = (0, origin - timedelta(days=15), origin + timedelta(days=5))
    other = write_shop(tmp_path / "w", [*orders, late], churn=churn)
    here, there = (read_landmarks(one, START).known_at(12) for one in (view, other))
    columns = [*FEATURES, "back", "periods", "left"]
    assert here.num_rows > 100
    assert _sorted(here, columns) == _sorted(there, columns)
    for name in ("life_table", "hazard_logistic"):
        tables = [fit_learner(name, landmarks, seed=1).life_table for landmarks in (here, there)]
        assert tables[0].at_risk.tolist() == tables[1].at_risk.tolist()
        assert tables[0].events.tolist() == tables[1].events.tolist()


def _sorted(rows, columns):
    return sorted(repr(tuple(row.values())) for row in rows.select(columns).to_pylist())
