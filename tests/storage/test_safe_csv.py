import csv

from patron.storage.safe_csv import safe_cell, write_csv


def test_no_cell_starts_a_formula():
    for evil in ('=HYPERLINK("x")', "+1", "-1", "@sum", "\t=1", "\r=1"):
        assert safe_cell(evil) == f"'{evil}"
    assert safe_cell("+491711234567") == "+491711234567"  # an id that a mail system needs as it is
    assert safe_cell("customer 7") == "customer 7"


def test_a_file_is_replaced_whole_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "run" / "offers_file.csv"
    write_csv(path, ["user_id"], [["a"], ["b"]])
    write_csv(path, ["user_id"], [['quote " and, comma'], ["söhne"]])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["user_id"], ['quote " and, comma'], ["söhne"]]
    assert [one.name for one in path.parent.iterdir()] == ["offers_file.csv"]
    assert path.stat().st_mode & 0o077 == 0
