"""What charts of value show: tables that add up, agree with the models they come from, and say what they are about."""

import itertools
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from patron.clv import BetaGeo, ParetoNBD, diagnostics, rfm
from patron.clv.beta_geo import FittedBetaGeo
from patron.clv.beta_geo_beta_binom import FittedBetaGeoBetaBinom
from patron.clv.maximum_likelihood import Estimates
from patron.clv.pareto_nbd import FittedParetoNBD

PARETO = FittedParetoNBD(Estimates({"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}, unit="W"))
BETA_GEO = FittedBetaGeo(Estimates({"r": 0.25, "alpha": 4.4, "a": 0.8, "b": 2.4}, unit="W"))
PERIODS = FittedBetaGeoBetaBinom(Estimates({"alpha": 1.2, "beta": 0.75, "gamma": 0.65, "delta": 2.8}))
ORDERS = ["1997-01-01", "1997-01-11", "1997-01-11", "1997-04-16"]


def shop(count=6000, until="1997-12-30", seed=3):
    """Orders of customers who came in a quarter and behave as Pareto/NBD has it, in whole days."""
    rng = np.random.default_rng(seed)
    start, end = np.datetime64("1997-01-01"), np.datetime64(until)
    first = rng.integers(0, 90, count)
    ages = ((end - start).astype(int) - first) / 7
    steps = [(np.arange(count), np.zeros(count)), *PARETO.draw_orders(ages, rng)]
    who, weeks = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    later = weeks * 7
    days = start + (first[who] + np.ceil(later).astype(int)).clip(max=(end - start).astype(int))
    return pa.table({"customer_id": who, "ordered_at": pa.array(days), "value": np.full(len(who), 10.0)})


@pytest.mark.parametrize("fitted", [PARETO, BETA_GEO, PERIODS], ids=lambda one: one.kind)
def test_the_matrix_says_what_the_model_says_of_each_history(fitted):
    table = diagnostics.frequency_recency(fitted, 13, T=39, most_frequency=5)
    one = table.filter(pa.array((table["frequency"].to_numpy() == 3) & (table["recency"].to_numpy() == 30.0)))
    summary = pa.table({"frequency": [3.0], "recency": [30.0], "T": [39.0]})
    assert one["probability_alive"].to_pylist() == fitted.probability_alive(summary).tolist()
    assert one["expected_orders"].to_pylist() == fitted.expected_purchases(summary, 13).tolist()
    assert table.slice(0, 1).select(["frequency", "recency"]).to_pylist() == [{"frequency": 0, "recency": 0.0}]
    assert diagnostics.metadata_of(table) == {"horizon": "13", "age": "39"} | ({"unit": "W"} if fitted.unit else {})


def test_a_matrix_has_few_recencies_however_long_the_time():
    table = diagnostics.frequency_recency(PARETO, 13, T=730.5, most_frequency=2)
    assert table.num_rows == 1 + 2 * 40
    assert table["recency"].to_numpy().max() == 730.5
    with pytest.raises(ValueError, match="leave nothing to show"):
        diagnostics.frequency_recency(PARETO, 13, T=0)


def test_alive_falls_while_no_order_comes_and_jumps_when_one_does():
    table = diagnostics.alive_over_time(PARETO, ORDERS, "1997-12-31")
    rows = table.to_pylist()
    assert [row["at"].date().isoformat() for row in rows if row["is_order"]] == sorted(set(ORDERS))
    assert rows[0]["is_order"]
    assert rows[-1]["at"] == datetime(1997, 12, 31, tzinfo=UTC)
    for before, after in itertools.pairwise(rows):
        rises = after["probability_alive"] > before["probability_alive"]
        assert rises == after["is_order"]
    assert [row["frequency"] for row in rows if row["is_order"]] == [0, 1, 2]


def test_alive_at_the_end_is_what_the_summary_of_the_same_orders_gives():
    orders = pa.table({"customer_id": ["a"] * 4, "ordered_at": [date.fromisoformat(day) for day in ORDERS]})
    summary = rfm(orders, until="1997-09-30", value=None)
    for fitted in (PARETO, BETA_GEO):
        table = diagnostics.alive_over_time(fitted, ORDERS, "1997-09-30")
        assert table["probability_alive"][-1].as_py() == pytest.approx(fitted.probability_alive(summary)[0], rel=1e-12)


def test_one_customer_needs_an_order_and_a_unit_of_time():
    for view in (diagnostics.alive_over_time, lambda *args: diagnostics.forecast_fan(*args, 13)):
        with pytest.raises(ValueError, match="no order by 1996-12-31"):
            view(PARETO, ORDERS, "1996-12-31")
        with pytest.raises(ValueError, match="without a unit"):
            view(PERIODS, ORDERS, "1997-12-31")


def test_days_of_a_model_in_days_are_those_of_one_in_weeks():
    days = FittedParetoNBD(Estimates({"r": 0.55, "alpha": 74.2, "s": 0.6, "beta": 81.9}))
    daily = diagnostics.alive_over_time(days, ORDERS, "1997-09-30", unit="D")["probability_alive"].to_pylist()
    assert daily == pytest.approx(
        diagnostics.alive_over_time(PARETO, ORDERS, "1997-09-30")["probability_alive"].to_pylist()
    )


def test_a_fan_begins_at_the_orders_so_far_and_its_quantiles_hold_their_share():
    rows = diagnostics.forecast_fan(PARETO, ORDERS, "1997-04-30", 26).to_pylist()
    past, ahead = (
        [row for row in rows if row["orders"] is not None],
        [row for row in rows if row["orders"] is None],
    )
    assert [row["orders"] for row in past] == [1, 2, 3, 3]
    assert ahead[0]["ahead"] == 0
    assert all(ahead[0][name] == 3 for name in ("expected", *diagnostics.FAN))
    for row in ahead:
        ends = [row[name] for name in diagnostics.FAN]
        assert ends == sorted(ends)
    summary = pa.table({"frequency": [2.0], "recency": [15.0], "T": [17.0]})
    assert ahead[-1]["expected"] == pytest.approx(3 + PARETO.expected_purchases(summary, 26)[0])
    chances = np.cumsum(PARETO.purchase_count_distribution(summary, 26, most=60)[0])
    for name, quantile in diagnostics.FAN.items():
        count = int(ahead[-1][name]) - 3
        assert chances[count] >= quantile
        assert count == 0 or chances[count - 1] < quantile


def test_a_fan_of_somebody_who_orders_very_often_is_not_cut_off():
    days = [date.fromordinal(date(1997, 1, 1).toordinal() + n) for n in range(120)]
    last = diagnostics.forecast_fan(PARETO, days, "1997-04-30", 26).to_pylist()[-1]
    assert 130 < last["low_80"] < last["expected"] < last["high_50"] < last["high_80"] < 300


def test_tracking_adds_up_and_the_truth_tracks_what_came():
    orders = shop()
    summary = rfm(orders, until="1997-07-01", value=None)
    rows = diagnostics.tracking(PARETO, summary, orders, until="1997-12-30").to_pylist()
    came, expected = (np.array([row[name] for row in rows]) for name in ("orders", "expected"))
    assert np.cumsum(came).tolist() == [row["orders_so_far"] for row in rows]
    assert np.cumsum(expected) == pytest.approx([row["expected_so_far"] for row in rows])
    whole = rfm(orders, until=rows[-1]["at"], value=None)
    assert came.sum() == whole["frequency"].to_numpy().sum()
    # Orders of a customer hang together: the variance of their number is a few times the number.
    assert abs(came.sum() - expected.sum()) < 4 * np.sqrt(5 * expected.sum())
    assert [row["is_holdout"] for row in rows].index(True) == 26
    assert (rows[0]["at"] - datetime(1997, 1, 7, tzinfo=UTC)).days == 0


def test_tracking_counts_repeat_orders_of_the_summarys_customers_once_a_day():
    first = [date(1997, 1, 1)] * 12
    orders = pa.table(
        {
            "who": [f"c{n}" for n in range(12)] + ["c0", "c0", "c1", "c1", "stranger", "c2"],
            "on": first
            + [date(1997, 1, 8), date(1997, 1, 8), date(1997, 1, 9), date(1997, 3, 1)]
            + [date(1997, 1, 9)] * 2,
            "paid": [5.0] * 17 + [-5.0],
        }
    )
    summary = rfm(orders.slice(0, 12), until="1997-01-07", customer="who", time="on", value="paid")
    names = {"customer": "who", "time": "on", "value": "paid"}
    table = diagnostics.tracking(PARETO, summary, orders, until="1997-01-22", **names)
    assert table["orders"].to_pylist() == [0, 2, 0]
    assert table["is_holdout"].to_pylist() == [False, True, True]
    assert diagnostics.metadata_of(table) == {"unit": "W", "fitted_until": "1997-01-07", "customers": "12"}
    with pytest.raises(ValueError, match="no column ordered_at"):
        diagnostics.tracking(PARETO, summary, orders, until="1997-01-22", customer="who", value=None)
    with pytest.raises(ValueError, match="first_at"):
        diagnostics.tracking(PARETO, summary.drop_columns(["first_at"]), orders, until="1997-01-22", **names)


def test_calibration_is_the_means_of_tenths():
    forecast = np.arange(100.0)
    table = diagnostics.calibration_by_decile(forecast[::-1] + 1, forecast[::-1])
    assert table["forecast_mean"].to_pylist() == [4.5 + 10 * n for n in range(10)]
    assert table["actual_mean"].to_pylist() == [5.5 + 10 * n for n in range(10)]
    half = 1.959964 * np.std(np.arange(10), ddof=1) / np.sqrt(10)
    assert table["actual_high"].to_pylist() == pytest.approx([5.5 + 10 * n + half for n in range(10)])
    assert diagnostics.calibration_by_decile([3.0], [1.0])["actual_low"].to_pylist() == [None]
    for actual, forecast in (([], []), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="customers and"):
            diagnostics.calibration_by_decile(actual, forecast)
    with pytest.raises(ValueError, match="1 values are missing"):
        diagnostics.calibration_by_decile([float("nan")], [1.0])


def test_lorenz_knows_equality_and_its_opposite():
    same = diagnostics.lorenz(pa.array([3, 3, 3, 3]))
    assert same["share_of_value"].to_pylist() == pytest.approx(same["share_of_customers"].to_pylist())
    assert float(diagnostics.metadata_of(same)["gini"]) == pytest.approx(0)
    one = diagnostics.lorenz(np.append(np.zeros(99), 5.0))
    assert float(diagnostics.metadata_of(one)["gini"]) == pytest.approx(0.99)
    assert one["share_of_value"].to_pylist()[:-1] == pytest.approx([0.0] * 100)
    with pytest.raises(ValueError, match="add up to 0"):
        diagnostics.lorenz([0.0, 0.0])


def test_a_lorenz_curve_encloses_its_gini_and_that_of_a_forecast():
    rng = np.random.default_rng(1)
    values = rng.lognormal(3, 1, 5000)
    noisy = values * rng.lognormal(0, 1, 5000)
    table = diagnostics.lorenz(values, by=noisy)
    for column, expected in (
        ("share_of_value", float(diagnostics.metadata_of(table)["gini"])),
        (
            "share_of_value_by_forecast",
            float(diagnostics.metadata_of(table)["gini"]) * float(diagnostics.metadata_of(table)["normalised_gini"]),
        ),
    ):
        held = table[column].to_numpy()
        assert 1 - 2 * np.trapezoid(held, dx=0.01) == pytest.approx(expected, abs=2e-3)
    assert float(diagnostics.metadata_of(diagnostics.lorenz(values, by=values))["normalised_gini"]) == pytest.approx(1)
    assert abs(float(diagnostics.metadata_of(diagnostics.lorenz(values, by=rng.random(5000)))["normalised_gini"])) < 0.1
    with pytest.raises(ValueError, match="5000 customers and 2 forecasts"):
        diagnostics.lorenz(values, by=[1.0, 2.0])


def test_cohorts_count_customers_in_months_that_are_over():
    orders = pa.table(
        {
            "customer_id": ["a", "a", "a", "b", "b", "c", "d"],
            "ordered_at": pa.array(
                ["1997-01-01", "1997-01-31", "1997-03-01", "1997-01-10", "1997-02-10", "1997-02-28", "1997-04-05"]
            ).cast(pa.timestamp("us")),
        }
    )
    rows = diagnostics.cohorts(orders, until="1997-04-05").to_pylist()
    assert [(row["cohort"], row["age"], row["customer_count"], row["share"]) for row in rows] == [
        ("1997-01", 0, 2, 1.0),
        ("1997-01", 1, 2, 0.5),
        ("1997-01", 2, 2, 0.5),
        ("1997-02", 0, 1, 1.0),
        ("1997-02", 1, 1, 0.0),
    ]
    assert diagnostics.cohorts(orders, until="1997-02-28")["cohort"].to_pylist() == ["1997-01", "1997-01", "1997-02"]
    assert diagnostics.cohorts(orders, until="1996-01-01").num_rows == 0


def test_cdnow_is_tracked_and_ranked_as_published(real_data):
    orders = pq.read_table(real_data("cdnow_master.parquet")).rename_columns({"date": "ordered_at"})
    summary = rfm(orders, until="1997-09-30", holdout_until="1998-06-30")
    for model, gini in ((BetaGeo, 0.663), (ParetoNBD, 0.673)):
        fitted = model().fit(summary)
        forecast = fitted.expected_purchases(summary, 39)
        ranked = diagnostics.metadata_of(diagnostics.lorenz(summary["frequency_holdout"], by=forecast))
        assert float(ranked["normalised_gini"]) == pytest.approx(gini, abs=1e-3)
        tracked = diagnostics.tracking(fitted, summary, orders, until="1998-06-30")
        assert tracked.num_rows == 78
        assert tracked["is_holdout"].to_pylist().count(True) == 39
        assert tracked["orders_so_far"][38].as_py() == summary["frequency"].to_numpy().sum()
