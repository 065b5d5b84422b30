"""Show what an import would do, and what the built-in mappings are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from patron.collect.file_import import AS_MAPPED, FileOptions
from patron.collect.import_preview import Preview
from patron.collect.import_preview import preview_import as read_files
from patron.collect.mapping import BUILT_IN, description, load_mapping
from patron.collect.recognise_mapping import columns_by_file
from patron.commands.import_files import choose_mapping, listed, settings_of_first_import
from patron.run import Progress
from patron.storage.shop import Shop


@dataclass(frozen=True)
class ImportPreview:
    """What an import would do; nothing was written."""

    mapping: str
    preview: Preview
    notes: tuple[str, ...]


def preview_import(
    shop: Shop, files: Sequence[str], mapping: str, *, progress: Progress, options: FileOptions = AS_MAPPED
) -> ImportPreview:
    """Read files as an import would, and write nothing. Raises BadMapping, BadFile, MasterKeyError."""
    source, notes = choose_mapping(mapping, files, options)
    settings = settings_of_first_import(shop, load_mapping(source))
    if settings:
        notes = (*notes, f"First import: {listed(settings)} will be written to patron.toml.")
    preview = read_files(
        shop,
        files,
        mapping=source,
        received_at=datetime.now(UTC),
        options=options,
        currencies=frozenset({settings["currency"]} if "currency" in settings else ()),
        progress=lambda n, m: progress("reading rows", n, m),
    )
    return ImportPreview(str(source), preview, notes)


@dataclass(frozen=True)
class MappingDescription:
    """A built-in mapping: what it is for, and the columns that its files must have."""

    name: str
    description: str
    columns_by_file: dict[str, list[str]]
    """Columns by the pattern of the files' names."""


def built_in_mappings() -> tuple[MappingDescription, ...]:
    """All built-in mappings."""
    return tuple(
        MappingDescription(
            name,
            description(name),
            {files: sorted(columns) for files, columns in columns_by_file(load_mapping(name)).items()},
        )
        for name in BUILT_IN
    )
