"""Whoever writes a cell cannot make a spreadsheet of any country compute it, and numbers stay numbers."""

import csv
import io
import re
import time
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

import patron
from patron.storage.safe_csv import csv_parts, csv_text, plain_cell, safe_cell, safe_column, write_csv

SIGNS = [one for one in map(chr, range(0x10000)) if unicodedata.normalize("NFKC", one) in {*"=+-@", "\N{MINUS SIGN}"}]
CELLS = [
    f"{blank}{sign}SUM(1)" for sign in SIGNS for blank in ("", " ", "\t", "\r", "\n", "\xa0", "\ufeff", "\0", " \t ")
]
CELLS += [f"name{mark}{sign}1+1{mark}" for sign in "=+-@" for mark in (";", "\n", "\r\n", "\t", "; ", ";\n", ";;")]
CELLS += [
    '=HYPERLINK("http://x";"a")',
    '";=1+1;"',
    '",=1+1,"',
    '""\n=1+1',
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
]
STARTS = re.compile(r"[\s\0\xa0\ufeff\u3000]*[=+\-@\N{MINUS SIGN}]")


def cells_as_read(text: str) -> list[str]:
    """Every cell that a spreadsheet may make of a file: by commas, by semicolons, by tabs, and line by line."""
    read = [
        cell
        for mark in (",", ";", "\t")
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        for cell in row
    ]
    return read + [part for line in re.split("[\r\n]", text) for part in re.split("[;\t]", line)]


def is_formula(cell: str) -> bool:
    return STARTS.match(unicodedata.normalize("NFKC", cell)) is not None


@pytest.mark.parametrize("cell", CELLS)
def test_no_cell_is_a_formula_wherever_a_spreadsheet_parts_the_line(cell):
    table = pa.table({cell: [cell], "n": [1]})
    for text in (csv_text([["id", cell], ["1", cell]]), b"".join(csv_parts(table)).decode()):
        assert [one for one in cells_as_read(text) if is_formula(one)] == []
    assert (plain_cell(safe_cell(cell)), safe_cell(safe_cell(cell))) == (cell, safe_cell(cell))


def test_texts_that_compute_nothing_stay_as_they_are():
    for text in ("+491711234567", "customer 7", "", "a=b", "2-3", "x@y.example", "'quoted", "söhne; töchter", "1;2\n3"):
        assert safe_cell(text) == text, "an id that a mail system needs as it is"


def test_numbers_stay_numbers():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert csv_text([["n", "x", "t"], [-5, -1.5, None]]) == "n,x,t\r\n-5,-1.5,\r\n"
    table = pa.table({"n": [-5], "x": [-1.5], "d": [Decimal("-2.50")], "at": [at], "no": [None], "flag": [True]})
    assert b"".join(csv_parts(table)).splitlines()[1] == b"-5,-1.5,-2.50,2026-01-01 00:00:00.000000Z,,true"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_no_cell_of_a_column_is_a_formula(kind):
    assert safe_column(pa.chunked_array([pa.array(["=1+1", "a", None]).cast(kind)])).to_pylist() == ["'=1+1", "a", None]


def test_a_table_of_any_type_can_be_written_also_with_one_name_twice():
    columns = [pa.array([["=1"]]), pa.array([b"=1"]), pa.array([{"=x": 1}]), pa.array([], pa.string())]
    for column in columns:
        [header, *rows] = csv.reader(
            io.StringIO(b"".join(csv_parts(pa.Table.from_arrays([column] * 2, ["a", "a"]))).decode())
        )
        assert (header, [cell for row in rows for cell in row if is_formula(cell)]) == (["a", "a"], [])


def test_a_cell_of_a_megabyte_takes_no_longer_than_its_bytes():
    began = time.process_time()
    for evil in (" " * 1_000_000, ";" * 1_000_000, "; " * 500_000, "\n\t" * 500_000):
        assert safe_cell(evil) == evil
    assert time.process_time() - began < 5


def test_nothing_else_writes_csv():
    writes = re.compile(
        r"\bcsv\.(writer|DictWriter)\b|\b(to_csv|pa_csv\.write_csv|pc_csv\.write_csv)\b|(?i:\bcopy\b.+\bcsv\b)"
    )
    folder = Path(patron.__file__).parent
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.py") if writes.search(path.read_text("utf-8"))}
    assert found == {"storage/safe_csv.py"}


def test_a_file_is_replaced_whole_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "run" / "offers_file.csv"
    write_csv(path, ["user_id"], [["a"], ["b"]])
    write_csv(path, ["user_id"], [['quote " and, comma'], ["söhne"]])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["user_id"], ['quote " and, comma'], ["söhne"]]
    assert [one.name for one in path.parent.iterdir()] == ["offers_file.csv"]
    assert path.stat().st_mode & 0o077 == 0
