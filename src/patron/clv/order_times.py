"""Times of orders, whatever they are written in, as microseconds since 1970."""

import re
from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Timestamps = npt.NDArray[np.int64]
ZONE = r"\s*(?:([+-]\d\d):?(\d\d)|(?:UTC|GMT|Z))$"
"""A zone at the end of a text: as Shopify writes it (`2024-03-01 10:15:00 +0100`), as ISO does, or by name."""
CLOCK = r"(:\d\d(?:\.\d+)?)"
HOW = "write 2024-03-01, 2024-03-01 10:15:00 or 2024-03-01 10:15:00 +0100, or make them dates before"


def timestamps_us(times: pa.ChunkedArray, what: str = "orders") -> Timestamps:
    """Microseconds since 1970, in UTC unless they have a zone. Raises ValueError for what has no time."""
    if times.null_count:
        raise ValueError(f"{times.null_count} {what} have no time")
    kind = times.type
    if pa.types.is_dictionary(kind):
        times, kind = times.cast(kind.value_type), kind.value_type
    if pa.types.is_date(kind):
        times = times.cast(pa.timestamp("us"))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _read(times.cast(pa.large_string()).combine_chunks(), what)
    elif not pa.types.is_timestamp(kind):
        raise ValueError(f"the time of {what} is {kind}, no date or time")
    exact = pa.timestamp("us", tz=getattr(times.type, "tz", None))
    return _microseconds(times.cast(exact, safe=False).combine_chunks())


def timestamp_us(at: date | datetime | str) -> int:
    """Microseconds since 1970 of a point in time, in UTC unless it has a zone. Raises ValueError for other texts."""
    try:
        time = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", at.strip())) if isinstance(at, str) else at
    except ValueError as error:
        raise ValueError(f"{at!r} is not a date such as 2024-06-30, nor a time such as 2024-06-30T12:00") from error
    if not isinstance(time, datetime):
        time = datetime(time.year, time.month, time.day, tzinfo=UTC)
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(time.timestamp() * 1_000_000)


def _read(texts: pa.Array, what: str) -> Timestamps:
    """Times written as texts, some with a zone and some without."""
    trimmed = pc.utf8_trim_whitespace(texts)
    named = pc.replace_substring_regex(trimmed, rf"{CLOCK}\s*(?:UTC|GMT|Z)$", r"\1+00:00")
    written = pc.replace_substring_regex(named, rf"{CLOCK}\s*([+-]\d\d):?(\d\d)$", r"\1\2:\3")
    has_zone = pc.match_substring_regex(written, rf"{CLOCK}[+-]\d\d:\d\d$")
    try:
        zoned = pc.if_else(has_zone, written, None).cast(pa.timestamp("us", tz="UTC"))
        plain = pc.if_else(has_zone, None, written).cast(pa.timestamp("us"))
    except pa.ArrowInvalid as error:
        raise ValueError(_unread(texts, what)) from error
    return _microseconds(pc.coalesce(zoned.cast(pa.int64()), plain.cast(pa.int64())))


def _unread(texts: pa.Array, what: str) -> str:
    """Which text is no time, in words."""
    for row, text in enumerate(texts.to_pylist(), start=1):
        try:
            timestamp_us(re.sub(ZONE, lambda zone: f"{zone[1]}:{zone[2]}" if zone[1] else "+00:00", text))
        except ValueError:
            return f"the time of {what} is {text!r} in row {row}: {HOW}"
    return f"the times of {what} cannot be read: {HOW}"


def _microseconds(times: pa.Array) -> Timestamps:
    return times.cast(pa.int64()).to_numpy(zero_copy_only=False)
