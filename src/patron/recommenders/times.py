"""When rows of interactions were, in days: times, dates, texts of them, or seconds."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.ids import is_text, without_dictionary
from patron.schema.errors import BadInteractions
from patron.schema.numbers import Numbers, float_column

SECONDS_A_DAY = 86_400.0
TICKS_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
MAX_SECONDS = 1e11
"""About the year 5138: greater numbers are no seconds since 1970."""
TEXT_TYPES = tuple(pa.timestamp(unit, zone) for unit in ("us", "ns") for zone in (None, "UTC"))
"""Microseconds first: they reach farther than the years 1677 to 2262."""


def days_of(table: pa.Table) -> Numbers:
    """When each row was, in days since 1970; 0 for all rows of a table without times. Raises BadInteractions."""
    if "at" not in table.column_names:
        return np.zeros(table.num_rows)
    column = without_dictionary(table["at"])
    if is_text(column.type):
        column = _parse(column)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64()).to_numpy() / (SECONDS_A_DAY * TICKS_A_SECOND[column.type.unit])
    try:
        seconds = float_column(pa.table({"at": column}), "at")
    except pa.ArrowException as error:
        raise _bad(f"at is not a valid time: {column.type}", "Pass times, dates, or seconds as numbers.") from error
    _check_seconds(seconds)
    return seconds / SECONDS_A_DAY


def day_of(at: Any) -> float:
    """A time as a day since 1970; a number is one already. Raises BadInteractions."""
    if isinstance(at, int | float | np.integer | np.floating) and not isinstance(at, bool):
        if not np.isfinite(at):
            raise _bad(f"at is {at}", "Pass a time, or a day since 1970.")
        return float(at)
    try:
        return float(days_of(pa.table({"at": pa.array([at])}))[0])
    except (pa.ArrowException, TypeError) as error:
        raise _bad(f"at is not a valid time: {at!r}", "Pass a time, or a day since 1970.") from error


def _parse(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 as times; those with a zone become UTC. Raises BadInteractions."""
    problems = []
    for kind in TEXT_TYPES:
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid as error:
            problems.append(error)
    todo = "Write all times as 2024-03-01, 2024-03-01T09:30:00, or 2024-03-01T09:30:00Z."
    raise _bad(f"at is not a valid time: {problems[0]}", todo) from problems[0]


def _check_seconds(seconds: Numbers) -> None:
    """Raise BadInteractions for numbers that are milliseconds, or dates such as 20240301."""
    if not len(seconds):
        return
    if abs(seconds).max() > MAX_SECONDS:
        raise _bad(
            f"at is in seconds, and {abs(seconds).max():.0f} is too great",
            "Divide milliseconds by 1,000, microseconds by 1,000,000.",
        )
    if _are_dates(seconds):
        todo = "Turn numbers such as 20240301 into dates."
        raise _bad(f"at is in seconds, and all numbers look like dates, such as {seconds[0]:.0f}", todo)


def _are_dates(numbers: Numbers) -> bool:
    """Whether all numbers are whole and read as YYYYMMDD of the years 1900 to 2099."""
    if numbers.min() < 1900_01_01 or numbers.max() > 2099_12_31 or (numbers % 1).any():
        return False
    texts = pa.array(np.unique(numbers).astype(np.int64)).cast(pa.string())
    parts = [pc.utf8_slice_codeunits(texts, start, stop) for start, stop in ((0, 4), (4, 6), (6, 8))]
    try:
        pc.binary_join_element_wise(*parts, "-").cast(pa.date32())
    except pa.ArrowInvalid:
        return False
    return True


def _bad(what: str, todo: str) -> BadInteractions:
    return BadInteractions(what, where="interactions", todo=todo)
