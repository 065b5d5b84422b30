"""Metadata of an Arrow table, such as a unit or a horizon, in its schema."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

PREFIX = "patron."


def with_metadata(columns: Mapping[str, Any], **facts: object) -> pa.Table:
    """Table of these columns with metadata; facts that are None or empty are left out."""
    known = {f"{PREFIX}{name}": f"{value}" for name, value in facts.items() if value is not None and value != ""}
    return pa.table(dict(columns)).replace_schema_metadata(known)


def metadata_of(table: pa.Table) -> dict[str, str]:
    """Metadata of a table, as text by name."""
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return {name.removeprefix(PREFIX): value for name, value in metadata.items() if name.startswith(PREFIX)}
