"""`patron recommend compare` as a person or a program meets it."""

import json

import pyarrow.csv as pc_csv
import pytest

from made_interactions import habits, tastes

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
    assert "blend ranks best, beyond noise better than recent_popularity." in ran.out


def test_a_program_reads_rows_and_what_was_compared(patron, csv, tmp_path):
    ran = patron("recommend", "compare", csv, *COLUMNS, "--split", "days:28", "-k", 5, *FAST, "--json")
    result = json.loads(ran.out)
    assert [row["learner"] for row in result["rows"]] == ["recent_popularity", "blend"]
    assert (result["k"], result["split"], result["user_count"], result["is_repeating"]) == (5, "days:28", 60, True)
    once = tmp_path / "once.csv"
    pc_csv.write_csv(tastes(users=60).rename_columns(["user_id", "product", "at"]), once)
    result = json.loads(patron("recommend", "compare", once, *COLUMNS, *FAST, "--json").out)
    assert (result["repeat_share"], result["is_repeating"]) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--user", "buyer", "--item", "product"), "there is no column 'buyer'. It has user_id, product, at."),
        ((*COLUMNS, "--split", "random"), "'random' is no way to split. Use leave-last"),
        ((*COLUMNS, "--learner", "magic"), "no recommender is called 'magic'. Choose from recent_popularity"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(patron, csv, arguments, problem):
    ran = patron("recommend", "compare", csv, *arguments)
    assert ran.code == 1
    assert problem in ran.err.replace("\n", " ")
