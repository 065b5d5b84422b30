"""Files that are small but large to read, or that never end, are refused by name, and others are read."""

import pytest
from tests.support.hostile import hostile_inputs

from patron.collect.files.file_head import read_first_rows, read_head
from patron.collect.files.file_limits import MAX_COLUMNS
from patron.collect.files.file_reader import inspect_file
from patron.schema.errors import BadFile

FILES = hostile_inputs.files()


@pytest.fixture
def written(tmp_path):
    def write(name):
        path = tmp_path / name
        path.write_bytes(FILES[name]())
        return path

    return write


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("300000-columns.csv", "header has more than 65,536 characters"),
        ("1001-columns.csv", "more than 1,000 columns"),
        ("long-header.csv", "header has more than 65,536 characters"),
        ("header-that-goes-on.csv", "an unclosed quotation mark"),
        ("80000-keys.jsonl", "more than 1,000 different keys"),
        ("80000-keys-in-one.jsonl", "more than 1,000 different keys"),
        ("long-line.jsonl", "line 1 has more than 1,048,576 bytes"),
        ("names-of-ours.csv", "a column _row"),
        ("rows-alike.parquet", "more rows"),
        ("same-names.parquet", "repeats names"),
        ("a-longer-name.parquet", "more than 200 characters"),
        ("many-long-names.parquet", "more than 200 characters"),
        ("no-names.csv", "looks like personal data"),
    ],
)
def test_a_file_beyond_a_limit_is_refused_with_the_limit(written, name, problem):
    with pytest.raises(BadFile, match=problem):
        read_head(str(written(name)), "")


def test_keys_that_come_late_are_refused_where_they_come(written):
    source = inspect_file(written("keys-late.jsonl"), delimiter=None, encoding="utf-8")
    with pytest.raises(BadFile, match="different keys"):
        list(source.chunks())


def test_the_most_columns_that_a_file_may_have_are_read(written):
    head = read_head(str(written("1000-columns.csv")), "")
    assert len(head.columns) == len(head.samples) == MAX_COLUMNS


def test_the_first_rows_are_few_bytes_whatever_the_file_holds(written):
    for name in ("open-quote.csv", "one-line.csv", "line-feeds.csv", "long-texts.parquet", "utf-16.csv"):
        path = written(name)
        encoding = "utf-16" if name.startswith("utf-16") else "utf-8"
        assert len(read_first_rows(str(path), encoding, 100)) < 3 << 20, name
    with pytest.raises(BadFile, match="one of its rows has more than"):
        read_first_rows(str(written("one-long-text.parquet")), "", 100)


def test_a_row_of_many_lines_counts_as_one_and_one_that_does_not_end_as_no_more(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b\n"one\ntwo\nthree",2\n3,4\n5,6\n')
    assert read_first_rows(str(path), "utf-8", 1) == b'a,b\n"one\ntwo\nthree",2\n'
    path.write_text('a,b\n"' + "x\n" * 5_000)
    assert read_first_rows(str(path), "utf-8", 1).count(b"\n") == 101


def test_nesting_of_a_line_is_bounded(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"a":' + "[" * 99 + "]" * 99 + '}\n{"a":' + "[" * 100 + "]" * 100 + '}\n{"a":"' + "[" * 300 + '"}\n'
    )
    [chunk] = inspect_file(path, delimiter=None, encoding="utf-8").chunks()
    assert [line for line, _ in chunk.unreadable] == [2]


def test_a_file_of_utf_16_is_known_by_its_first_bytes(written):
    head = read_head(str(written("utf-16.csv")), "")
    assert (head.encoding, head.columns) == ("utf-16", ("a", "b"))
