"""`patron recommend compare` as a person or a program meets it."""

import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.csv as pc_csv
import pytest
from made_interactions import habits, tastes

from patron.commands.recommendations.compare_recommenders import RecommenderComparison
from patron.interfaces.cli.recommendations.render_recommenders import show_recommenders

COLUMNS = ("--user", "user_id", "--item", "product", "--time", "at")
FAST = ("--learner", "blend")


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    """A shop of habits as CSV."""
    path = tmp_path_factory.mktemp("recommend") / "orders.csv"
    pc_csv.write_csv(habits(users=60).rename_columns(["user_id", "product", "at"]), path)
    return path


def test_a_person_reads_what_is_compared_and_which_recommender_is_best(patron, csv):
    ran = patron("recommend", "compare", csv, *COLUMNS, "--split", "next-basket", *FAST)
    assert (ran.code, ran.err) == (0, "")
    assert "rows of 60 users to test on (next-basket)." in ran.out
    assert "of the test rows name an item that the user had before; they are recommended." in ran.out
    assert "blend has the highest NDCG@10, better than recent_popularity beyond noise." in ran.out


def test_a_program_reads_rows_and_what_was_compared(patron, csv, tmp_path):
    ran = patron("recommend", "compare", csv, *COLUMNS, "--split", "days:28", "-k", 5, *FAST, "--json")
    result = json.loads(ran.out)
    assert [row["learner"] for row in result["rows"]] == ["recent_popularity", "blend"]
    assert (result["k"], result["split"], result["user_count"], result["is_repeating"]) == (5, "days:28", 60, True)
    once = tmp_path / "once.csv"
    pc_csv.write_csv(tastes(users=60).rename_columns(["user_id", "product", "at"]), once)
    result = json.loads(patron("recommend", "compare", once, *COLUMNS, *FAST, "--json").out)
    assert (result["repeat_share"], result["is_repeating"]) == (0, False)


CONCLUSIONS = [
    ({"steady": (0.2, 0.1)}, "steady has the highest NDCG@10, better than popular beyond noise."),
    (
        {"wild": (0.3, -0.1), "steady": (0.2, 0.1)},
        "wild has the highest NDCG@10, but only steady is better than popular beyond noise.",
    ),
    ({"wild": (0.3, -0.1)}, "wild has the highest NDCG@10, but no recommender is better than popular beyond noise."),
    ({}, "popular has the highest NDCG@10, but no recommender is better than popular beyond noise."),
]


@pytest.mark.parametrize(("gains", "sentence"), CONCLUSIONS)
def test_the_conclusion_names_who_is_better_beyond_noise(capsys, gains, sentence):
    metrics = dict.fromkeys(("recall", "mrr", "hit_rate", "coverage", "novelty", "rmse", "mae"))
    rows = [
        metrics
        | {"learner": name, "ndcg_cut": 0.1 + gain, "ndcg_cut_low": 0.1, "ndcg_cut_high": 0.1}
        | {"ndcg_cut_gain": gain, "ndcg_cut_gain_low": low, "ndcg_cut_gain_high": gain}
        for name, (gain, low) in {"popular": (0.0, 0.0), **gains}.items()
    ]
    comparison = RecommenderComparison(pa.Table.from_pylist(rows), "days:28", 10, 9, 3, 2, 0.0, is_repeating=False)
    show_recommenders(comparison, json=False)
    assert sentence in capsys.readouterr().out.replace("\n", " ")


def test_recommenders_that_need_an_extra_are_compared_by_name(patron, csv):
    ran = patron("recommend", "compare", csv, *COLUMNS, "--learner", "self_attention")
    assert "no recommender is called" not in ran.err
    assert "self_attention" in ran.out if ran.code == 0 else "deep" in ran.err


@pytest.mark.extra
def test_a_network_is_fitted_in_a_process_of_the_command(import_extra, csv):
    import_extra("torch", "deep")
    command = [
        sys.executable,
        "-m",
        "patron",
        "recommend",
        "compare",
        csv,
        *COLUMNS,
        "--learner",
        "two_towers",
        "--json",
    ]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert "two_towers" in {row["learner"] for row in json.loads(ran.stdout)["rows"]}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--user", "buyer", "--item", "product"), "there is no column 'buyer'. It has user_id, product, at."),
        ((*COLUMNS, "--split", "random"), "'random' is not a valid split. Use leave-last"),
        ((*COLUMNS, "--learner", "magic"), "no recommender is called 'magic'. Choose from recent_popularity"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(patron, csv, arguments, problem):
    ran = patron("recommend", "compare", csv, *arguments)
    assert ran.code == 1
    assert problem in ran.err.replace("\n", " ")
