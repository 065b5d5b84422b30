"""The summary of orders: what a plain reading of them gives, whatever they come in."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.clv import deduplicated, rfm
from patron.clv.rfm_summary import summary_unit

DAY = date(2024, 1, 1)
UNTIL = DAY + timedelta(days=20)
LATER = DAY + timedelta(days=30)


def orders(*rows):
    """Of (customer, day, value)."""
    who, days, values = zip(*rows, strict=True)
    return pa.table({"customer_id": who, "ordered_at": [DAY + timedelta(days=day) for day in days], "value": values})


@pytest.mark.parametrize("until", ["30.06.2024", "today", ""])
def test_a_text_that_is_not_a_date_is_rejected_with_the_format(until):
    with pytest.raises(ValueError, match="not a date such as 2024-06-30"):
        rfm(orders(("a", 0, 1.0)), until=until)


def only(table):
    (row,) = table.to_pylist()
    return row


def summary_by_hand(rows):
    """The summary in days, as one would work it out by hand: by customer."""
    summary = {}
    for who in dict.fromkeys(who for who, _, _ in rows):
        sequence = sorted(((day, value) for name, day, value in rows if name == who), key=lambda one: (one[0], -one[1]))
        kept = []
        for day, value in sequence:
            if value < 0:
                back = -value
                for bought in reversed(kept):
                    if day > 20 and bought[0] <= 20:
                        break
                    taken = min(back, bought[1])
                    bought[1] -= taken
                    back -= taken
            elif kept and kept[-1][0] == day:
                kept[-1][1] += value
            else:
                kept.append([day, value])
        if not kept or kept[0][0] > 20:
            continue
        first = kept[0][0]
        repeats = [one for one in kept[1:] if one[0] <= 20]
        later = [one for one in kept[1:] if 20 < one[0] <= 30]
        days = [first, *(day for day, _ in repeats)]
        summary[who] = {
            "frequency": len(repeats),
            "recency": days[-1] - first,
            "T": 20 - first,
            "monetary_value": sum(value for _, value in repeats) / len(repeats) if repeats else 0,
            "monetary_value_with_first": (kept[0][1] + sum(value for _, value in repeats)) / len(days),
            "log_gaps": sum(math.log(after - before) for before, after in pairwise(days)),
            "frequency_holdout": len(later),
            "monetary_value_holdout": sum(value for _, value in later) / len(later) if later else 0,
            "duration_holdout": 10,
        }
    return summary


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 35), st.integers(-30, 60)), min_size=1, max_size=25)


@settings(deadline=None)
@given(ROWS)
def test_any_orders_are_summarised_as_one_would_by_hand(rows):
    found = rfm(orders(*rows), until=UNTIL, unit="D", holdout_until=LATER).drop_columns(["first_at", "unit"])
    expected = summary_by_hand(rows)
    assert set(found["customer_id"].to_pylist()) == set(expected)
    for row in found.to_pylist():
        assert row == pytest.approx({"customer_id": row["customer_id"], **expected[row["customer_id"]]})


def test_whatever_speaks_arrow_is_summarised():
    table = orders(("a", 0, 5), ("a", 7, 3), ("b", 3, 1), ("a", 14, 1))
    frame = table.to_pandas()
    options = {"until": UNTIL, "unit": "D"}
    first = rfm(table, **options)
    texts = frame.assign(ordered_at=frame["ordered_at"].astype(str))
    shopify = frame.assign(ordered_at=frame["ordered_at"].astype(str) + " 01:00:00 +0100")
    inputs = (frame, duckdb.sql("select * from frame"), texts, shopify)
    assert all(pa.table(rfm(input_, **options)).cast(first.schema).equals(first) for input_ in inputs)
    assert first.to_pydict() == {
        "customer_id": ["a", "b"],
        "frequency": [2.0, 0.0],
        "recency": [14.0, 0.0],
        "T": [20.0, 17.0],
        "monetary_value": [2.0, 0.0],
        "monetary_value_with_first": [3.0, 1.0],
        "log_gaps": [2 * math.log(7), 0.0],
        "first_at": [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC)],
        "unit": ["D", "D"],
    }


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.int32(), pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_customers_are_kept_apart_whatever_their_ids_are(kind):
    names = [str(one) for one in (3, 1, 3, 2, 1, 3)]
    ids = (
        pa.array(names).cast(kind)
        if pa.types.is_integer(kind) or not pa.types.is_dictionary(kind)
        else pa.array(names).dictionary_encode()
    )
    table = pa.table({"customer_id": ids, "ordered_at": [DAY + timedelta(days=day) for day in range(6)]})
    found = rfm(table, until=UNTIL, value=None)
    assert [str(customer_id) for customer_id in found["customer_id"].to_pylist()] == ["3", "1", "2"]
    assert found["frequency"].to_pylist() == [2, 1, 0]


@pytest.mark.parametrize(("unit", "days"), [("D", 1), ("W", 7), ("M", 365.25 / 12), ("Y", 365.25)])
def test_times_are_in_the_unit_and_the_summary_says_which(unit, days):
    found = rfm(orders(("a", 0, 1), ("a", 10, 1)), until=UNTIL, unit=unit)
    assert (found["recency"][0].as_py(), found["T"][0].as_py()) == pytest.approx((10 / days, 20 / days))
    assert summary_unit(found) == summary_unit(deduplicated(found)) == unit


def test_orders_of_one_day_count_as_one_by_default():
    hours = [datetime(2024, 1, 1, 8), datetime(2024, 1, 1, 20), datetime(2024, 1, 2, 8)]  # noqa: DTZ001 - no zone is UTC
    table = pa.table({"customer_id": ["a"] * 3, "ordered_at": hours, "value": [1, 2, 4]})
    by_day, by_moment = rfm(table, until=UNTIL, unit="D"), rfm(table, until=UNTIL, unit="D", whole_days=False)
    assert [only(one)["frequency"] for one in (by_day, by_moment)] == [1, 2]
    assert [only(one)["recency"] for one in (by_day, by_moment)] == [1, 1]
    assert only(by_moment)["T"] == pytest.approx(20 + 16 / 24)


def test_the_whole_last_day_is_counted_and_nothing_after():
    late = pa.table(
        {
            "customer_id": ["a", "a", "b"],
            "ordered_at": [datetime(2024, 1, 20), datetime(2024, 1, 21, 23, 59), datetime(2024, 1, 22, 0, 0)],  # noqa: DTZ001
            "value": [1, 1, 1],
        }
    )
    row = only(rfm(late, until="2024-01-21", unit="D"))
    assert (row["customer_id"], row["frequency"], row["recency"]) == ("a", 1, 1)


def test_refunds_after_the_end_were_not_known_then():
    row = only(rfm(orders(("a", 0, 9), ("a", 9, 9), ("a", 25, -9)), until=UNTIL, unit="D", holdout_until=LATER))
    assert (row["monetary_value"], row["frequency_holdout"]) == (9, 0)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"unit": "H"}, "unit 'H' is not one of D, W, M, Y"),
        ({"value": None}, {}, "no column value; they have customer_id, ordered_at"),
        ({}, {"holdout_until": DAY}, "the holdout ends"),
        ({"customer_id": [None, "a"]}, {}, "1 orders have no customer"),
        ({"ordered_at": [None, DAY]}, {}, "1 orders have no time"),
        ({"ordered_at": [1, 2]}, {}, "the time of orders is int64"),
        ({"value": [1.0, float("nan")]}, {}, "value: 1 values are missing or infinite"),
    ],
)
def test_what_cannot_be_summarised_is_refused(change, options, words):
    columns = {"customer_id": ["a", "b"], "ordered_at": [DAY, DAY], "value": [1.0, 2.0], **change}
    table = pa.table({name: column for name, column in columns.items() if column is not None})
    with pytest.raises(ValueError, match=words):
        rfm(table, until=UNTIL, **options)


def test_nobody_gives_an_empty_summary():
    nobody = orders(("a", 0, 1)).slice(0, 0)
    assert rfm(nobody, until=UNTIL).num_rows == 0
    assert rfm(orders(("a", 25, 1)), until=UNTIL).num_rows == 0


def test_distinct_histories_keep_how_many_customers_have_them():
    rows = [(f"c{n}", day, 1) for n in range(300) for day in (0, n % 3)]
    found = deduplicated(rfm(orders(*rows), until=UNTIL, unit="D"))
    assert sorted(found["weight"].to_pylist()) == [100, 100, 100]
    assert deduplicated(found).equals(found)


def test_a_customer_with_many_orders_out_of_order_is_summarised():
    rng = np.random.default_rng(1)
    days = rng.permutation(20)[np.arange(4000) % 20]
    frame = pd.DataFrame({"customer_id": 1, "ordered_at": pd.Timestamp(DAY) + pd.to_timedelta(days, "D"), "value": 1.0})
    row = only(pa.table(rfm(frame, until=UNTIL, unit="D")))
    assert (row["frequency"], row["recency"], row["monetary_value"], row["log_gaps"]) == (19, 19, 200, 0)
