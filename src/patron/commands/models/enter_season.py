"""Enter the season that people expect, by weeks: forecasts believe it as far as it turns out right."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import Field

from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.amounts import decimal_of
from patron.schema.errors import BadFile
from patron.schema.pasted_lines import pasted_lines
from patron.schema.sentences import Sentence
from patron.storage.models.season_calendars import CONFIDENCE, SeasonSpan
from patron.storage.models.season_tables import SEASON_CALENDARS
from patron.storage.outreach.versioned_drafts import person

SEASON_LINES = Sentence("season_lines", "{count:,} lines; {most} is the most")
SEASON_CELLS = Sentence("season_cells", "{count} cells instead of first week, last week, factor and confidence")
SEASON_WEEK = Sentence("season_week", "{text!r} is not a week")
SEASON_ORDER = Sentence("season_order", "the last week, {last}, is before the first, {first}")
SEASON_FACTOR = Sentence("season_factor", "the factor {text!r} {problem}")
SEASON_FACTOR_RANGE = Sentence("season_factor_range", "the factor {text} is not between {least} and {most}")
SEASON_CONFIDENCE = Sentence("season_confidence", "{text!r} is no confidence")
SEASON_OVERLAP = Sentence("season_overlap", "the week {week} is in line {number}, too")
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


def span_lines(spans: tuple[SeasonSpan, ...]) -> str:
    """Stretches of weeks as `read_spans` reads them."""
    parts = ((week_name(one.first_week), week_name(one.last_week), f"{one.factor:g}", one.confidence) for one in spans)
    return "\n".join(",".join(cells) for cells in parts)


def week_name(monday: date) -> str:
    """A week as people write it: 2026-W48."""
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"


def _span(cells: list[str], where: str, today: date) -> SeasonSpan:
    first_text, last_text, factor, confidence = (*cells, "", "", "", "")[: len(HEADER)]
    if not len(HEADER) - 1 <= len(cells) <= len(HEADER):
        raise BadFile(SEASON_CELLS(count=len(cells)), where=where, todo=SEASON_TODO)
    first, last = (_monday(text, where) for text in (first_text, last_text))
    if last < first:
        raise BadFile(SEASON_ORDER(first=first_text, last=last_text), where=where, todo=WRITE_WEEK)
    for text, year in ((first_text, first.isocalendar().year), (last_text, last.isocalendar().year)):
        what = SEASON_OVER if year < today.isocalendar().year else SEASON_FAR
        if not 0 <= year - today.isocalendar().year <= YEARS_AHEAD:
            raise BadFile(what(year=text[:4]), where=where, todo=WRITE_COMING)
    confidence = confidence or "likely"
    if confidence not in CONFIDENCE:
        raise BadFile(SEASON_CONFIDENCE(text=confidence), where=where, todo=WRITE_CONFIDENCE)
    return SeasonSpan(first, last, _factor(factor, where), confidence)


def _monday(text: str, where: str) -> date:
    found = WEEK_NAME.fullmatch(text)
    try:
        return date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else date.fromisoformat("")
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
