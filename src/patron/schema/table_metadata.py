"""Facts about a table beyond its rows, kept in the metadata of its schema, such as a unit or a horizon."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

PREFIX = "patron."


def described(columns: Mapping[str, Any], **facts: object) -> pa.Table:
    """Table of these columns that carries facts; those that are None or empty are left out."""
    known = {f"{PREFIX}{name}": f"{value}" for name, value in facts.items() if value is not None and value != ""}
    return pa.table(dict(columns)).replace_schema_metadata(known)


def about(table: pa.Table) -> dict[str, str]:
    """Facts that a table carries, as text by name."""
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return {name.removeprefix(PREFIX): value for name, value in metadata.items() if name.startswith(PREFIX)}
