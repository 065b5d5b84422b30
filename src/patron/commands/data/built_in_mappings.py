"""What the built-in mappings are."""

from dataclasses import dataclass

from patron.collect.files.mapping import BUILT_IN, description, load_mapping
from patron.collect.mapping_columns import columns_by_file


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
