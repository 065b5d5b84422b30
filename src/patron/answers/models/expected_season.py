"""The season that people expect: what they entered, what came in its weeks, and how far the last run believed it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.errors import NoRunYet
from patron.schema.models.questions import VALUE
from patron.storage.models.season_calendars import (
    ORDERS_BY_DAY,
    WEEK,
    WEEKS_BEFORE,
    SeasonCalendar,
    SeasonSpan,
    monday_of,
    orders_by_week,
    season_calendars,
    week_name,
)
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Snapshot

FORECAST = f"select calendar_trust, is_season_observed from this_shop_forecasts where question = '{VALUE.name}'"


@dataclass(frozen=True)
class ExpectedWeeks:
    """Weeks in which the shop expects a factor of an average week, and what came in those that are over."""

    first_week: str
    last_week: str
    """As calendars number weeks: 2026-W48."""
    first_day: date
    last_day: date
    factor: float
    confidence: str
    """How sure people are: sure, likely or guess."""
    week_count: int
    weeks_over: int
    """Those of them that were over at the last run's cutoff."""
    orders_per_week: float | None
    """In the weeks that are over; None before any is."""


@dataclass(frozen=True)
class ExpectedSeason:
    """The season that people entered last, and what the last run made of it."""

    entered_at: datetime | None
    """None where nobody entered one."""
    entered_by: str | None
    weeks: tuple[ExpectedWeeks, ...]
    """In order of time; empty where nobody entered a season, or it was removed."""
    orders_per_week_before: float | None
    """In the eight weeks before a season was entered first, which its factors are compared with."""
    run_as_of: datetime | None
    """Cutoff of the last run; None before any."""
    trust: float | None
    """How far the last run believed it, 0 to 1; None where it did not know it, or forecast no value."""
    is_observed: bool | None
    """Whether the shop, a year old, has shown a season of its own; None where no value was forecast."""

    @property
    def is_known_to_run(self) -> bool:
        """Whether it was entered by the last run's cutoff."""
        return self.entered_at is not None and self.run_as_of is not None and self.entered_at <= self.run_as_of


@operation(Right(Action.READ, Area.MODELS), "GET /api/season")
def show_expected_season(cache: AnswerCache) -> ExpectedSeason:
    """The season that people expect, what came of it, and how far the last run believed it."""
    # why: a season may be entered between runs, so that it is read afresh
    calendars = season_calendars(cache.shop.store)
    try:
        view = last_run(cache.shop)
    except NoRunYet:
        return _expected_season(calendars, {}, None)
    orders = cache.cached("orders by week", lambda: orders_by_week(view.query(ORDERS_BY_DAY)))
    return _expected_season(calendars, orders, view)


def _expected_season(
    calendars: Sequence[SeasonCalendar], orders: Mapping[date, int], view: Snapshot | None
) -> ExpectedSeason:
    newest = calendars[-1] if calendars else None
    today = view.run.as_of.astimezone(ZoneInfo(view.settings.shop.time_zone)).date() if view else date.min
    forecast = records(view.query(FORECAST))[:1] if view else []
    return ExpectedSeason(
        entered_at=newest.entered_at if newest else None,
        entered_by=newest.entered_by if newest else None,
        weeks=tuple(_weeks(span, orders, today) for span in newest.spans) if newest else (),
        orders_per_week_before=_mean_orders(orders, _weeks_before_entry(calendars[0], today)) if calendars else None,
        run_as_of=view.run.as_of if view else None,
        trust=forecast[0]["calendar_trust"] if forecast else None,
        is_observed=forecast[0]["is_season_observed"] if forecast else None,
    )


def _weeks(span: SeasonSpan, orders: Mapping[date, int], today: date) -> ExpectedWeeks:
    mondays = [span.first_week + number * WEEK for number in range((span.end - span.first_week) // WEEK)]
    over = [monday for monday in mondays if monday + WEEK <= today]
    return ExpectedWeeks(
        week_name(span.first_week),
        week_name(span.last_week),
        first_day=span.first_week,
        last_day=span.end - timedelta(days=1),
        factor=span.factor,
        confidence=span.confidence,
        week_count=len(mondays),
        weeks_over=len(over),
        orders_per_week=_mean_orders(orders, over),
    )


def _weeks_before_entry(first: SeasonCalendar, today: date) -> Sequence[date]:
    """The weeks before the first entry."""
    entered = monday_of(first.entered_at.date())
    mondays = [entered - number * WEEK for number in range(1, WEEKS_BEFORE + 1)]
    return [monday for monday in mondays if monday + WEEK <= today]


def _mean_orders(orders: Mapping[date, int], mondays: Sequence[date]) -> float | None:
    return sum(orders.get(monday, 0) for monday in mondays) / len(mondays) if mondays else None
