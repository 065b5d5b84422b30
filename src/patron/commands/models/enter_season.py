"""Enter the season that people expect, by weeks: forecasts believe it as far as it turns out right."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import Field

from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.amounts import decimal_of
from patron.schema.common_sentences import CHECK_PATH, FILE_UNREADABLE_CAUSE
from patron.schema.errors import BadFile
from patron.schema.pasted_lines import pasted_lines
from patron.schema.sentences import Sentence
from patron.storage.models.season_calendars import CONFIDENCE, SeasonSpan, season_calendars, week_name
from patron.storage.models.season_tables import SEASON_CALENDARS
from patron.storage.outreach.versioned_drafts import person
from patron.storage.store.store import Store

SEASON_LINES = Sentence("season_lines", "{count:,} lines instead of at most {most:,}")
SEASON_NOT_TEXT = Sentence("season_not_text", "the file is not a UTF-8 text")
SEASON_TOO_LONG = Sentence("season_too_long", "the file has over {most:,} characters")
SEASON_CELLS = Sentence("season_cells", "{count} cells instead of first week, last week, factor and confidence")
SEASON_WEEK = Sentence("season_week", "{text!r} is not a week")
SEASON_ORDER = Sentence("season_order", "the last week, {last}, is before the first, {first}")
SEASON_FACTOR = Sentence("season_factor", "the factor {text!r} {problem}")
SEASON_FACTOR_RANGE = Sentence("season_factor_range", "the factor {text} is not between {least} and {most}")
SEASON_CONFIDENCE = Sentence("season_confidence", "{text!r} is not a confidence")
SEASON_OVERLAP = Sentence("season_overlap", "the week {week} is already in line {number}")
SEASON_OVER = Sentence("season_over", "the year {year} is over")
SEASON_FAR = Sentence("season_far", "the year {year} is too far ahead")
WRITE_WEEK = Sentence("season_write_week", "Write weeks as 2026-W48, the Monday-to-Sunday weeks of the calendar.")
WRITE_FACTOR = Sentence(
    "season_write_factor", "Write 1 for an average week of the year, 2 for twice as much, 0.5 for half."
)
WRITE_CONFIDENCE = Sentence("season_write_confidence", "Write sure, likely or guess.")
WRITE_ONE_LINE = Sentence("season_one_line", "Each week belongs in one line only.")
WRITE_COMING = Sentence("season_write_coming", "Enter weeks of this year or the next two.")
SEASON_TODO = Sentence("season_todo", "Write one line per stretch of weeks, such as `2026-W47,2026-W51,1.8,likely`.")

MAX_LINES: Final = 120
MAX_TEXT_LENGTH: Final = 20_000
LEAST_FACTOR, LARGEST_FACTOR = 0.05, 20.0
YEARS_AHEAD: Final = 2
HEADER: Final = ("first_week", "last_week", "factor", "confidence")
WEEK_NAME: Final = re.compile(r"(\d{4})-W(\d{2})")
SeasonLines = Annotated[str, Field(max_length=MAX_TEXT_LENGTH, examples=["2026-W47,2026-W51,1.8,likely"])]


@dataclass(frozen=True)
class EnteredSeason:
    """How many stretches of weeks the calendar has now; 0 once it was removed."""

    span_count: int


@operation(Right(Action.ACT, Area.MODELS), "POST /api/season", audit=AuditAction.SEASON_ENTERED)
def enter_season(context: RequestContext, season: SeasonLines) -> EnteredSeason:
    """Enter the season that the shop expects, in place of what was entered before; all lines, or none.

    Lines of a CSV text are first week, last week, factor, and confidence (`sure`, `likely` or `guess`; left out it is
    `likely`). A factor is of what an average week of the year brings. Runs whose cutoff is later know it. An empty
    text removes the calendar. Raises BadFile with the number of the line.
    """
    author = person(context.by)
    today = context.now.astimezone(ZoneInfo(context.shop.settings.shop.time_zone)).date()
    spans = read_spans(season, today)
    with context.shop.store.begin() as connection:
        entry = {"entered_at": context.now, "entered_by": author, "spans": [span.row for span in spans]}
        connection.execute(sa.insert(SEASON_CALENDARS), [entry])
        context.record(connection, AuditAction.SEASON_ENTERED, {"spans": len(spans), "by": author})
    return EnteredSeason(len(spans))


def current_lines(store: Store, today: date) -> str:
    """Lines of the calendar entered last, without weeks of years that are over, to change and enter again."""
    calendars = season_calendars(store)
    spans = calendars[-1].spans if calendars else ()
    return "\n".join(span.line for span in spans if _week_year(span.first_week) >= _week_year(today))


def read_season_file(path: Path) -> str:
    """The text of a file of lines. Raises BadFile where it cannot be read, or is no text."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_TEXT_LENGTH + 1)
    except OSError as error:
        raise BadFile(FILE_UNREADABLE_CAUSE(cause=error.strerror), where=str(path), todo=CHECK_PATH) from error
    except UnicodeDecodeError as error:
        raise BadFile(SEASON_NOT_TEXT, where=str(path), todo=SEASON_TODO) from error
    if len(text) > MAX_TEXT_LENGTH:
        raise BadFile(SEASON_TOO_LONG(most=MAX_TEXT_LENGTH), where=str(path), todo=SEASON_TODO)
    return text


def read_spans(text: str, today: date) -> tuple[SeasonSpan, ...]:
    """The stretches of weeks that lines of text say, in order of time. Raises BadFile."""
    lines = pasted_lines(text, HEADER)
    if len(lines) > MAX_LINES:
        raise BadFile(SEASON_LINES(count=len(lines), most=MAX_LINES), where="season", todo=SEASON_TODO)
    spans = {number: _span(cells, f"line {number}", today) for number, cells in lines}
    for number, span in spans.items():
        for other, earlier in spans.items():
            if other < number and span.first_week < earlier.end and earlier.first_week < span.end:
                week = week_name(max(span.first_week, earlier.first_week))
                what = SEASON_OVERLAP(week=week, number=other)
                raise BadFile(what, where=f"line {number}", todo=WRITE_ONE_LINE)
    return tuple(sorted(spans.values(), key=lambda one: one.first_week))


def _span(cells: list[str], where: str, today: date) -> SeasonSpan:
    first_text, last_text, factor, confidence = (*cells, "", "", "", "")[: len(HEADER)]
    if not len(HEADER) - 1 <= len(cells) <= len(HEADER):
        raise BadFile(SEASON_CELLS(count=len(cells)), where=where, todo=SEASON_TODO)
    first, last = (_monday(text, where) for text in (first_text, last_text))
    if last < first:
        raise BadFile(SEASON_ORDER(first=first_text, last=last_text), where=where, todo=WRITE_WEEK)
    for year in (_week_year(first), _week_year(last)):
        what = SEASON_OVER if year < _week_year(today) else SEASON_FAR
        if not 0 <= year - _week_year(today) <= YEARS_AHEAD:
            raise BadFile(what(year=year), where=where, todo=WRITE_COMING)
    confidence = confidence or "likely"
    if confidence not in CONFIDENCE:
        raise BadFile(SEASON_CONFIDENCE(text=confidence[:40]), where=where, todo=WRITE_CONFIDENCE)
    return SeasonSpan(first, last, _factor(factor, where), confidence)


def _week_year(day: date) -> int:
    """The year that its week belongs to."""
    return day.isocalendar().year


def _monday(text: str, where: str) -> date:
    match = WEEK_NAME.fullmatch(text)
    try:
        year, week = map(int, match.groups()) if match else (0, 0)
        return date.fromisocalendar(year, week, 1)
    except ValueError:
        raise BadFile(SEASON_WEEK(text=text[:40]), where=where, todo=WRITE_WEEK) from None


def _factor(text: str, where: str) -> float:
    try:
        factor = float(decimal_of(text))
    except ValueError as error:
        raise BadFile(SEASON_FACTOR(text=text[:40], problem=error.args[0]), where=where, todo=WRITE_FACTOR) from None
    if not LEAST_FACTOR <= factor <= LARGEST_FACTOR:
        what = SEASON_FACTOR_RANGE(text=text[:40], least=f"{LEAST_FACTOR:g}", most=f"{LARGEST_FACTOR:g}")
        raise BadFile(what, where=where, todo=WRITE_FACTOR)
    return factor
