"""Files of another kind are named, with what to do about them; nothing of them is stored."""

import io
import zipfile

import pytest

from patron.collect.files.file_import import FileOptions, import_files
from patron.schema.errors import BadFile
from patron.schema.tables import EVENTS

CDNOW = "customer_id,date,units,value\n7,1997-01-01,2,11.77\n"


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "content")  # why: with the time, each worker has other tests
    return file.getvalue()


@pytest.fixture
def bring(shop, tmp_path, received_at):
    def bring(name: str, content: bytes | str, **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return import_files(shop, [str(path)], mapping="cdnow", received_at=received_at, options=FileOptions(**options))

    return bring


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("orders.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook .*CSV UTF-8"),
        ("orders.csv", zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook .*CSV UTF-8"),
        ("orders.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"an Excel workbook \(.xls\)"),
        ("orders.ods", zipped("mimetype", "content.xml"), "an OpenDocument spreadsheet"),
        ("orders.numbers", zipped("Index/Document.iwa"), "a Numbers spreadsheet.*Export To"),
        ("orders.zip", zipped("orders.csv"), "a ZIP archive.*Unpack it"),
        ("orders.zip", b"PK\x03\x04 nothing more", "a damaged ZIP archive"),
        ("orders.csv.gz", b"\x1f\x8b\x08\x00", "a gzip file.*Unpack it"),
        ("orders.pdf", b"%PDF-1.7", "a PDF"),
        ("orders.csv", b"PAR1" + bytes(20), "a Parquet file under another name.*Rename"),
        ("orders.csv", "\n<!DOCTYPE html><html><body>Log in", "a web page.*log in and export"),
        ("orders.csv", CDNOW.encode("utf-16"), "written in UTF-16, not in utf-8.*--encoding utf-16"),
        ("orders.csv", CDNOW.encode("utf-16-le"), "--encoding utf-16-le"),
        ("orders.csv", CDNOW.encode("utf-16-be"), "--encoding utf-16-be"),
        ("orders.jsonl", '{"date": 1}\n'.encode("utf-16"), "written in UTF-16"),
    ],
)
def test_a_file_of_another_kind_is_named(shop, bring, name, content, words):
    with pytest.raises(BadFile, match=words) as refused:
        bring(name, content)
    assert refused.value.todo
    assert not shop.lake.exists(EVENTS)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "UTF_16"])
def test_utf_16_is_read_when_it_is_named(bring, encoding):
    assert bring("orders.csv", CDNOW.encode(encoding), encoding=encoding).stored == 1


@pytest.mark.parametrize(
    ("mark", "given", "words"),
    [
        ("~", None, "a single column, 'customer_id~date~units~value'.*--delimiter '~'"),
        (";", ",", "read with the delimiter ','.*--delimiter ';'"),
        (",", ";", "read with the delimiter ';'.*--delimiter ,"),
    ],
)
def test_a_header_of_a_single_column_asks_about_the_delimiter(bring, mark, given, words):
    with pytest.raises(BadFile, match=words):
        bring("orders.csv", CDNOW.replace(",", mark), delimiter=given)


def test_a_delimiter_may_be_called_by_its_name_and_is_one_character(bring):
    content = CDNOW.replace(",", "\t")
    assert bring("orders.csv", content, delimiter="tab").stored == 1
    assert bring("orders.csv", content, delimiter="\\t").duplicate == 1
    with pytest.raises(BadFile, match="';;' cannot be a delimiter"):
        bring("orders.csv", content, delimiter=";;")
