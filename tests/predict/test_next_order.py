"""The time of the next order from the chances of an order, which never contradict each other."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.predict.purchase.coherent_probabilities import coherent_scores, drawn_below
from patron.predict.purchase.next_order import days_until
from patron.schema.tables import SCORES

HORIZONS = np.array([7.0, 30.0, 90.0])


def test_a_constant_hazard_gives_the_quantiles_of_the_exponential():
    rate = 0.03
    chances = 1 - np.exp(-rate * HORIZONS)[None, :]
    for quantile in (0.1, 0.5, 0.9):
        assert days_until(chances, HORIZONS, quantile)[0] == pytest.approx(-np.log(1 - quantile) / rate)


@pytest.mark.parametrize(
    ("chances", "median"),
    [((0.5, 0.6, 0.7), 7.0), ((0.1, 0.5, 0.7), 30.0), ((0.1, 0.2, 0.49), None), ((0.0, 0.0, 0.0), None),
     ((1.0, 1.0, 1.0), 7 * np.log(2) / -np.log(1e-12)), ((0.2, 0.2, 0.5), 90.0)],
)  # fmt: skip
def test_the_median_is_the_day_by_which_half_have_ordered(chances, median):
    found = days_until(np.array([chances]), HORIZONS, 0.5)[0]
    assert np.isnan(found) if median is None else found == pytest.approx(median)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=20))
def test_quantiles_rise_and_fall_where_the_chances_say(rows):
    chances = np.sort(np.array(rows), axis=1)
    low, median, high = (days_until(chances, HORIZONS, quantile) for quantile in (0.1, 0.5, 0.9))
    assert np.all((low <= median) | np.isnan(median))
    assert np.all((median <= high) | np.isnan(high))
    for at, day in enumerate(HORIZONS):
        clear = np.abs(chances[:, at] - 0.5) > 1e-9
        assert np.array_equal((chances[:, at] > 0.5)[clear], (median <= day)[clear])


def scores(question, **values):
    rows = [
        {"run_id": "r", "customer_id": who, "as_of": None, "question": question, "model_version": "m", "value": value}
        for who, value in values.items()
    ]
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def test_the_longer_horizon_stands_and_the_shorter_is_drawn_below_it():
    tables = [
        scores("value", a=900.0),
        scores("churn", a=0.4, b=0.9, c=0.2),
        scores("purchase", b=0.3, a=0.3, c=0.8),
        scores("purchase_7_days", a=0.6, b=0.01, c=0.2, d=0.7),
        SCORES.empty(),
    ]
    found = coherent_scores(tables)
    values = [dict(zip(one["customer_id"].to_pylist(), one["value"].to_pylist(), strict=True)) for one in found]
    assert values[:2] == [{"a": 900.0}, {"a": 0.4, "b": 0.9, "c": 0.2}]
    chances = [values[3], values[2], {who: 1 - value for who, value in values[1].items()}]
    for who in "abc":
        assert chances[0][who] < chances[1][who] < chances[2][who]
    assert values[2]["a"] == pytest.approx(0.3, abs=0.003), "what contradicts nothing stays"
    assert values[3]["d"] == 0.7, "d is known to no longer horizon"
    assert found[4].num_rows == 0
    assert [one.schema for one in found] == [table.schema for table in tables]


CHANCES = st.floats(1e-4, 1 - 1e-4)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(CHANCES, CHANCES), min_size=2, max_size=20), CHANCES)
def test_nobody_has_the_same_chance_for_two_horizons_and_the_order_of_customers_stays(pairs, of_all):
    """Before, one in five had the same chance for 7 and for 30 days: the shorter was cut off at the longer."""
    shorter, longer = np.array(pairs).T
    drawn = drawn_below(shorter, longer)
    assert np.all((drawn > 0) & (drawn < longer))
    usual = shorter < longer / 3
    assert np.allclose(drawn[usual], shorter[usual], rtol=0.01)
    alike = drawn_below(shorter, np.full(len(shorter), of_all))
    assert np.all(np.diff(alike[np.argsort(shorter)]) >= 0)
