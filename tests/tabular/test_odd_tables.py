"""What comes in from real files: dates as texts, indexes, far dates, rare classes, groups; read right or refused."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from made_tables import clean_table, label_of
from patron.schema.errors import BadComparison, NotEnoughData
from patron.tabular import compare
from patron.tabular.columns import ColumnKinds, is_place_or_thing, looks_like_id
from patron.tabular.encoding import Encoding
from patron.tabular.splits import TimeOrder

FAST = {"label": "churned", "learners": ["logistic"]}


@pytest.mark.parametrize(
    "ordered",
    [
        ["11/2024", "12/2024", "01/2025", "02/2025"],
        ["Q3 2024", "Q4 2024", "Q1 2025", "Q2 2025"],
        ["2024-Q4", "2025-Q1", "2025-Q2"],
        ["2024-W52", "2025-W01", "2025-W02"],
        ["2026-01-05 9:00", "2026-01-05 10:00", "2026-01-06 8:00"],
        ["2025-9", "2025-10", "2025-11"],
        ["week 9", "week 10", "week 11"],
        ["-2", "-1", "0.25", "0.5"],
        ["Feb", "Mar", "May", "June"],
    ],
    ids=lambda one: one[0],
)
def test_labels_of_time_are_ordered_as_people_read_them(ordered):
    shuffled = [ordered[at] for at in (2, 0, 1, *range(3, len(ordered)), 0, 2)]
    assert list(TimeOrder.of(pa.chunked_array([shuffled]), "t").values) == ordered


def test_months_that_go_on_into_the_next_year_keep_the_order_of_the_rows():
    months = ["Nov", "Nov", "Dec", "Jan", "Feb"]
    assert list(TimeOrder.of(pa.chunked_array([months]), "t").values) == ["Nov", "Dec", "Jan", "Feb"]


@pytest.mark.parametrize("labels", [["31-01-2024", "15-01-2024", "01-02-2024", "15-01-2024"], ["b", "a", "b"]])
def test_labels_without_a_known_order_are_refused(labels):
    with pytest.raises(BadComparison, match=r"the order of .* is not known"):
        TimeOrder.of(pa.chunked_array([labels]), "t")


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_rows_without_a_time_or_a_group_are_refused(missing):
    table = clean_table(200)
    table = table.append_column("t", pa.array([missing, *np.arange(199.0)], pa.float64()))
    for role in ("time", "group"):
        with pytest.raises(BadComparison, match="1 rows have no"):
            compare(table, **{role: "t"}, **FAST)


def test_the_index_of_a_frame_is_not_learned_from():
    frame = clean_table(400).to_pandas()
    frame = frame.sort_values("churned").set_index(pd.RangeIndex(400).to_numpy() * 3).sample(frac=1, random_state=1)
    comparison = compare(frame, **FAST)
    assert comparison.score("logistic", "auc").value < 0.95
    assert len(comparison.predict(frame.reset_index(drop=True))) == 400


def test_a_level_of_the_own_group_says_nothing_in_training_of_other_groups():
    rng = np.random.default_rng(1)
    who = np.repeat(np.arange(60), 10)
    label = np.repeat((rng.random(60) < 0.5).astype(float), 10)
    table = pa.table({"street": [f"s{one}" for one in who], "x": rng.normal(size=600)})
    columns = ColumnKinds.of(table, []).read(table)
    encoding = Encoding.of(columns, label)
    assert encoding.sources[-1] == "street"  # the mean outcome of each
    by_row, by_group = (
        encoding.training_matrix(columns, label, units, rng=rng)[:, -1] for units in (np.arange(600), who)
    )
    assert abs(np.corrcoef(by_row, label)[0, 1]) > 0.9
    assert len(np.unique(by_group)) <= 5  # a street that was never met has the mean of all others, part by part


def test_a_rare_class_is_in_every_sample():
    rng = np.random.default_rng(2)
    x = rng.normal(size=12_000)
    label = np.zeros(12_000, dtype=int)
    label[np.argsort(-x - rng.normal(size=12_000))[:14]] = 1
    comparison = compare(pa.table({"x": x, "z": rng.normal(size=12_000), "churned": label}), **FAST)
    assert comparison.score("logistic", "auc", "validation").value > 0.8


def test_far_dates_huge_numbers_and_nanoseconds_are_read():
    table = clean_table(300).to_pandas()
    table["valid_to"] = pd.Series(pd.to_datetime(["2026-01-01"] * 300)).dt.as_unit("s") + pd.to_timedelta(
        np.arange(300), unit="D"
    )
    table["huge"] = np.where(np.arange(300) % 2, 1e39, -1e300)
    given = pa.Table.from_pandas(table, preserve_index=False)
    far = pa.array([9_999 * 365 - 719_162] * 150 + [20_000] * 150, pa.int32()).cast(pa.date32())
    nano = pa.array(np.arange(300) * 86_400_000_000_001, pa.int64()).cast(pa.timestamp("ns"))
    given = given.append_column("far", far).append_column("nano", nano)
    assert np.isfinite(compare(given, **FAST).predict(given)).all()


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([1, 2]), "has numbers, and had times"),
        (pa.array(["a", "b"]), "has the text|has texts, and had times"),
    ],
)
def test_times_are_not_predicted_from_other_kinds(column, words):
    days = pa.array(np.arange(300), pa.int32()).cast(pa.date32())
    comparison = compare(clean_table(300).append_column("day", days), **FAST)
    rows = clean_table(2).append_column("day", column)
    with pytest.raises(BadComparison, match=words):
        comparison.predict(rows)


def test_no_row_gives_no_prediction():
    table = clean_table(300)
    assert compare(table, label="churned", learners=["extra_trees"]).predict(table.slice(0, 0)).shape == (0,)


def test_acting_on_everybody_is_the_best_where_nothing_is_known_and_acting_is_cheap():
    rng = np.random.default_rng(3)
    table = pa.table({"x": rng.normal(size=500), "churned": rng.random(500) < 0.3})
    comparison = compare(table, gain_cents=1000, cost_cents=100, **FAST)
    assert comparison.preferred == "majority"
    assert comparison.profit().value == pytest.approx(1000 * comparison.judged["test"][0].label.sum() - 100 * 100)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, "-1 is not a seed"),
        ({"seed": 1.5}, "not a whole number"),
        ({"folds": "5"}, "not a whole number"),
        ({"test_share": "a"}, "not a share"),
        ({"learners": [1]}, "1 is not a learner"),
        ({"learners": "xgboost"}, "no learner xgboost"),
    ],
)
def test_odd_arguments_are_refused(options, words):
    with pytest.raises(BadComparison, match=words):
        compare(clean_table(200), **{"label": "churned", **options})


def test_a_share_too_small_to_test_on_is_refused():
    with pytest.raises(NotEnoughData, match="leaves nobody of the rarer class"):
        compare(clean_table(200), test_share=0.001, **FAST)


def test_two_spellings_of_a_label_are_refused():
    table = pa.table({"x": np.arange(100), "churned": ["Yes", "yes"] * 50})
    with pytest.raises(BadComparison, match="which mean the same"):
        compare(table, label="churned")


def test_one_period_before_the_test_is_said_to_be_one():
    table = clean_table(400).append_column("t", pa.array(np.arange(400) // 200))
    with pytest.raises(BadComparison, match="one time value only"):
        compare(table, time="t", **FAST)


def test_half_the_positives_of_a_sorted_table_are_tested_on_as_asked():
    table = clean_table(500).sort_by("churned")
    comparison = compare(table, test_share=0.4, **FAST)
    assert comparison.row_counts["test"] == 200
    part, _ = comparison.judged["test"]
    assert part.label.mean() == pytest.approx(label_of(table).mean(), abs=0.005)


@pytest.mark.parametrize(
    ("name", "is_id", "is_place"),
    [
        *((one, True, False) for one in ("id", "customerID", "user_id", "device_id", "store_user_id", "id_customer")),
        *((one, True, True) for one in ("store_id", "product_id", "campaign_id")),
        *((one, False, False) for one in ("paid", "valid", "bid", "days_since_email", "covid", "age")),
        *((one, False, True) for one in ("postcode", "city", "region")),
    ],
)
def test_a_name_says_whether_a_column_identifies_people_or_is_a_place_or_a_thing(name, is_id, is_place):
    assert (looks_like_id(name), is_place_or_thing(name)) == (is_id, is_place)
