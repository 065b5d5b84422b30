"""Results that are rows: read one by one, or as an Arrow table."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import pyarrow as pa

Row = TypeVar("Row")


@dataclass(frozen=True)
class ResultRows(Generic[Row]):
    """Frozen rows of one kind; any frame library reads them through the Arrow C stream."""

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        """The rows in their order."""
        return iter(self.rows)

    def to_table(self) -> pa.Table:
        """One row each, with the fields of a row as columns."""
        names = [one.name for one in fields(self.rows[0])] if self.rows else []  # pyright: ignore[reportArgumentType]
        return pa.table({name: [getattr(row, name) for row in self.rows] for name in names})

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The table, as Polars, DuckDB, pandas and Arrow read it."""
        return self.to_table().__arrow_c_stream__(requested_schema)
