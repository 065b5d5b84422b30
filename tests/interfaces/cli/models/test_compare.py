"""`patron compare` as a person or a program meets it, on files of any kind."""

import json

import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest

from made_tables import clean_table, label_of, with_column, with_near_duplicates

FAST = ("--learner", "logistic", "--learner", "extra_trees")


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    """A clean table as CSV."""
    path = tmp_path_factory.mktemp("compare") / "customers.csv"
    pc_csv.write_csv(clean_table(600), path)
    return path


def test_a_person_reads_a_table_the_preferred_learner_and_that_nothing_is_wrong(patron, csv):
    ran = patron("compare", csv, "--label", "churned", *FAST)
    assert (ran.code, ran.err) == (0, "")
    assert "480 rows to learn from, 120 to test on, cut at random." in ran.out
    for learner in ("majority", "best_column", "logistic", "extra_trees", "average"):
        assert learner in ran.out
    assert "Preferred: " in ran.out
    assert "A row counts as positive (churned = 1) from a probability of 0." in ran.out
    assert "Nothing wrong was found" in ran.out


def test_a_program_reads_rows_preferred_threshold_and_findings(patron, csv):
    ran = patron("compare", csv, "--label", "churned", *FAST, "--json")
    result = json.loads(ran.out)
    assert list(result) == ["rows", "preferred", "threshold", "findings"]
    assert list(result["rows"][0]) == ["learner", "part", "metric", "value", "low", "high"]
    assert result["preferred"] in {row["learner"] for row in result["rows"]}
    assert 0 < result["threshold"] < 1
    assert result["findings"] == []


def test_findings_are_printed_one_a_line(patron, tmp_path):
    table = with_near_duplicates(clean_table(1000))
    leak = [2 * one + at % 7 / 7 for at, one in enumerate(label_of(table))]
    pq.write_table(with_column(table, "balance_after", leak), tmp_path / "t.parquet")
    ran = patron("compare", tmp_path / "t.parquet", "--label", "churned", *FAST)
    marked = [line for line in ran.out.splitlines() if line.startswith("! ")]
    assert len(marked) == 2
    assert any("`balance_after` carries the outcome" in line for line in marked)
    assert any("have a twin among the training rows" in line for line in marked)
    assert "│without" in ran.out


def test_money_is_printed_with_its_interval(patron, csv):
    ran = patron("compare", csv, "--label", "churned", *FAST, "--gain-cents", 5000, "--cost-cents", 1000)
    assert "Acting on these rows brings " in ran.out


def test_json_lines_and_other_delimiters_are_read(patron, tmp_path):
    frame = clean_table(300).to_pandas()
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame.to_csv(tmp_path / "t.csv", sep=";", index=False)
    outputs = [
        patron("compare", tmp_path / name, "--label", "churned", "--learner", "logistic").out
        for name in ("t.jsonl", "t.csv")
    ]
    assert outputs[0] == outputs[1]
    assert "240 rows to learn from" in outputs[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.csv", "--label", "churned"), "nowhere.csv: there is no such file. Check the path."),
        (("{csv}", "--label", "churn"), "there is no column 'churn'. The table has x0"),
        (("{csv}", "--label", "city"), "has 30 different values"),
        (("{csv}", "--label", "churned", "--time", "channel"), "channel: the order of"),
        (("{csv}", "--label", "churned", "--learner", "xgboost"), "there is no learner xgboost"),
        (("{csv}", "--label", "churned", "--gain-cents", "5"), "needs both"),
    ],
)
def test_a_refusal_is_one_sentence_with_what_to_do(patron, csv, arguments, words):
    ran = patron("compare", *(argument.format(csv=csv) for argument in arguments))
    assert ran.code == 1
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_a_workbook_is_refused_with_how_to_save_it(patron, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    ran = patron("compare", tmp_path / "t.csv", "--label", "y")
    assert ran.code == 1
    assert "Save it as CSV" in ran.err
