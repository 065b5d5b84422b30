"""A comparison's contract: rows, preferred learner, threshold, predictions; and what it refuses."""

import math
from dataclasses import astuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from made_tables import clean_table, customers_with_many_rows, label_of, monthly_table
from patron.schema.errors import BadComparison, NotEnoughData, PatronError
from patron.schema.models import metrics
from patron.tabular import LEARNERS, LightGBM, Logistic, compare

METRICS = [
    *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "auc", "average_precision", "log_loss", "brier"),
    *("calibration_error", "lift"),
]
PARTS = ["train", "validation", "test"]


@pytest.fixture(scope="module")
def table():
    return clean_table()


@pytest.fixture(scope="module")
def everything(table):
    """All learners on a clean table."""
    return compare(table, label="churned")


def same_rows(one, other):
    return [str(astuple(row)) for row in one.rows] == [str(astuple(row)) for row in other.rows]


def test_every_learner_and_both_baselines_have_every_metric_on_every_part(everything):
    names = ["majority", "best_column", *LEARNERS, "average"]
    expected = {(name, part, metric) for name in names for part in PARTS for metric in METRICS}
    assert [(row.learner, row.part, row.metric) for row in everything.rows if row.part not in PARTS] == []
    assert {(row.learner, row.part, row.metric) for row in everything.rows} == expected
    assert len(everything.rows) == len(expected)


def test_intervals_hold_their_values(everything):
    for row in everything.rows:
        if not math.isnan(row.value) and row.metric != "calibration_error":  # a resample's is larger: noise adds up
            assert row.low - 1e-6 <= row.value <= row.high + 1e-6, row


def test_the_preferred_learner_is_the_simplest_within_noise_of_the_best(everything):
    complexity = {"majority": 0, "best_column": 1, "average": 9} | {n: one.complexity for n, one in LEARNERS.items()}
    within = [name for name, gap in everything.gaps.items() if gap.low <= 0]
    assert everything.preferred == min(within, key=complexity.__getitem__)
    assert everything.gaps[everything.best].value == 0
    assert everything.preferred == "logistic"  # the odds of the table are a sum


def test_predictions_are_those_of_the_test_rows(everything, table):
    part, forecasts = everything.judged["test"]
    predicted = everything.predict(table)
    assert predicted.shape == (table.num_rows,)
    assert metrics.auc(label_of(table), predicted) > 0.7
    assert np.isin(np.round(forecasts[everything.preferred], 12), np.round(predicted, 12)).all()
    assert everything.score(everything.preferred, "auc").value == pytest.approx(
        metrics.auc(part.label, forecasts[everything.preferred])
    )


def test_the_same_seed_gives_the_same_comparison(table):
    fast = {"label": "churned", "learners": ["logistic", "lightgbm"]}
    first, again, other = (compare(table, seed=seed, **fast) for seed in (3, 3, 4))
    assert same_rows(first, again)
    assert not same_rows(first, other)


@pytest.mark.parametrize("frame", [pa.Table.to_pandas, pl.from_arrow], ids=["pandas", "polars"])
def test_a_frame_goes_in_and_the_same_kind_comes_out(table, frame):
    given = frame(table)
    comparison = compare(given, label="churned", learners=["logistic"])
    assert isinstance(comparison.to_frame(), type(given))
    assert comparison.to_frame().shape == (len(comparison.rows), 6)
    assert np.allclose(comparison.predict(given), comparison.predict(table))


def test_a_table_may_have_new_levels_missing_values_and_more_columns_when_it_is_predicted(table):
    comparison = compare(table, label="churned", learners=["logistic", "lightgbm"])
    rows = table.slice(0, 3).to_pandas().drop(columns="churned").assign(new=1)
    rows.loc[0, "channel"], rows.loc[1, "x0"], rows.loc[2, "city"] = "post", np.nan, None
    predicted = comparison.predict(rows)
    assert ((predicted > 0) & (predicted < 1)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.drop(columns="x1"), "no column x1"),
        (lambda rows: rows.assign(x1="much"), "has the text 'much', and had numbers"),
    ],
)
def test_what_cannot_be_predicted_is_refused(table, change, words):
    comparison = compare(table, label="churned", learners=["logistic"])
    with pytest.raises(BadComparison, match=words):
        comparison.predict(change(table.to_pandas()))


def test_texts_of_numbers_are_numbers_and_useless_columns_are_left_out_with_the_reason():
    frame = clean_table(600).to_pandas()
    frame["paid"] = [f"{value:.2f}" if at % 50 else " " for at, value in enumerate(frame["x0"])]
    frame["shop"], frame["nothing"], frame["tags"] = "one", None, [["a"]] * len(frame)
    frame["user_id"], frame["note"] = range(len(frame)), [f"note {at}" for at in range(len(frame))]
    frame = frame.drop(columns="x0")
    comparison = compare(frame, label="churned", learners=["logistic"])
    assert comparison.left_out == {
        "shop": "it has one value only",
        "nothing": "it has no value",
        "tags": "it holds neither numbers nor texts",
        "user_id": "it identifies rows or people",
        "note": "nearly every row has a text of its own",
    }
    assert comparison.score("logistic", "auc", "validation").value > 0.7


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [
        ([0, 1], None, "1"),
        ([False, True], None, "True"),
        (["No", "Yes"], None, "Yes"),
        ([0.0, 1.0], None, "1.0"),
        (["stays", "leaves"], "leaves", "leaves"),
        ([1, 2], 2, "2"),
        ([1, 2], "2", "2"),
    ],
)
def test_a_label_has_two_values_of_any_kind(values, positive, expected):
    table = clean_table(300)
    label = pa.array([values[one] for one in label_of(table)])
    table = table.drop_columns(["churned"]).append_column("churned", label)
    comparison = compare(table, label="churned", positive=positive, learners=["logistic"])
    assert comparison.positive == expected
    assert comparison.score("logistic", "auc", "validation").value > 0.6


@pytest.mark.parametrize(
    ("label", "positive", "error", "words"),
    [
        (["stays", "leaves"], None, BadComparison, "which of 'stays' and 'leaves' is positive"),
        (["stays", "leaves"], "goes", BadComparison, "no value 'goes'"),
        (["a", "b", "c"], None, BadComparison, "3 different values"),
        ([1], None, NotEnoughData, "every row has the same label, 1"),
        ([None], None, NotEnoughData, "no row has a label"),
    ],
)
def test_a_label_that_is_none_is_refused(label, positive, error, words):
    table = pa.table({"x": range(120), "y": (label * 120)[:120]})
    with pytest.raises(error, match=words):
        compare(table, label="y", positive=positive)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": "churn"}, "no column 'churn'. The table has x0"),
        ({"label": "churned", "time": "day"}, "no column 'day'"),
        ({"label": "churned", "learners": ["xgboost"]}, "no learner xgboost"),
        ({"label": "churned", "learners": [Logistic(), Logistic()]}, "a name of its own"),
        ({"label": "churned", "test_share": 0.9}, "0.9 is not a share to test on"),
        ({"label": "churned", "folds": 1}, "1 folds cannot be judged"),
        ({"label": "churned", "gain_cents": 100}, "needs both"),
        ({"label": "churned", "time": "channel"}, "the order of .* is not known"),
        ({"label": "churned", "group": "channel"}, "3 groups cannot be divided into 5 parts"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_with_what_can(table, options, words):
    with pytest.raises(BadComparison, match=words) as refusal:
        compare(table, **options)
    assert isinstance(refusal.value, ValueError)
    assert refusal.value.todo


@pytest.mark.parametrize("rows", [30, 400])
def test_too_few_rows_of_one_class_are_refused(rows):
    table = pa.table({"x": np.arange(rows), "y": np.arange(rows) < 8})
    with pytest.raises(NotEnoughData, match=f"{rows} rows, 8 of the rarer class"):
        compare(table, label="y")


def test_fifty_customers_are_enough_for_a_model_with_wide_intervals():
    comparison = compare(clean_table(50, seed=3), label="churned")
    row = comparison.score(comparison.preferred, "auc", "validation")
    assert comparison.preferred in {"majority", "best_column", "logistic"}
    assert comparison.preferred == "majority" or row.high - row.low > 0.1


@pytest.mark.parametrize(
    "months",
    [
        lambda at: f"2025-{at + 1}",
        lambda at: ["Jan", "Feb", "Mar", "April", "May", "June", "Jul", "Aug"][at],
        lambda at: f"week {at + 8}",
        lambda at: pd.Timestamp("2025-01-01") + pd.DateOffset(months=at),
        lambda at: 100 + at,
    ],
    ids=["year-month", "month names", "numbered", "timestamps", "numbers"],
)
def test_time_is_cut_between_whole_values_and_the_latest_are_tested(months):
    table = monthly_table()
    place = [int(month[-2:]) - 1 for month in table["month"].to_pylist()]
    order = np.random.default_rng(1).permutation(len(place))
    frame = table.to_pandas().assign(month=[months(at) for at in place]).iloc[order]
    comparison = compare(frame, label="churned", time="month", learners=["logistic"])
    counts = np.bincount(place)
    assert comparison.row_counts["test"] == counts[-2:].sum()
    assert str(months(6)).removesuffix(" 00:00:00") in comparison.cut


def test_folds_in_time_are_judged_by_earlier_rows_only():
    """The outcome is turned round in the last training month: only a model that sees the future could know."""
    table = monthly_table(months=6, rows=1800).to_pandas()
    is_turned = table["month"] == "2025-04"
    table.loc[is_turned, "churned"] = 1 - table.loc[is_turned, "churned"]
    in_time = compare(table, label="churned", time="month", learners=["logistic"], test_share=0.3)
    at_random = compare(table, label="churned", learners=["logistic"])
    assert in_time.score("logistic", "auc", "validation").value < at_random.score("logistic", "auc", "validation").value


def test_no_group_is_on_both_sides_of_any_cut():
    table = customers_with_many_rows(customers=200, each=4)
    random_label = pa.array(np.random.default_rng(1).random(200) < 0.5).take(
        pa.array(pd.factorize(table["customer_id"].to_pandas())[0])
    )
    table = table.set_column(table.column_names.index("churned"), "churned", random_label)
    grouped = compare(table, label="churned", group="customer_id", learners=["extra_trees"])
    loose = compare(table, label="churned", learners=["extra_trees"])
    # the label is a coin of each customer: it can be known of a customer that was met, and of no other
    assert loose.score("extra_trees", "auc").low > 0.75
    one = grouped.score("extra_trees", "auc", "validation")
    assert one.low < 0.5 < one.high


def test_customers_on_both_sides_of_a_cut_in_time_keep_one_side():
    table = monthly_table().to_pandas()
    table["customer"] = np.random.default_rng(1).integers(0, 400, len(table))
    comparison = compare(table, label="churned", time="month", group="customer", learners=["logistic"])
    assert "rows of groups on both sides are left out" in comparison.cut
    assert comparison.row_counts["train"] + comparison.row_counts["test"] < len(table)


def test_the_threshold_by_money_earns_more_than_acting_on_all_or_on_the_most_likely_by_f1(table):
    money = {"gain_cents": 1000, "cost_cents": 600}
    by_money = compare(table, label="churned", learners=["logistic"], test_share=0.5, **money)
    curve = by_money.profit_curve()
    assert curve.column_names == ["share_chosen", "threshold", "profit_cents", "low", "high"]
    assert curve["share_chosen"].to_pylist()[-1] == 1
    profit = by_money.profit()
    assert profit.low <= profit.value <= profit.high
    assert profit.value > max(curve["profit_cents"].to_pylist()[-1], 0)
    assert profit.value > 0.8 * max(curve["profit_cents"].to_pylist())
    with pytest.raises(BadComparison, match="nothing is known of what acting brings"):
        compare(table, label="churned", learners=["logistic"]).profit()


def test_a_learner_may_come_with_settings_of_its_own(table):
    comparison = compare(table, label="churned", learners=[LightGBM(rounds=30, leaves=3), "logistic"])
    assert {row.learner for row in comparison.rows} == {"majority", "best_column", "lightgbm", "logistic", "average"}


def test_without_a_test_part_learners_are_compared_on_the_folds(table):
    comparison = compare(table, label="churned", learners=["logistic"], test_share=0)
    assert {row.part for row in comparison.rows} == {"train", "validation"}
    assert comparison.row_counts == {"train": table.num_rows, "validation": table.num_rows}
    assert len(comparison.predict(table)) == table.num_rows


def test_every_refusal_is_one_of_patrons(table):
    with pytest.raises(PatronError):
        compare(table.select(["churned"]), label="churned")
