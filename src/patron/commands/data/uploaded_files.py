"""Files that people upload in the console: looked into, tried, imported.

A file is checked as a whole before anything of it is stored, and deleted after its import, or a day after it came. What
is in it is first read in a sandbox; the server itself reads rows that the sandbox took from its beginning.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar
from zoneinfo import available_timezones

import msgspec
from pydantic import Field

from patron.collect.files.file_head import read_first_rows, read_head
from patron.collect.files.import_preview import Preview
from patron.collect.files.mapping import BUILT_IN
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
from patron.schema.data.dead_letter_reasons import FAULTS
from patron.schema.errors import BadFile, BadQuery
from patron.schema.privacy.personal_keys import kind_of_property
from patron.schema.progress import Progress, silent
from patron.schema.sentences import Sentence
from patron.schema.tables import EVENTS
from patron.storage.data.sealed_uploads import (
    clear_upload,
    delete_old_uploads,
    delete_upload,
    seal_upload,
    upload_folder,
    uploads_folder,
)
from patron.storage.durable_files import make_private_folder, write_durably
from patron.storage.sandbox.sandbox import Sandbox, Stopped
from patron.storage.sandbox.sandbox_process import Bounds
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import MAPPINGS_FOLDER

NO_EVENT_ROWS = Sentence("no_event_rows", "no row of it is an event")
FAULTY_ROWS = Sentence("faulty_rows", "{share:.1%} of its rows are faulty, most of them {cause}; nothing was stored")
CURRENCY_CODE = Sentence("currency_code", "is not a currency code such as EUR")
TIME_ZONE = Sentence("time_zone", "is not a time zone such as Europe/Berlin")
OTHER_COLUMNS = Sentence("other_columns", "Choose other columns.")
FIX_FILE = Sentence("fix_file", "Fix the file, or choose other columns.")
THREE_LETTERS = Sentence("three_letters", "Write three letters.")
CHOOSE_ANOTHER = Sentence("choose_another", "Choose another.")

MAPPING_FILE = "mapping.toml"
TRIED_ROWS = 100
ENCODINGS = ("utf-8", "cp1252", "gb18030", "utf-16")
"""Encodings that people may choose."""
Result = TypeVar("Result")
CUSTOM = "custom"
"""Instead of a built-in mapping: the columns that were chosen."""
READING = Bounds(seconds=10.0)
"""What looking into a file may take; an import has a process of its own, and takes its time."""
SHORTER_EXPORT = Sentence("shorter_export", "Export fewer columns and rows, or check what made the file.")


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
    """Keep a file, sealed, and return its id. Raises BadFile for one that is empty or too large, NoSpace."""
    delete_old_uploads(shop, now=now)
    return seal_upload(shop, name, content)


@operation(Right(Action.ACT, Area.DATA), "GET /api/uploads/{upload_id}")
def look_into_upload(shop: Shop, upload_id: str, *, encoding: Annotated[str, Field(max_length=20)] = "") -> Upload:
    """An uploaded file that is not imported yet: its columns, masked samples, and the mapping that fits it."""
    with clear_upload(shop, upload_id) as path:
        return _look(shop, upload_id, path, encoding)


def _look(shop: Shop, upload_id: str, path: Path, encoding: str) -> Upload:
    head = _read(shop, path, read_head, encoding if encoding in ENCODINGS else "")
    return Upload(
        upload_id,
        path.name,
        byte_count=path.stat().st_size,
        line_count=head.line_count,
        encoding=head.encoding,
        columns=tuple(_column(name, texts) for name, texts in head.samples.items()),
        built_in=head.built_in,
        suggestion=suggest_mapping(head.columns),
    )


def _read(shop: Shop, path: Path, function: Callable[..., Result], *arguments: object) -> Result:
    """Let a sandbox read a file that somebody sent. Raises BadFile."""
    try:
        folder = uploads_folder(shop)
        return _reader(folder, folder.stat().st_ino).call(function, str(path), *arguments)
    except Stopped as stopped:
        raise stopped.refusal(BadFile, where=path.name, todo=SHORTER_EXPORT) from stopped
    except BadFile as refused:
        raise BadFile(refused.what, where=path.name, todo=refused.todo) from refused


@lru_cache(4)
def _reader(folder: Path, _inode: int) -> Sandbox:
    """The processes that look into the uploads of a workspace; another folder in its place is another one to them."""
    return Sandbox(msgspec.structs.replace(READING, readable=(str(folder),)))


def _column(name: str, texts: tuple[str, ...]) -> UploadedColumn:
    is_personal = kind_of_property(name) != "plain" or any(personal_kind(text) for text in texts)
    samples = (f"{text[:1]}•••" for text in texts) if is_personal else texts
    return UploadedColumn(name, tuple(dict.fromkeys(samples)), is_personal)


def try_upload(shop: Shop, upload_id: str, choice: MappingChoice, *, now: datetime) -> UploadTrial:
    """Read the first rows as an import would, and write nothing. Raises NotFound, BadFile, BadMapping."""
    shop.reload_settings()  # why: the first import, by another process, has written the shop's currency
    with clear_upload(shop, upload_id) as path:
        mapping = _mapping(shop, upload_id, path, choice)
        first_rows = _read(shop, path, read_first_rows, choice.encoding, TRIED_ROWS)
        path.unlink()
        write_durably(path, first_rows)
        shown = preview_import(
            shop,
            [str(path)],
            mapping,
            now=now,
            progress=silent,
            options=FileOptions(encoding=choice.encoding),
            stated=choice.settings,
        )
    return UploadTrial(shown.preview.line_count, shown.preview, shown.notes)


def _mapping(shop: Shop, upload_id: str, path: Path, choice: MappingChoice, *, is_kept: bool = False) -> str:
    """Name of the built-in mapping, or the file that the chosen columns are written to. Raises BadMapping."""
    if choice.mapping in BUILT_IN:
        return choice.mapping
    content = mapping_toml(choice.columns, _read(shop, path, read_head, choice.encoding).columns)
    name = content.partition('"')[2].partition('"')[0]
    folder = shop.folder / MAPPINGS_FOLDER if is_kept else upload_folder(shop, upload_id)
    make_private_folder(folder)
    file = folder / (f"{name}.toml" if is_kept else MAPPING_FILE)
    write_durably(file, content.encode(), is_shared=True)
    return str(file)


def _faulty_share(preview: Preview) -> float:
    faulty = sum(count for reason, count in preview.rejected_by_reason.items() if reason in FAULTS)
    return faulty / preview.counts.total if preview.counts.total else 0.0


def import_upload(shop: Shop, options: Mapping[str, Any], *, now: datetime, progress: Progress) -> ImportSummary:
    """Import an uploaded file as `choice_options` has it: check all of it first, then store, then delete the file.

    Raises BadFile, with nothing stored, where too many rows are faulty; and as an import does.
    """
    shop.reload_settings()
    upload_id, choice = str(options["upload_id"]), choice_of(options)
    with clear_upload(shop, upload_id) as path:
        mapping = _mapping(shop, upload_id, path, choice, is_kept=True)
        summary = _import_clear(shop, path, mapping, choice, now=now, progress=progress)
    delete_upload(shop, upload_id)
    return summary


def _import_clear(
    shop: Shop, path: Path, mapping: str, choice: MappingChoice, *, now: datetime, progress: Progress
) -> ImportSummary:
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
        raise BadFile(FAULTY_ROWS(share=share, cause=most), where=path.name, todo=FIX_FILE)
    with _with_settings(shop, stated) as fitted:
        return import_files(fitted, [str(path)], mapping, now=now, progress=progress, options=read)


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
