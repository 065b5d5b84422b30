"""Retention and value by cohort: who ordered again, what customers have brought so far, and what they will."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import Annotated, Literal

from pydantic import Field

from patron.answers.insight.cohort_sums import (
    NO_SUM,
    REACH_80,
    CohortSum,
    CohortSums,
    Grouping,
    known_groupings,
    month_text,
    sums_at_last_run,
)
from patron.answers.insight.share_intervals import REACH_95, share_interval
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Snapshot

Measure = Literal["share", "revenue", "margin"]
MEASURES: tuple[Measure, ...] = ("share", "revenue", "margin")
SPANS: tuple[Literal[12], Literal[24], Literal[36]] = (12, 24, 36)
"""How many months of cohorts can be shown."""
MAX_GROUP_LENGTH = 200
Group = Annotated[str | None, Field(max_length=MAX_GROUP_LENGTH, description="Cohorts of one group only, by month.")]
Months = Annotated[Literal[12, 24, 36], Field(description="Cohorts of so many months until the run.")]
MAX_GROUPS = 10
OTHER = "other"
"""Code of all groups but the largest."""


@dataclass(frozen=True)
class CohortCell:
    """What the customers of a row did until one month after their first order, with its 95 % interval.

    The share who ordered in that month; or what each customer has brought until its end, cents.
    """

    value: float
    low: float | None
    high: float | None
    """NULL for fewer than two customers."""
    customer_count: int
    """Customers who have been known for so long."""
    is_complete: bool
    """Whether the month is over for all of them."""


@dataclass(frozen=True)
class CohortRow:
    """One cohort, or one group over all cohorts."""

    code: str
    """Month of the first order, YYYY-MM; or the group: empty where it is not known, `other` for all small ones."""
    customer_count: int
    cells: tuple[CohortCell, ...]
    """By months since the first order, from 0; of a group, those who have been known for so long."""
    so_far_cents: float | None
    """What each has brought until the run; NULL for shares."""
    expected_cents: float | None
    """What each is expected to bring in the next 90 days; NULL for shares, and without forecasts."""
    expected_low: float | None
    expected_high: float | None
    """Ends of its 80 % interval."""


@dataclass(frozen=True)
class Retention:
    """Cohorts of the last run."""

    run_id: str
    as_of: datetime
    measure: Measure
    grouping: Grouping
    group: str | None
    """The only group that counts; NULL for all."""
    months: int
    """Cohorts of so many months until the run."""
    rows: tuple[CohortRow, ...]
    mean: CohortRow | None
    """All rows together."""
    groupings: tuple[Grouping, ...]
    """Groupings that the shop's data can tell apart."""


def retention(  # noqa: PLR0913 - what a reader chooses
    view: Snapshot,
    sums: CohortSums,
    *,
    measure: Measure,
    grouping: Grouping,
    group: str | None,
    months: int,
    groupings: tuple[Grouping, ...],
) -> Retention:
    """Rows of cohorts: by month, or by another trait over the months; `sums` are those of the grouping."""
    chosen = tuple(
        cohort
        for cohort in sums.cohorts
        if cohort.month > sums.run_month - months - 1 and group in {None, cohort.group}
    )
    table = _Table(sums, measure, _margin_ratio(sums))
    if grouping == "month" or group is not None:
        by_month: dict[int, list[CohortSum]] = {}
        for one in chosen:
            by_month.setdefault(one.month, []).append(one)
        rows = tuple(table.row(month_text(month), by_month[month]) for month in sorted(by_month))
    else:
        rows = tuple(table.row(code, cohorts) for code, cohorts in _groups(chosen).items())
    mean = table.row("", chosen) if len(rows) > 1 else None
    return Retention(
        view.run.run_id,
        view.run.as_of,
        measure=measure,
        grouping=grouping,
        group=group,
        months=months,
        rows=rows,
        mean=mean,
        groupings=groupings,
    )


@operation(Right(Action.READ, Area.OVERVIEW), "GET /api/retention")
def show_retention(
    cache: AnswerCache,
    measure: Measure = "share",
    by: Grouping = "month",
    group: Group = None,
    months: Months = 12,
) -> Retention:
    """Who ordered again, or what customers have brought so far, by cohort, with intervals and what is expected."""
    view = last_run(cache.shop)
    return retention(
        view,
        sums_at_last_run(cache, by),
        measure=measure,
        grouping=by,
        group=None if by == "month" else group,
        months=months,
        groupings=cache.cached("cohort groupings", lambda: known_groupings(view)),
    )


def _groups(cohorts: Sequence[CohortSum]) -> dict[str, list[CohortSum]]:
    """Cohorts by group, the largest group first; small ones together, and those of whom it is not known, at the end."""
    groups: dict[str, list[CohortSum]] = {}
    for cohort in cohorts:
        groups.setdefault(cohort.group, []).append(cohort)
    sizes = {code: sum(member.customer_count for member in members) for code, members in groups.items()}
    ranked = sorted(groups.keys() - {""}, key=lambda code: (-sizes[code], code))
    result = {code: groups[code] for code in ranked[:MAX_GROUPS]}
    if rest := [one for code in ranked[MAX_GROUPS:] for one in groups[code]]:
        result[OTHER] = rest
    return result | ({"": groups[""]} if "" in groups else {})


def _margin_ratio(sums: CohortSums) -> float:
    """Margin for each cent paid, of all customers so far: forecasts are of what is paid."""
    paid = sum(age.paid_cents for cohort in sums.cohorts for age in cohort.ages.values())
    margin = sum(age.margin_cents for cohort in sums.cohorts for age in cohort.ages.values())
    return margin / paid if paid else 0.0


@dataclass(frozen=True)
class _Table:
    sums: CohortSums
    measure: Measure
    margin_ratio: float

    def row(self, code: str, cohorts: Sequence[CohortSum]) -> CohortRow:
        count = sum(cohort.customer_count for cohort in cohorts)
        so_far = expected = low = high = None
        if self.measure != "share":
            is_margin = self.measure == "margin"
            ages = [age for cohort in cohorts for age in cohort.ages.values()]
            so_far = sum(age.margin_cents if is_margin else age.paid_cents for age in ages) / count
            expected, low, high = self._expected(cohorts)
        return CohortRow(
            code,
            count,
            cells=tuple(self._cells(cohorts)),
            so_far_cents=so_far,
            expected_cents=expected,
            expected_low=low,
            expected_high=high,
        )

    def _cells(self, cohorts: Sequence[CohortSum]) -> list[CohortCell]:
        first = min(cohort.month for cohort in cohorts)
        cells = [self.cell(cohorts, age) for age in range(self.sums.run_month - first)]
        # why: of several months together, one that is not over would count some of them only in part
        if self.sums.is_run_month_begun and len({cohort.month for cohort in cohorts}) == 1:
            cells.append(self.cell(cohorts, self.sums.run_month - first, is_complete=False))
        return cells

    def cell(self, cohorts: Sequence[CohortSum], age: int, *, is_complete: bool = True) -> CohortCell:
        """What the customers did whose month of that age is over, or is that of the run."""
        old_enough = [cohort for cohort in cohorts if cohort.month + age < self.sums.run_month + (not is_complete)]
        count = sum(one.customer_count for one in old_enough)
        if self.measure == "share":
            active = sum(one.ages.get(age, NO_SUM).active_count for one in old_enough)
            return CohortCell(active / count, *share_interval(active, count), count, is_complete)
        total = squares = 0.0
        for one in old_enough:
            for month, done in one.ages.items():
                if month <= age:
                    total += done.margin_cents if self.measure == "margin" else done.paid_cents
                    squares += done.margin_squares if self.measure == "margin" else done.paid_squares
        mean = total / count
        if count < 2:
            return CohortCell(mean, None, high=None, customer_count=count, is_complete=is_complete)
        reach = REACH_95 * sqrt(max(squares - count * mean**2, 0.0) / (count - 1) / count)
        return CohortCell(mean, mean - reach, high=mean + reach, customer_count=count, is_complete=is_complete)

    def _expected(self, cohorts: Sequence[CohortSum]) -> tuple[float | None, float | None, float | None]:
        """What each is expected to bring; wrong as the whole shop's forecast may be, and as customers differ."""
        scored = sum(cohort.forecast.scored_count for cohort in cohorts)
        if not scored or self.sums.forecast_error is None:
            return None, None, None
        factor = self.margin_ratio if self.measure == "margin" else 1.0
        total = sum(cohort.forecast.value_cents for cohort in cohorts)
        variance = sum(cohort.forecast.variance for cohort in cohorts)
        reach = REACH_80 * sqrt(variance + (self.sums.forecast_error * total) ** 2)
        ends = (total, max(total - reach, 0.0), total + reach)
        expected, low, high = (end / scored * factor for end in ends)
        return expected, low, high


def margin_cell(sums: CohortSums, cohorts: Sequence[CohortSum], age: int) -> CohortCell:
    """Margin of each customer until the end of a month, of those who have been known for so long."""
    return _Table(sums, "margin", 1.0).cell(cohorts, age)
