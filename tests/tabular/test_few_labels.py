from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.schema.errors import BadComparison, NotEnoughData
from patron.tabular import fit_embeddings, learning_curve

START = datetime(2024, 1, 1, tzinfo=UTC)
CUSTOMERS = 320


def rhythm_events(seed=0, customers=CUSTOMERS):
    """Customers of two kinds: those who alternate between looking and carting, and those who do each in a row."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        alternates, count = customer % 2 == 0, int(rng.integers(8, 20))
        kinds = ["view" if at % 2 else "cart" for at in range(count)]
        hours = np.cumsum(rng.exponential(30, count))
        for hour, kind in zip(hours.tolist(), kinds if alternates else sorted(kinds), strict=True):
            rows.append({"customer": f"c{customer:03}", "at": START + timedelta(hours=hour), "event": kind})
    return pa.Table.from_pylist(rows)


def cases(seed=0, customers=CUSTOMERS, unlabelled=40):
    """The kind of each customer as the label, some of them missing, next to a column that is noise."""
    rng = np.random.default_rng(seed)
    label = [int(index % 2 == 0) if index >= unlabelled else None for index in range(customers)]
    return pa.table(
        {
            "customer": [f"c{index:03}" for index in range(customers)],
            "noise": rng.normal(size=customers),
            "label": pa.array(label, pa.int64()),
        }
    )


@pytest.fixture(scope="module")
def events():
    return rhythm_events()


@pytest.fixture(scope="module")
def with_events(events):
    return learning_curve(cases(), label="label", customer="customer", events=events, sizes=(40,), repeats=2)


def test_customers_with_like_events_lie_near_each_other(events):
    points = fit_embeddings(events, customer="customer", time="at", kind="event", dimensions=4).table(events)
    assert points.num_rows == CUSTOMERS
    place = np.column_stack([points[f"e{at}"].to_numpy() for at in range(4)])
    assert np.linalg.norm(place, axis=1) == pytest.approx(np.ones(CUSTOMERS))
    likeness = place @ place.T
    np.fill_diagonal(likeness, -2)
    is_even = np.array([int(customer[1:]) % 2 == 0 for customer in points["customer"].to_pylist()])
    assert (is_even[likeness.argmax(axis=1)] == is_even).mean() > 0.9


def test_a_customer_lies_at_the_same_place_whoever_else_is_asked_for(events):
    embeddings = fit_embeddings(events, customer="customer", time="at", kind="event")
    everybody = embeddings.table(events)
    alone = embeddings.table(events.filter(pa.compute.equal(events["customer"], "c007")))
    assert alone.to_pylist()[0] == pytest.approx(everybody.to_pylist()[7])


def test_events_are_used_where_they_tell_what_the_columns_do_not(with_events):
    assert with_events.method == "with_embeddings"
    most = max(row.label_count for row in with_events.rows)
    last = {row.method: row for row in with_events.rows if row.label_count == most}
    assert last["with_embeddings"].auc > 0.9
    assert last["labelled_only"].auc < 0.65
    assert last["with_embeddings"].gain_low > 0.2


def test_the_model_of_a_curve_forecasts_other_customers(with_events):
    others = cases(seed=5, customers=60, unlabelled=0)
    forecast = with_events.predict(others, rhythm_events(seed=5, customers=60))
    is_even = np.array(others["label"].to_pylist()) == 1
    assert forecast[is_even].mean() > 0.5 > forecast[~is_even].mean()
    with pytest.raises(BadComparison, match="learned from events"):
        with_events.predict(others)


def test_where_nothing_helps_the_labelled_rows_alone_are_used():
    rng = np.random.default_rng(1)
    table = {f"x{at}": rng.normal(size=600) for at in range(3)}
    label = (table["x0"] + rng.normal(size=600) > 0).astype(int)
    curve = learning_curve(pa.table({**table, "label": label}), label="label", sizes=(50, 100), repeats=3)
    assert curve.method == "labelled_only"
    sizes = sorted({row.label_count for row in curve.rows})
    assert sizes == [50, 100, 420]
    alone = [row.auc for row in curve.rows if row.method == "labelled_only"]
    assert alone[-1] > alone[0]
    assert {row.gain for row in curve.rows if row.method == "labelled_only"} == {0.0}
    assert curve.to_frame().num_rows == len(curve.rows) == 6
    assert len(curve.predict(pa.table(table))) == 600


def test_intervals_are_over_customers_and_not_over_their_rows():
    rng = np.random.default_rng(4)
    customers, label = np.repeat(np.arange(60), 10), np.repeat(rng.random(60) < 0.5, 10).astype(int)
    x = np.repeat(rng.normal(size=60), 10) + label
    table = pa.table({"customer": customers.astype(str), "x": x, "label": label})
    of_rows, of_customers = (
        learning_curve(rows, label="label", customer=customer, sizes=(), repeats=2).rows[0]
        for rows, customer in ((table.drop_columns(["customer"]), None), (table, "customer"))
    )
    assert of_customers.high - of_customers.low > 1.5 * (of_rows.high - of_rows.low)


def test_rows_without_a_label_change_what_is_learned_from_them_and_the_same_seed_gives_the_same():
    rng = np.random.default_rng(2)
    side = rng.integers(0, 2, 1_500)
    place = np.column_stack([side * 4 + rng.normal(size=1_500), rng.normal(size=1_500) * 3])
    label = [int(one) if at < 200 else None for at, one in enumerate(side.tolist())]
    table = pa.table({"x": place[:, 0], "y": place[:, 1], "label": pa.array(label, pa.int64())})
    arguments = {"label": "label", "sizes": (20,), "repeats": 2, "seed": 3}
    one, same = (learning_curve(table, **arguments) for _ in range(2))
    assert one.rows == same.rows
    trained = [row for row in one.rows if row.method == "self_trained"]
    assert any(row.gain != 0 for row in trained)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"label": "nothing"}, BadComparison, "no column 'nothing'"),
        ({"events": rhythm_events(customers=60)}, BadComparison, "the customer of each row"),
        ({"customer": "customer", "events": rhythm_events(customers=10)}, NotEnoughData, "50 are needed"),
        ({"learner": "oracle"}, BadComparison, "no learner oracle"),
        ({"repeats": 1}, BadComparison, "no spread"),
        ({"test_share": 0.1}, NotEnoughData, "rarer class"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(arguments, error, words):
    with pytest.raises(error, match=words):
        learning_curve(cases(), **({"label": "label"} | arguments))
