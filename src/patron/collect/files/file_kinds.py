"""Files that are no CSV, JSON lines or Parquet, named by their first bytes with what to do about them."""

import codecs
import zipfile
from pathlib import Path

from patron.schema.errors import BadFile
from patron.schema.sentences import Sentence

WRONG_KIND = Sentence("wrong_kind", "is {kind}, which Patron does not read")
UTF16 = Sentence("utf16", "is written in UTF-16, not in {name}")

NAME_UTF16 = Sentence("name_utf16", "Name the encoding: --encoding {name}.")
XLS = Sentence("kind_xls", "an Excel workbook (.xls)")
XLSX = Sentence("kind_xlsx", "an Excel workbook (.xlsx)")
ODS = Sentence("kind_ods", "an OpenDocument spreadsheet (.ods)")
NUMBERS = Sentence("kind_numbers", "a Numbers spreadsheet")
PDF = Sentence("kind_pdf", "a PDF")
PARQUET = Sentence("kind_parquet", "a Parquet file under another name")
WEB_PAGE = Sentence("kind_web_page", "a web page")
ZIP = Sentence("kind_zip", "a ZIP archive")
DAMAGED_ZIP = Sentence("kind_damaged_zip", "a damaged ZIP archive")
SAVE_AS_CSV = Sentence("save_as_csv", "Save it as CSV (in Excel: File > Save As > CSV UTF-8) and import that file.")
EXPORT_CSV = Sentence("export_csv", "Export the data as CSV.")
EXPORT_NUMBERS = Sentence("export_numbers", "Export it as CSV (File > Export To > CSV) and import that file.")
RENAME_PARQUET = Sentence("rename_parquet", "Rename it to end in .parquet.")
LOG_IN_TO_SHOP = Sentence("log_in_to_shop", "It may be the login page of the shop: log in and export the file again.")
UNPACK_FIRST = Sentence("unpack_first", "Unpack it first.")
UNPACK_FILES = Sentence("unpack_files", "Unpack it and import the files in it.")
DOWNLOAD_AGAIN = Sentence("download_again", "Download it again, unpack it, and import the files in it.")

HEAD_BYTES = 512
ARCHIVES = {
    b"\x1f\x8b": Sentence("kind_gzip", "a gzip file"),
    b"BZh": Sentence("kind_bzip2", "a bzip2 file"),
    b"\xfd7zXZ": Sentence("kind_xz", "an xz file"),
    b"(\xb5/\xfd": Sentence("kind_zstandard", "a Zstandard file"),
    b"7z\xbc\xaf": Sentence("kind_7zip", "a 7-Zip archive"),
    b"Rar!": Sentence("kind_rar", "a RAR archive"),
}
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def refuse_other_kinds(path: Path, encoding: str) -> None:
    """Raise BadFile for a workbook, an archive, a web page, a PDF, or a text in UTF-16 read as another encoding."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    kind, todo = _kind(path, head)
    if kind:
        raise BadFile(WRONG_KIND(kind=kind), where=str(path), todo=todo)
    is_utf_16 = encoding.replace("_", "-").lower().startswith(("utf-16", "utf16"))
    if not is_utf_16 and (head.startswith(UTF_16) or _has_zero_in_each_pair(head)):
        # why: without a mark at the beginning, utf-16 means the machine's own byte order
        name = "utf-16" if head.startswith(UTF_16) else "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
        raise BadFile(UTF16(name=encoding), where=str(path), todo=NAME_UTF16(name=name))


def _kind(path: Path, head: bytes) -> tuple[str, str]:
    """What a file is that cannot be read, and what to do; nothing for one that may be read."""
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return XLS, SAVE_AS_CSV
    if head.startswith(b"%PDF"):
        return PDF, EXPORT_CSV
    if head.startswith(b"PAR1"):
        return PARQUET, RENAME_PARQUET
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return WEB_PAGE, LOG_IN_TO_SHOP
    archive = next((name for mark, name in ARCHIVES.items() if head.startswith(mark)), "")
    return archive, UNPACK_FIRST


def _zip_kind(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return DAMAGED_ZIP, DOWNLOAD_AGAIN
    if any(name.startswith("xl/") for name in names):
        return XLSX, SAVE_AS_CSV
    if "content.xml" in names:
        return ODS, SAVE_AS_CSV
    if any(name.startswith("Index/") for name in names):
        return NUMBERS, EXPORT_NUMBERS
    return ZIP, UNPACK_FILES


def _has_zero_in_each_pair(head: bytes) -> bool:
    """Whether each pair of bytes has one zero, as Latin letters have in UTF-16."""
    pairs = head[: len(head) // 2 * 2]
    return len(pairs) >= 4 and (not any(pairs[::2]) or not any(pairs[1::2])) and any(pairs)
