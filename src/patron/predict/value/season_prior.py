"""What is assumed of a season before the shop has shown it: that of any shop, and the calendar that people entered.

A calendar is tested against the weeks that came after it was entered, and believed as far as it was right: the
logarithm of each week's orders is regressed on that of its factor and on time. Until then it is believed as far as
people said they were sure, and no more than owners are usually right.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Self

import msgspec
import numpy as np
import pyarrow as pa

from patron.predict.feature_matrix import SEASON_PRIOR
from patron.schema.models.questions import CHURN, PURCHASE, PURCHASE_7_DAYS, VALUE, Question
from patron.schema.numbers import Numbers
from patron.storage.models.season_calendars import (
    CONFIDENCE,
    ORDERS_BY_DAY,
    WEEK,
    WEEKS_BEFORE,
    SeasonCalendar,
    orders_by_week,
    season_calendars,
)
from patron.storage.runs.stage_view import StageView

MONTH_COUNT: Final = 12
_ROUGHLY = 0.5 * np.log(np.array([0.92, 0.91, 1.0, 0.96, 0.99, 0.97, 0.97, 0.98, 0.95, 0.99, 1.13, 1.23]))
USUAL: Final = _ROUGHLY - _ROUGHLY.mean()
"""Logarithm of what a month brings: half of it as it roughly is where the year ends in presents; assumed."""
APART: Final = np.array([0.2] + [0.15] * 9 + [0.35] * 2)
"""Standard deviation of that logarithm between shops, largest at Christmas; assumed, as is TRUST_SPREAD."""
TRUST_SPREAD: Final = 0.25
"""Standard deviation of how much of what owners expect of a season comes; assumed."""
MIN_WEEKS: Final = 6
"""Fewer weeks say nothing of a calendar."""
SEASONAL_QUESTIONS: Final = frozenset({VALUE.name, CHURN.name, PURCHASE.name, PURCHASE_7_DAYS.name})
"""Questions whose models know how orders come and go with the season."""


@dataclass(frozen=True)
class Trust:
    """How much of what a calendar says is believed, 0 to 1, with its standard deviation."""

    share: float
    spread: float

    @classmethod
    def from_weeks(cls, expected: Numbers, orders: Numbers, weeks: Numbers) -> Self:
        """From the logarithm of each week's factor, its orders, and its number in time."""
        if len(expected) < MIN_WEEKS or np.ptp(expected) == 0:
            return cls(1.0, TRUST_SPREAD)
        rows = np.column_stack([np.ones(len(weeks)), weeks - weeks.mean(), expected])
        came = np.log(np.maximum(orders, 0.5))
        inverse = np.linalg.pinv(rows.T @ rows)
        fitted = inverse @ rows.T @ came
        left = float(np.square(came - rows @ fitted).sum()) / (len(came) - rows.shape[1])
        # why at least that: a count of orders is off by its square root even where the line goes through all of them
        noise = max(left, 1 / max(float(orders.mean()), 1.0))
        precision, prior = 1 / (noise * float(inverse[2, 2])), 1 / TRUST_SPREAD**2
        share = (prior + precision * float(fitted[2])) / (prior + precision)
        return cls(float(np.clip(share, 0.0, 1.0)), float((prior + precision) ** -0.5))


@dataclass(frozen=True)
class SeasonPrior:
    """Logarithms of the factors of January to December before the shop has shown its own, and how far each is off."""

    logs: tuple[float, ...]
    spreads: tuple[float, ...]
    """Standard deviations of the logarithms."""
    trust: float | None = None
    """How far the calendar that people entered is believed, 0 to 1; None without one."""

    @classmethod
    def usual(cls) -> Self:
        """What is assumed of any shop."""
        return cls(tuple(USUAL.tolist()), tuple(APART.tolist()))

    @classmethod
    def from_calendar(cls, calendar: SeasonCalendar, trust: Trust) -> Self:
        """The usual, moved towards a calendar in the months that it covers."""
        shares, logs, doubts = _by_month(calendar)
        is_entered = shares > 0
        rest = MONTH_COUNT - np.exp(logs[is_entered]).sum()
        others = np.exp(USUAL[~is_entered]).sum()
        # why: a factor is of the year's mean, so what some months bring more, the others bring less
        shift_of_others = np.log(rest / others) if rest > 0 and others > 0 else 0.0
        spread = np.hypot(doubts, trust.spread * np.abs(logs - USUAL))
        # why times the trust: what is not believed neither moves a month nor makes it surer
        weight = np.where(is_entered, trust.share * APART**2 / (APART**2 + spread**2), 0.0)
        assumed = USUAL + np.where(is_entered, weight * (logs - USUAL), trust.share * shift_of_others)
        return cls(tuple(assumed.tolist()), tuple((APART * np.sqrt(1 - weight)).tolist()), trust.share)

    @classmethod
    def from_rows(cls, table: pa.Table) -> Self:
        """That of rows of one cutoff; the usual where they bring none."""
        if SEASON_PRIOR not in table.column_names or not table.num_rows:
            return cls.usual()
        return msgspec.json.decode(table[SEASON_PRIOR][0].as_py(), type=cls)

    def to_text(self) -> str:
        """As a column keeps it."""
        return msgspec.json.encode(self).decode()


def _by_month(calendar: SeasonCalendar) -> tuple[Numbers, Numbers, Numbers]:
    """Of each month: the share of its days in a calendar, the logarithm of its factor, and the doubt about that."""
    by_month = dict[tuple[int, int], list[tuple[float, float]]]()
    for day, factor, doubt in _entered_days(calendar):
        by_month.setdefault((day.month, day.year), []).append((factor, doubt))
    shares, logs, doubts = np.zeros(MONTH_COUNT), USUAL.copy(), APART.copy()
    for (month, year), days in sorted(by_month.items(), key=lambda one: (len(one[1]), one[0][1])):
        length, place = monthrange(year, month)[1], month - 1
        factors, spreads = np.array(days).T
        left = length - len(days)
        shares[place] = len(days) / length
        logs[place] = np.log((factors.sum() + left * np.exp(USUAL[place])) / length)
        doubts[place] = (spreads.sum() + left * APART[place]) / length
    return shares, logs, doubts


def _entered_days(calendar: SeasonCalendar) -> Iterator[tuple[date, float, float]]:
    for span in calendar.spans:
        for number in range((span.end - span.first_week).days):
            yield span.first_week + timedelta(days=number), span.factor, CONFIDENCE[span.confidence]


def season_prior_at(
    calendars: Sequence[SeasonCalendar], weekly_orders: Mapping[date, int], cutoff: datetime
) -> SeasonPrior:
    """What is assumed at a cutoff: by the calendar entered last before it, as far as earlier weeks bear it out."""
    known = [one for one in calendars if one.entered_at <= cutoff]
    if not known or not known[-1].spans:
        return SeasonPrior.usual()
    begun = known[0].entered_at.date() - WEEKS_BEFORE * WEEK
    expected, orders, weeks = list[float](), list[int](), list[int]()
    for monday, count in sorted(weekly_orders.items()):
        before = [one for one in known if one.entered_at.date() <= monday]
        span = before[-1].span_of(monday) if before else None
        if monday + WEEK <= cutoff.date() and (span or (not before and monday >= begun)):
            expected.append(float(np.log(span.factor)) if span else float(USUAL[monday.month - 1]))
            orders.append(count)
            weeks.append(monday.toordinal() // 7)
    trust = Trust.from_weeks(*(np.array(one, dtype=np.float64) for one in (expected, orders, weeks)))
    return SeasonPrior.from_calendar(known[-1], trust)


def entered_calendars(view: StageView) -> Sequence[SeasonCalendar]:
    """Every calendar that was entered by the run's cutoff, the oldest first."""
    return view.once("season calendars", lambda: season_calendars(view.declared_store, known_at=view.run.as_of))


def with_season_prior(view: StageView, question: Question, rows: pa.Table) -> pa.Table:
    """Rows of a seasonal question, with the season assumed at their cutoffs where people entered a calendar."""
    calendars = entered_calendars(view) if question.name in SEASONAL_QUESTIONS else ()
    if not calendars:
        return rows
    orders = view.once("orders by week", lambda: orders_by_week(view.query(ORDERS_BY_DAY)))
    cutoffs = rows["as_of"].combine_chunks().dictionary_encode()
    texts = [season_prior_at(calendars, orders, cutoff).to_text() for cutoff in cutoffs.dictionary.to_pylist()]
    # why a dictionary: one text for each cutoff, and not for each of a million customers
    column = pa.DictionaryArray.from_arrays(cutoffs.indices, pa.array(texts, pa.string()))
    return rows.append_column(SEASON_PRIOR, column)
