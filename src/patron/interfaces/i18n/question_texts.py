"""How columns and cells of a question's result read: units follow from the names of columns."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from patron.answers.data.query_worker import Cell, ResultColumn
from patron.interfaces.i18n.formats import MISSING, Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.insight.guided_question import AGGREGATES, BUCKETS

FAMILIES = {"lifecycle_stage": "stage", "stage": "stage", "buyers": "buyers", "kind": "kind"}
"""Texts of codes, by column."""
SHARES = ("_share", "_probability", "_rate")
WEEKDAYS = 7
A_MONDAY = datetime(2024, 1, 1, 12, tzinfo=UTC)


def column_name(name: str, words: Words) -> str:
    """Name of a column in the reader's language; of one that Patron does not know, its words."""
    base, _, end = name.rpartition("_")
    if f"data_column.{name}" not in words.texts and base:
        if end in BUCKETS:
            return words(f"explore.bucket_{end}", of=column_name(base, words))
        if end in AGGREGATES:
            return words(f"explore.measure_{end}", of=column_name(base, words))
    return words.code("data_column", name)


def unit_of(column: ResultColumn) -> str:
    """Unit of a column of numbers: money, share, or number."""
    if column.kind != "number" or column.name.endswith("_distinct"):
        return "number"
    base = column.name
    for end in AGGREGATES:
        base = base.removesuffix(f"_{end}")
    if "_cents" in base:
        return "money"
    return "share" if base.endswith(SHARES) or base in {"churn_probability", "share"} else "number"


def cell_text(column: ResultColumn, value: Cell, words: Words, formats: Formats) -> str:
    """A value as the reader's language writes it."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, datetime):
        return _time_text(column.name, value, formats)
    if isinstance(value, bool):
        return words("explore.yes") if value else words("explore.no")
    if isinstance(value, int | float):
        return _number_text(column, value, formats)
    if column.name in FAMILIES:
        return words.code(FAMILIES[column.name], value)
    return words.level(column.name, value)


def _number_text(column: ResultColumn, value: float, formats: Formats) -> str:
    if column.name == "local_weekday" and value in range(WEEKDAYS):
        return formats.weekday(A_MONDAY + timedelta(days=int(value)))
    unit = unit_of(column)
    if unit == "money":
        return formats.money(value)
    if unit == "share":
        return formats.share(value)
    if column.name == "local_hour" and value == int(value):
        return f"{int(value)}:00"
    return formats.count(value) if value == int(value) else formats.number(value, 2)


def _time_text(name: str, value: datetime, formats: Formats) -> str:
    # why: days, weeks and months come without a zone, as the shop's clock shows them
    at = value.replace(tzinfo=ZoneInfo(formats.time_zone)) if value.tzinfo is None else value
    if name.endswith("month"):
        return formats.month(at)
    is_day = value.tzinfo is None and (value.hour, value.minute) == (0, 0)
    return formats.date(at) if is_day else formats.time(at)
