"""What comes in as a frame goes out as one of the same kind, with the customers' ids beside every answer."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from patron.clv import BetaGeo, GammaGamma, Hybrid, ParetoNBD, deduplicated, horizon_of, posterior, rfm, with_answers
from patron.clv.rfm_summary import summary_unit

UNTIL = "2023-12-31"


def orders(count=300, seed=1):
    rng = np.random.default_rng(seed)
    who = rng.integers(0, count, count * 5)
    day = np.datetime64("2023-01-01", "us") + rng.integers(0, 365, len(who)) * np.timedelta64(1, "D")
    return pa.table({"customer_id": [f"c{n}" for n in who], "ordered_at": day, "value": rng.gamma(4, 10, len(who))})


def polars_frame(table):
    return pytest.importorskip("polars").from_arrow(table)


KINDS = {"pandas": lambda table: table.to_pandas(), "polars": polars_frame, "pyarrow": lambda table: table}


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_returns_the_kind_of_frame_that_went_in(kind):
    frame = KINDS[kind](orders())
    summary = rfm(frame, until=UNTIL)
    fitted, spend = BetaGeo().fit(summary), GammaGamma().fit(summary)
    hybrid = Hybrid().fit(frame, until=UNTIL)
    frames = (
        summary,
        deduplicated(summary),
        fitted.predict(summary, 13),
        spend.predict(summary),
        with_answers(summary, expected=fitted.expected_purchases(summary, 13)),
        hybrid.predict(13),
    )
    assert {type(one) for one in frames} == {type(frame)}
    assert fitted.unit == "W"
    assert summary_unit(deduplicated(summary)) == "W"
    assert horizon_of(14, "D", summary=summary) == 2
    ids = pa.table(summary)["customer_id"].to_pylist()
    for answers in (frames[2], frames[3], frames[4]):
        assert pa.table(answers)["customer_id"].to_pylist() == ids
    assert set(pa.table(frames[5])["customer_id"].to_pylist()) == set(ids)


def test_answers_are_the_same_whatever_they_come_in():
    table = orders()
    summary, frame = rfm(table, until=UNTIL), rfm(table.to_pandas(), until=UNTIL)
    fitted = ParetoNBD().fit(frame)
    assert fitted.params == ParetoNBD().fit(summary).params
    found = fitted.predict(frame, 13)
    assert list(found.columns) == [
        "customer_id",
        "expected_purchases",
        "probability_of_purchase",
        "probability_alive",
    ]
    assert (found["expected_purchases"].to_numpy() == fitted.expected_purchases(summary, 13)).all()


def test_a_pandas_index_of_customers_stays_one_and_every_other_index_too():
    by_customer = rfm(orders().to_pandas(), until=UNTIL).set_index("customer_id")
    found = BetaGeo().fit(by_customer).predict(by_customer, 13)
    assert found.index.equals(by_customer.index)
    assert "customer_id" not in found.columns
    some = rfm(orders().to_pandas(), until=UNTIL).sample(40, random_state=1)
    assert BetaGeo().fit(some).predict(some, 13).index.equals(some.index)


def test_intervals_and_distributions_become_columns():
    summary = rfm(orders().to_pandas(), until=UNTIL)
    drawn = posterior(BetaGeo(), summary, rng=np.random.default_rng(1), draws=100)
    counts = drawn.mode.purchase_count_distribution(summary, 13, most=2)
    found = with_answers(summary, orders=drawn.expected_purchases(summary, 13), count=counts)
    named = ["customer_id", "orders", "orders_low", "orders_high", "count_0", "count_1", "count_2"]
    assert list(found.columns) == named
    assert (found["orders_low"] <= found["orders_high"]).all()
    with pytest.raises(ValueError, match="alive has 3 entries, and the summary"):
        with_answers(summary, alive=[1, 2, 3])


def test_a_summary_that_lost_its_ids_is_answered_without_them():
    plain = {"frequency": [2.0] * 20, "recency": np.linspace(1, 8, 20), "T": [10.0] * 20}
    fitted = BetaGeo().fit(plain)
    assert fitted.predict(plain, 4).column_names[0] == "expected_purchases"
    assert isinstance(fitted.predict(pd.DataFrame(plain), 4), pd.DataFrame)


def test_arrays_are_fitted_as_the_summary_of_them():
    summary = rfm(orders(), until=UNTIL)
    arrays = {name: summary[name].to_numpy() for name in ("frequency", "recency", "T")}
    fitted = BetaGeo().fit(**arrays, unit="W")
    assert fitted.params == BetaGeo().fit(summary).params
    assert fitted.unit == "W"
    twice = BetaGeo().fit(**arrays, weight=np.full(len(arrays["T"]), 2.0))
    assert twice.log_likelihood == pytest.approx(2 * fitted.log_likelihood)
    series = {name: pd.Series(values) for name, values in arrays.items()}
    assert BetaGeo().fit(**series).params == fitted.params
    assert (fitted.expected_purchases(arrays, 13) == fitted.expected_purchases(summary, 13)).all()
    money = {"frequency": arrays["frequency"], "monetary_value": summary["monetary_value"].to_numpy()}
    assert GammaGamma().fit(**money).params == GammaGamma(first_order=False).fit(summary).params
