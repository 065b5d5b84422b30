"""Files that people upload in the console: kept privately until they are imported, looked into, tried, imported.

A file is checked as a whole before anything of it is stored, and deleted after its import, or a day after it came.
"""

import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from zoneinfo import available_timezones

import pyarrow.parquet as pq
from pydantic import Field

from patron.collect.files.file_reader import NOT_IN_ENCODING, InputFile, inspect_file, is_json, is_parquet
from patron.collect.files.import_preview import Preview
from patron.collect.files.mapping import BUILT_IN
from patron.collect.files.recognise_mapping import recognise_mapping
from patron.commands.data.column_mapping import ColumnMapping, mapping_toml, suggest_mapping
from patron.commands.data.import_files import (
    MAX_REJECTED_SHARE,
    FileOptions,
    ImportSummary,
    import_files,
    preview_import,
)
from patron.commands.data.init_workspace import missing_settings, write_missing_settings
from patron.govern.access.operations import operation
from patron.govern.privacy.value_detectors import personal_kind
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.common_sentences import CHOOSE_FILE
from patron.schema.data.dead_letter_reasons import FAULTS
from patron.schema.errors import BadFile, BadQuery, NotFound, code_of
from patron.schema.privacy.personal_keys import kind_of_property
from patron.schema.progress import Progress, silent
from patron.schema.sentences import Sentence
from patron.schema.tables import EVENTS
from patron.storage.durable_files import disk_errors, make_private_folder, private_file, write_durably
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import MAPPINGS_FOLDER, SCRATCH_FOLDER

UPLOAD_TWICE = Sentence("upload_twice", "Upload it again: nothing is stored twice.")
NO_FILE_OR_EMPTY = Sentence("no_file_or_empty", "no file was chosen, or it is empty")
NO_UPLOAD = Sentence("no_upload", "no such upload")
UPLOAD_DELETED = Sentence("upload_deleted", "the uploaded file was deleted after its import, or after a day")
NO_EVENT_ROWS = Sentence("no_event_rows", "no row of it is an event")
FAULTY_ROWS = Sentence("faulty_rows", "{share:.1%} of its rows are faulty, most of them {cause}; nothing was stored")
CURRENCY_CODE = Sentence("currency_code", "is not a currency code such as EUR")
TIME_ZONE = Sentence("time_zone", "is not a time zone such as Europe/Berlin")
FILE_LARGE = Sentence("file_large", "the file is larger than {size} MB")
UPLOAD_AGAIN = Sentence("upload_again", "Upload the file again.")
OTHER_COLUMNS = Sentence("other_columns", "Choose other columns.")
FIX_FILE = Sentence("fix_file", "Fix the file, or choose other columns.")
THREE_LETTERS = Sentence("three_letters", "Write three letters.")
CHOOSE_ANOTHER = Sentence("choose_another", "Choose another.")
USE_IMPORT = Sentence("use_import", "Use `patron import` for it.")

UPLOADS_FOLDER = "uploads"
MAPPING_FILE = "mapping.toml"
HEAD_FOLDER = "head"
CONTENT_FOLDER = "content"
UPLOAD_ID = re.compile("[0-9a-f]{16}")
MAX_BYTES = 256 << 20
KEPT_FOR = timedelta(days=1)
TRIED_ROWS = 100
SAMPLES = 3
MAX_SAMPLE_LENGTH = 40
CUSTOM = "custom"
"""Instead of a built-in mapping: the columns that were chosen."""
ENCODINGS = ("utf-8", "cp1252", "gb18030", "utf-16")
COPIED_BYTES = 1 << 20


@dataclass(frozen=True)
class UploadedColumn:
    """One column of a file, with values of its first rows; what is or may be personal is masked."""

    name: str
    samples: tuple[str, ...]
    is_personal: bool


@dataclass(frozen=True)
class Upload:
    """A file that was uploaded, what its columns are, and which mapping fits it."""

    upload_id: str
    file: str
    byte_count: int
    line_count: int
    encoding: str
    columns: tuple[UploadedColumn, ...]
    built_in: str
    """The built-in mapping whose columns it has; empty where none fits."""
    suggestion: ColumnMapping
    """Fields by the names of the columns."""


@dataclass(frozen=True)
class MappingChoice:
    """How a file is read."""

    mapping: str
    """Name of a built-in mapping, or `custom`."""
    columns: ColumnMapping
    """Of `custom`."""
    encoding: str = "utf-8"
    shop_currency: str = ""
    """Of a workspace without events: what its patron.toml then states; empty leaves it."""
    shop_time_zone: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """Settings of [shop] that the first import writes where there are none. Raises BadQuery."""
        currency, zone = self.shop_currency.strip().upper(), self.shop_time_zone.strip()
        if currency and not re.fullmatch("[A-Z]{3}", currency):
            raise BadQuery(CURRENCY_CODE, where="shop_currency", todo=THREE_LETTERS)
        if zone and zone not in available_timezones():
            raise BadQuery(TIME_ZONE, where="shop_time_zone", todo=CHOOSE_ANOTHER)
        return {name: value for name, value in (("currency", currency), ("time_zone", zone)) if value}


@dataclass(frozen=True)
class UploadTrial:
    """What the first rows of a file would become."""

    row_count: int
    """Lines that were read, headers included."""
    preview: Preview
    notes: tuple[str, ...]

    @property
    def faulty_share(self) -> float:
        """Share of the events in which something is wrong, 0 to 1."""
        return _faulty_share(self.preview)


def save_upload(shop: Shop, name: str, content: BinaryIO, *, now: datetime) -> str:
    """Keep a file privately and return its id. Raises BadFile for one that is empty or too large, NoSpace."""
    delete_old_uploads(shop, now=now)
    upload_id = secrets.token_hex(8)
    folder = _folder(shop, upload_id) / CONTENT_FOLDER
    for place in (_root(shop), folder.parent, folder):
        make_private_folder(place)
    try:
        with private_file(folder / _safe_name(name)) as out:
            _copy(content, out)
    except BaseException:
        delete_upload(shop, upload_id)
        raise
    return upload_id


def _copy(content: BinaryIO, out: BinaryIO) -> None:
    size = 0
    while block := content.read(COPIED_BYTES):
        size += len(block)
        if size > MAX_BYTES:
            raise BadFile(FILE_LARGE(size=MAX_BYTES >> 20), where="file", todo=USE_IMPORT)
        out.write(block)
    if not size:
        raise BadFile(NO_FILE_OR_EMPTY, where="file", todo=CHOOSE_FILE)


def _safe_name(name: str) -> str:
    """The file's name without folders and without signs that mean something to a path or a pattern."""
    bare = name.replace("\\", "/").rpartition("/")[2]
    clean = re.sub(r"[^\w.\- ]+", "_", bare).strip(" .")[-120:]
    return clean or "upload.csv"


def _root(shop: Shop) -> Path:
    return shop.folder / SCRATCH_FOLDER / UPLOADS_FOLDER


def _folder(shop: Shop, upload_id: str) -> Path:
    if not UPLOAD_ID.fullmatch(upload_id):
        raise NotFound(NO_UPLOAD, where=upload_id, todo=UPLOAD_AGAIN)
    return _root(shop) / upload_id


def _file(shop: Shop, upload_id: str) -> Path:
    files = sorted((_folder(shop, upload_id) / CONTENT_FOLDER).glob("*"))
    if not files:
        todo = UPLOAD_TWICE
        raise NotFound(UPLOAD_DELETED, where=upload_id, todo=todo)
    return files[0]


def delete_upload(shop: Shop, upload_id: str) -> None:
    """Delete an uploaded file, and what was made from it."""
    shutil.rmtree(_folder(shop, upload_id), ignore_errors=True)


def delete_old_uploads(shop: Shop, *, now: datetime) -> None:
    """Delete files that nobody imported within a day."""
    for folder in _root(shop).glob("*"):
        if now.timestamp() - folder.stat().st_mtime > KEPT_FOR.total_seconds():
            shutil.rmtree(folder, ignore_errors=True)


@operation(Right(Action.ACT, Area.DATA), "GET /api/uploads/{upload_id}")
def look_into_upload(shop: Shop, upload_id: str, *, encoding: Annotated[str, Field(max_length=20)] = "") -> Upload:
    """An uploaded file that is not imported yet: its columns, masked samples, and the mapping that fits it."""
    path = _file(shop, upload_id)
    source = _inspect(path, encoding)
    rows = next(iter(source.chunks())).rows.slice(0, SAMPLES)
    columns = tuple(
        _column(name, rows.column(name).to_pylist()) for name in source.columns if name in rows.column_names
    )
    return Upload(
        upload_id,
        path.name,
        byte_count=path.stat().st_size,
        line_count=source.line_count,
        encoding=source.encoding,
        columns=columns,
        built_in=_built_in(path, source.encoding),
        suggestion=suggest_mapping(source.columns),
    )


def _inspect(path: Path, encoding: str) -> InputFile:
    """Look at a file in an encoding, or in the first one that it can be read in. Raises BadFile."""
    if encoding:
        return inspect_file(path, delimiter=None, encoding=encoding if encoding in ENCODINGS else ENCODINGS[0])
    try:
        return inspect_file(path, delimiter=None, encoding=ENCODINGS[0])
    except BadFile as error:
        if code_of(error.what) != NOT_IN_ENCODING.code:
            raise
    try:
        return inspect_file(path, delimiter=None, encoding="gb18030")
    except BadFile:
        return inspect_file(path, delimiter=None, encoding="cp1252")


def _column(name: str, values: list[Any]) -> UploadedColumn:
    texts = [str(value)[:MAX_SAMPLE_LENGTH] for value in values if value is not None]
    is_personal = kind_of_property(name) != "plain" or any(personal_kind(text) for text in texts)
    samples = (f"{text[:1]}•••" for text in texts) if is_personal else texts
    return UploadedColumn(name, tuple(dict.fromkeys(samples)), is_personal)


def _built_in(path: Path, encoding: str) -> str:
    try:
        return recognise_mapping([str(path)], delimiter=None, encoding=encoding)
    except BadFile:
        return ""


def try_upload(shop: Shop, upload_id: str, choice: MappingChoice, *, now: datetime) -> UploadTrial:
    """Read the first rows as an import would, and write nothing. Raises NotFound, BadFile, BadMapping."""
    shop.reload_settings()  # why: the first import, by another process, has written the shop's currency
    path = _file(shop, upload_id)
    head = _head(path, choice.encoding)
    options = FileOptions(encoding=choice.encoding)
    mapping = _mapping(shop, upload_id, choice)
    shown = preview_import(
        shop, [str(head)], mapping, now=now, progress=silent, options=options, stated=choice.settings
    )
    return UploadTrial(shown.preview.line_count, shown.preview, shown.notes)


def _mapping(shop: Shop, upload_id: str, choice: MappingChoice, *, is_kept: bool = False) -> str:
    """Name of the built-in mapping, or the file that the chosen columns are written to. Raises BadMapping."""
    if choice.mapping in BUILT_IN:
        return choice.mapping
    source = _inspect(_file(shop, upload_id), choice.encoding)
    content = mapping_toml(choice.columns, source.columns)
    name = content.partition('"')[2].partition('"')[0]
    folder = shop.folder / MAPPINGS_FOLDER if is_kept else _folder(shop, upload_id)
    make_private_folder(folder)
    path = folder / (f"{name}.toml" if is_kept else MAPPING_FILE)
    write_durably(path, content.encode())
    return str(path)


def _head(path: Path, encoding: str) -> Path:
    """A file with the first rows of another one."""
    folder = path.parent.parent / HEAD_FOLDER
    make_private_folder(folder)
    head = folder / path.name
    with disk_errors(head):
        if is_parquet(path):
            batch = next(pq.ParquetFile(path).iter_batches(TRIED_ROWS))
            pq.write_table(pq.ParquetFile(path).read().slice(0, batch.num_rows), head)
        else:
            with path.open("rb") as file:
                count = TRIED_ROWS + (not is_json(path))
                write_durably(head, b"".join(islice(_records(file, encoding), count)))
    return head


def _records(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    """Rows of a text file, each with the lines that its quoted values have."""
    if encoding.startswith("utf-16"):
        yield from [file.read()]
        return
    row = b""
    for line in file:
        row += line
        if row.count(b'"') % 2 == 0:
            yield row
            row = b""
    if row:
        yield row


def _faulty_share(preview: Preview) -> float:
    faulty = sum(count for reason, count in preview.rejected_by_reason.items() if reason in FAULTS)
    return faulty / preview.counts.total if preview.counts.total else 0.0


def import_upload(shop: Shop, options: Mapping[str, Any], *, now: datetime, progress: Progress) -> ImportSummary:
    """Import an uploaded file as `choice_options` has it: check all of it first, then store, then delete the file.

    Raises BadFile, with nothing stored, where too many rows are faulty; and as an import does.
    """
    shop.reload_settings()
    upload_id, choice = str(options["upload_id"]), choice_of(options)
    path = _file(shop, upload_id)
    mapping = _mapping(shop, upload_id, choice, is_kept=True)
    read = FileOptions(encoding=choice.encoding)
    stated = choice.settings
    checked = preview_import(
        shop, [str(path)], mapping, now=now, progress=progress, options=read, stated=stated
    ).preview
    if not checked.counts.total:
        raise BadFile(NO_EVENT_ROWS, where=path.name, todo=OTHER_COLUMNS)
    share = _faulty_share(checked)
    if share > MAX_REJECTED_SHARE:
        faults = {reason: count for reason, count in checked.rejected_by_reason.items() if reason in FAULTS}
        most = max(faults, key=lambda reason: faults[reason])
        raise BadFile(
            FAULTY_ROWS(share=share, cause=most),
            where=path.name,
            todo=FIX_FILE,
        )
    with _with_settings(shop, stated) as fitted:
        summary = import_files(fitted, [str(path)], mapping, now=now, progress=progress, options=read)
    delete_upload(shop, upload_id)
    return summary


@contextmanager
def _with_settings(shop: Shop, stated: dict[str, str]) -> Iterator[Shop]:
    """Write the settings of a first import where patron.toml states none."""
    if shop.lake.exists(EVENTS):
        yield shop
        return
    with shop.commit_lock():
        write_missing_settings(shop.folder, missing_settings(shop.folder, stated))
    with closing(Shop.open(shop.folder)) as fitted:
        yield fitted


def choice_options(upload_id: str, choice: MappingChoice) -> dict[str, Any]:
    """A choice as the options of a job."""
    columns = {**vars(choice.columns), "columns": dict(choice.columns.columns)}
    return {"upload_id": upload_id, **vars(choice), "columns": columns}


def choice_of(options: Mapping[str, Any]) -> MappingChoice:
    """The choice that options hold."""
    values = {name: value for name, value in options.items() if name != "upload_id"}
    return MappingChoice(**{**values, "columns": ColumnMapping(**options["columns"])})
