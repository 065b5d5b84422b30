"""Made-up rows that keep a table's declaration: test data that needs no hand."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from patron.schema.table_checks import validated
from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TIME, Column, Table
from patron.storage.duck_engine import DuckEngine

START = datetime(2024, 1, 1, tzinfo=UTC)
NULL_SHARE = 0.2


def sample(table: Table, count: int, rng: np.random.Generator) -> pa.Table:
    """Draw rows that pass the table's own validation. Raises ValueError when its checks leave too few of them."""
    drawn = pa.table({c.name: _column(c, 8 * count, rng, is_key=c.name in table.key) for c in table.columns})
    passing = " and ".join(f"({check})" for check in table.conditions()) or "true"
    kept = DuckEngine().query(f"select * from drawn where {passing} limit {count}", {"drawn": drawn})
    if kept.num_rows < count:
        raise ValueError(f"fewer than {count} of {8 * count} drawn rows of {table.name} pass its checks")
    return validated(table, kept)


def _column(column: Column, count: int, rng: np.random.Generator, *, is_key: bool) -> pa.Array:
    numbers = np.arange(count) if is_key else rng.integers(0, 6, count)
    hidden = rng.random(count) < NULL_SHARE if column.nullable else np.zeros(count, dtype=bool)
    if column.choices:
        values = [column.choices[n % len(column.choices)] for n in numbers]
    elif column.type == TEXT:
        values = [f"{column.name}-{n}" for n in numbers]
    elif column.type == INT:
        values = numbers
    elif column.type == NUMBER:
        values = rng.random(count)
    elif column.type == FLAG:
        values = rng.random(count) < 0.5
    elif column.type == TIME:
        micros = int(START.timestamp() * 1e6) + np.sort(rng.integers(0, 10**13, count))
        return pa.array(micros, pa.int64(), mask=hidden).cast(TIME)
    else:
        return pa.nulls(count, column.type) if column.nullable else pa.array([[]] * count, column.type)
    return pa.array(values, column.type, mask=hidden)
