"""The hybrid: counting models corrected by the recent past, on shops whose customers are known."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from patron.clv import Hybrid, rfm
from patron.clv.maximum_likelihood import Estimates
from patron.clv.pareto_nbd import FittedParetoNBD
from patron.schema.errors import NotEnoughData
from patron.schema.models import metrics

START = np.datetime64("2020-01-01")
UNTIL, END = "2020-09-30", "2021-03-31"
WEEKS = 26.0


def shop(count=4000, seed=3, revival=0.0):
    """Orders of customers who join over 13 weeks; some of those who left come back in the last quarter and after."""
    rng = np.random.default_rng(seed)
    truth = FittedParetoNBD(Estimates({"r": 0.6, "alpha": 8.0, "s": 0.7, "beta": 9.0}))
    joined = rng.integers(0, 91, count)
    rows = [(np.arange(count), joined)]
    for who, weeks in truth.draw_orders(np.full(count, 65.0) - joined / 7, rng):
        rows.append((who, joined[who] + np.ceil(weeks * 7)))
    back = rng.random(count) < revival
    for n in np.flatnonzero(back):
        days = np.arange(190 + rng.integers(0, 30), 460, 30)
        rows.append((np.full(len(days), n), days))
    who, day = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    paid = rng.gamma(6.0, 1.0, len(who)) * 5
    return pa.table({"customer_id": [f"c{n}" for n in who], "ordered_at": START + day.astype(int), "value": paid})


@pytest.fixture(scope="module")
def steady():
    orders = shop()
    return orders, Hybrid().fit(orders, until=UNTIL)


def came(orders, fitted):
    summary = rfm(orders, until=UNTIL, holdout_until=END)
    place = {customer: n for n, customer in enumerate(summary["customer_id"].to_pylist())}
    return summary["frequency_holdout"].to_numpy()[[place[customer] for customer in fitted.customers.to_pylist()]]


def test_where_the_models_are_right_it_expects_too_much_and_its_intervals_still_cover(steady):
    """Real customers slow down less than the models say, simulated ones do not: what helps there costs here."""
    orders, fitted = steady
    actual, expected = came(orders, fitted), fitted.expected_purchases(WEEKS)
    assert 0 < metrics.BIAS_SHARE.of(actual, expected) < 0.25
    assert metrics.NORMALISED_GINI.of(actual, expected) > 0.8
    chances = fitted.purchase_count_distribution(WEEKS, most=200)
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(actual)))
    assert chances @ np.arange(201) == pytest.approx(expected, rel=1e-2)
    below = np.column_stack([np.zeros(len(actual)), np.cumsum(chances, axis=1)])
    rows, counts = np.arange(len(actual)), actual.astype(int)
    transform = below[rows, counts] + np.random.default_rng(1).random(len(actual)) * chances[rows, counts]
    assert abs(((transform > 0.1) & (transform < 0.9)).mean() - 0.8) < 0.04


def test_what_the_models_cannot_know_is_learnt_from_the_recent_past():
    """Some customers come back for good: the hybrid sees it, and is nearer than BG/NBD and NBD mixed."""
    orders = shop(revival=0.15)
    fitted = Hybrid().fit(orders, until=UNTIL)
    actual = came(orders, fitted)
    plain = np.maximum(fitted.base.expected(fitted.histories, WEEKS) @ np.array(fitted.weights), 1e-4)
    assert metrics.RMSE.of(actual, fitted.expected_purchases(WEEKS)) < metrics.RMSE.of(actual, plain)


def test_nothing_after_the_end_changes_a_forecast(steady):
    orders, fitted = steady
    known = orders.filter(pa.array(orders["ordered_at"].to_numpy() <= np.datetime64(UNTIL)))
    again = Hybrid().fit(known, until=UNTIL)
    place = {customer: n for n, customer in enumerate(again.customers.to_pylist())}
    order = [place[customer] for customer in fitted.customers.to_pylist()]
    assert np.array_equal(again.expected_purchases(WEEKS)[order], fitted.expected_purchases(WEEKS))


def test_longer_horizons_bring_more_and_money_follows(steady):
    _, fitted = steady
    expected = [fitted.expected_purchases(weeks) for weeks in (4.0, 13.0, 52.0)]
    assert (expected[0] < expected[1]).all()
    assert (expected[1] < expected[2]).all()
    each = fitted.expected_value(13.0) / expected[1]
    assert each.mean() == pytest.approx(30.0, rel=0.1)


def test_refunded_money_lowers_the_expected_value(steady):
    orders, fitted = steady
    place = int(np.argmax(fitted.paid["frequency"].to_numpy()))
    often = fitted.customers[place].as_py()
    days = pa.array(np.array(["2020-09-20"] * 2, dtype="datetime64[D]"))
    back = pa.table({"customer_id": [often] * 2, "ordered_at": days, "value": [-5.0, -6.0]})
    with_refund = Hybrid().fit(pa.concat_tables([orders, back.cast(orders.schema)]), until=UNTIL)
    assert np.array_equal(with_refund.expected_purchases(13.0), fitted.expected_purchases(13.0))
    assert with_refund.customers[place].as_py() == often
    assert with_refund.expected_value(13.0)[place] < fitted.expected_value(13.0)[place]


def test_who_has_only_refunds_is_answered_too_and_changes_nobody_else(steady):
    """They bought before the orders begin, or their only day was netted below zero: customers all the same."""
    orders, fitted = steady
    days = pa.array(np.array(["2020-02-01", "2020-08-01", "2020-08-01"], dtype="datetime64[D]"))
    refunds = pa.table({"customer_id": ["early", "late", "late"], "ordered_at": days, "value": [-5.0, -6.0, -1.0]})
    with_refunds = Hybrid().fit(pa.concat_tables([orders, refunds.cast(orders.schema)]), until=UNTIL)
    assert set(with_refunds.customers.to_pylist()) - set(fitted.customers.to_pylist()) == {"early", "late"}
    expected = dict(zip(with_refunds.customers.to_pylist(), with_refunds.expected_purchases(WEEKS), strict=True))
    value = dict(zip(with_refunds.customers.to_pylist(), with_refunds.expected_value(WEEKS), strict=True))
    assert 0 < expected["early"] < expected["late"]
    assert 0 < value["early"] < value["late"]
    known = [expected[customer] for customer in fitted.customers.to_pylist()]
    assert known == pytest.approx(fitted.expected_purchases(WEEKS), rel=2e-3)


@pytest.mark.parametrize("shape", ["everybody the same", "one who orders daily", "most once"])
def test_extreme_shops_are_fitted_without_a_numerical_warning(shape):
    """Warnings are errors here: counts that are Poisson used to run the spread of the hybrid out of all bounds."""
    rng = np.random.default_rng(7)
    gap = {
        "everybody the same": np.full(600, 14),
        "one who orders daily": np.full(600, 60),
        "most once": np.full(600, 400),
    }
    every = gap[shape]
    every[:3] = 1 if shape == "one who orders daily" else every[:3]
    who = np.repeat(np.arange(600), 300 // every + 1)
    step = np.concatenate([np.arange(300 // one + 1) for one in every])
    day = rng.integers(0, 40, 600)[who] + step * every[who] + rng.integers(0, 3, len(who))
    if shape == "most once":
        who, day = np.append(who, np.arange(9)), np.append(day, np.arange(150, 240, 10))
    orders = pa.table({"customer_id": who, "ordered_at": START + day, "value": np.ones(len(who))})
    fitted = Hybrid().fit(orders, until=UNTIL)
    chances = fitted.purchase_count_distribution(13.0, most=100)
    assert np.isfinite(fitted.expected_purchases(13.0)).all()
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(chances)))
    assert len(fitted.customers) == 600


@pytest.mark.parametrize("until", ["2011-03-31", "2011-12-09"])
def test_every_customer_of_online_retail_is_answered_without_a_warning(real_data, until):
    lines = pq.read_table(
        real_data("online_retail_2010_2011.parquet"), columns=["CustomerID", "InvoiceDate", "Quantity", "UnitPrice"]
    )
    lines = lines.filter(pc.is_valid(lines["CustomerID"]))
    value = pc.multiply(lines["Quantity"].cast("float64"), lines["UnitPrice"])
    orders = pa.table({"customer_id": lines["CustomerID"], "ordered_at": lines["InvoiceDate"], "value": value})
    fitted = Hybrid().fit(orders, until=until)
    known = orders.filter(
        pc.less(orders["ordered_at"].cast(pa.date32()), pa.scalar(date.fromisoformat(until) + timedelta(1)))
    )
    assert set(fitted.customers.to_pylist()) == set(known["customer_id"].to_pylist())
    for answer in (fitted.expected_purchases(13.0), fitted.expected_value(13.0)):
        assert np.isfinite(answer).all()


def test_a_shop_to_which_nobody_came_back_is_refused():
    orders = pa.table({"customer_id": np.arange(200), "ordered_at": START + np.arange(200), "value": np.ones(200)})
    with pytest.raises(NotEnoughData, match="nobody came back"):
        Hybrid().fit(orders, until=UNTIL)


def test_a_short_history_and_missing_columns_are_refused():
    orders = shop(300)
    with pytest.raises(NotEnoughData, match="orders of 40 days, and 84 are needed"):
        Hybrid().fit(orders, until="2020-02-09")
    with pytest.raises(ValueError, match="no column when"):
        Hybrid().fit(orders, until=UNTIL, time="when")
