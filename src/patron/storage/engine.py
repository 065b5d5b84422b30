"""One SQL on one machine and on a cluster: DuckDB embedded, or Spark through SQLGlot.

Queries keep to the portable subset of the design (UTC, no interval arithmetic, ordered row_number for ties ...).
The few functions that the two engines spell differently are named here once and known to both.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa

PORTABLE = {
    "seconds_of": (("ts",), "cast(floor(epoch(ts)) as bigint)", "unix_timestamp({0})"),
    "local_hour": (
        ("ts", "zone"),
        "cast(extract(hour from timezone(zone, ts)) as bigint)",
        "cast(hour(from_utc_timestamp({0}, {1})) as bigint)",
    ),
    "local_day": (
        ("ts", "zone"),
        "cast(floor(epoch(timezone(zone, ts)) / 86400) as bigint)",
        "cast(unix_date(to_date(from_utc_timestamp({0}, {1}))) as bigint)",
    ),
    "local_weekday": (
        ("ts", "zone"),
        "(cast(floor(epoch(timezone(zone, ts)) / 86400) as bigint) + 3) % 7",
        "cast(weekday(from_utc_timestamp({0}, {1})) as bigint)",
    ),
    "local_month": (
        ("ts", "zone"),
        "cast(extract(month from timezone(zone, ts)) as bigint)",
        "cast(month(from_utc_timestamp({0}, {1})) as bigint)",
    ),
    "part_of": (
        ("amount", "weight", "total"),
        "cast((cast(amount as hugeint) * weight) // nullif(total, 0) as bigint)",
        "cast((cast({0} as decimal(38, 0)) * ({1})) div nullif({2}, 0) as bigint)",
    ),
    "midnight": (
        ("day", "zone"),
        "timezone(zone, try_cast(day as timestamp))",
        "to_utc_timestamp(try_cast({0} as timestamp), {1})",
    ),
    "day_text": (("ts",), "strftime(timezone('UTC', ts), '%Y-%m-%d')", "date_format({0}, 'yyyy-MM-dd')"),
}
"""Our own SQL functions: arguments, DuckDB's expression, Spark's expression. Weekdays count from Monday = 0.

`midnight` is when a day, as text, begins in a zone; NULL where it is no day. `part_of` is amount times weight over
total, rounded down; the product may be larger than 64 bits.
"""


def timestamp(moment: datetime) -> str:
    """Write a moment as a SQL literal. Raises ValueError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return f"timestamptz '{moment.astimezone(UTC).isoformat(sep=' ', timespec='microseconds')}'"


def literal(value: object) -> str:
    """Write a text as a SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"


def sql_list(values: Iterable[object]) -> str:
    """Write texts as a SQL list, in parentheses."""
    return f"({', '.join(literal(value) for value in values)})"


def exact_sum(amount: str) -> str:
    """SQL of the sum of floats to six decimals: a sum of decimals is the same in any order of the rows."""
    return f"cast(sum(cast({amount} as decimal(38, 6))) as double)"


Parameters = Mapping[str, str | int | float | bool | datetime]
"""Values of the `$name`s of a query, by name: they never become part of its text."""


class Engine(Protocol):
    """What runs a query over Arrow tables and Parquet snapshots."""

    def query(
        self, sql: str, tables: Mapping[str, pa.Table] | None = None, parameters: Parameters | None = None
    ) -> pa.Table:
        """Run one portable SELECT with these tables visible by name, and the values of its `$name`s."""
        ...
