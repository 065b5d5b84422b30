"""Retention as an address names it, for the page and its twin; what costs a moment is kept until the next run."""

from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request

from patron.answers.insight.cohort_sums import GROUPINGS, CohortSums, Grouping, cohort_sums, known_groupings
from patron.answers.insight.payback import Payback, acquisition_costs, paybacks, unused_costs
from patron.answers.insight.retention import MEASURES, SPANS, Measure, Retention, retention
from patron.interfaces.http.answer_cache import Answers
from patron.storage.runs.last_run import last_run

Choice = TypeVar("Choice", bound=str | int)
PARAMETERS = ("measure", "by", "group", "months")
MAX_GROUP_LENGTH = 200


@dataclass(frozen=True)
class UnusedCost:
    """A channel and month with a cost in which nobody came: it counts in no payback."""

    channel: str
    month: str
    """YYYY-MM."""


@dataclass(frozen=True)
class PaybackView:
    """Payback by channel, against what winning customers cost."""

    paybacks: tuple[Payback, ...]
    unused_costs: tuple[UnusedCost, ...]
    channels: tuple[str, ...]
    """Channels by which customers came."""
    cost_count: int


def retention_of(answers: Answers, measure: Measure, grouping: Grouping, group: str | None, months: int) -> Retention:
    """Retention of the last run. Raises NoRunYet."""
    view = last_run(answers.shop)
    return retention(
        view,
        _sums(answers, grouping),
        measure=measure,
        grouping=grouping,
        group=group,
        months=months,
        groupings=answers.cached("cohort groupings", lambda: known_groupings(view)),
    )


def payback_of(answers: Answers) -> PaybackView:
    """Payback of the last run; costs may be entered between runs, so they are read afresh. Raises NoRunYet."""
    sums, costs = _sums(answers, "channel"), acquisition_costs(answers.shop.store)
    return PaybackView(
        paybacks(sums, costs),
        tuple(UnusedCost(*cost) for cost in unused_costs(sums, costs)),
        tuple(sorted({cohort.group for cohort in sums.cohorts if cohort.group})),
        len(costs),
    )


def retention_in(request: Request, answers: Answers) -> Retention:
    """Retention as the address of a page names it; a value that is none of the choices is the first of them."""
    parameters = request.query_params
    measure: Measure = _choice(MEASURES, parameters.get("measure"))
    grouping: Grouping = _choice(GROUPINGS, parameters.get("by"))
    group = parameters.get("group") if grouping != "month" else None
    months = _choice(SPANS, parameters.get("months"))
    return retention_of(answers, measure, grouping, None if group is None else group[:MAX_GROUP_LENGTH], months)


def _choice(choices: tuple[Choice, ...], text: str | None) -> Choice:
    return next((choice for choice in choices if str(choice) == text), choices[0])


def _sums(answers: Answers, grouping: Grouping) -> CohortSums:
    return answers.cached(("cohort sums", grouping), lambda: cohort_sums(last_run(answers.shop), grouping))
