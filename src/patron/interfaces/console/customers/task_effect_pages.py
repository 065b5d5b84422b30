"""What became of tasks, what they changed, and the proposal to change how they are given."""

from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlencode

import pyarrow as pa
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.customers.customer_marks import list_staff
from patron.answers.customers.task_effects import TaskEffects, TaskPart
from patron.answers.customers.task_experiment import task_lines
from patron.answers.customers.task_list import VIEWS
from patron.answers.customers.task_results import BY, By, TaskResult, TaskResults, show_task_results
from patron.answers.customers.task_suggestions import find_suggestion, task_advice
from patron.commands.access.record_list_export import record_list_export
from patron.commands.customers.customer_work import OUTCOMES
from patron.commands.offers.propose_policy import propose_changes
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, context_of, form_of, needs
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.csv_response import csv_response
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n.task_texts import part_name, suggestion_sentences
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList
from patron.storage.runs.last_run import last_run

router = APIRouter(route_class=GuardedRoute)
RESULTS, EFFECT = "/tasks/results", "/tasks/effect"


@router.get(RESULTS)
@needs(Action.READ, Area.CUSTOMERS)
def results(request: Request) -> Response:
    """What became of tasks, or its file."""
    parameters = request.query_params
    require_known(parameters, ("by", "format", *FRAME_PARAMETERS))
    console: Console = request.app.state.console
    last_run(console.answers.shop)  # why: before a run there is nobody to do anything for
    by = cast("By", parameters.get("by", "") if parameters.get("by", "") in BY else BY[0])
    listing = show_task_results(console.answers.shop, by, now=datetime.now(UTC), visible=visible_of(request))
    staff = {one.user_id: one.name for one in list_staff(console.answers.shop)}
    if parameters.get("format") == "csv":
        return _results_file(request, listing, staff)
    address = f"{RESULTS}?{urlencode({'by': by})}"
    return console.page(
        request,
        "customers/task_results.html",
        here="tasks",
        twin=f"/api{address}",
        listing=listing,
        staff=staff,
        outcomes=OUTCOMES,
        kinds=BY,
        month_start=_month_start,
        views=_views(request),
        csv=f"{address}&format=csv",
    )


@router.get(EFFECT)
@needs(Action.READ, Area.EXPERIMENTS)
def effect(request: Request) -> Response:
    """What tasks changed, or its file."""
    require_known(request.query_params, ("format", *FRAME_PARAMETERS))
    console: Console = request.app.state.console
    advice = task_advice(console.answers.shop)
    if request.query_params.get("format") == "csv":
        return _effect_file(request, advice.effects)
    texts, lines = console.words(request), task_lines(advice.effects)
    formats = console.formats(texts)
    return console.page(
        request,
        "customers/task_effect.html",
        here="tasks",
        twin=f"/api{EFFECT}",
        effects=advice.effects,
        line=lines[0] if lines else None,
        policy_version=advice.policy_version,
        suggestions=[
            (suggestion, list(suggestion_sentences(suggestion, texts, formats))) for suggestion in advice.suggestions
        ],
        part_name=part_name,
        views=_views(request),
        csv=f"{EFFECT}?format=csv",
    )


@router.post(f"{EFFECT}/proposals")
@needs(Action.ACT, Area.OFFERS)
def propose(request: Request) -> Response:
    """Propose what the effect suggests; another person approves it."""
    console: Console = request.app.state.console
    form = form_of(request)
    shop = console.answers.shop
    texts = console.words(request)
    chosen = find_suggestion(shop, form.get("code", ""))
    note = " ".join(suggestion_sentences(chosen, texts, console.formats(texts)))
    number = propose_changes(
        context_of(request), {("tasks", chosen.key): chosen.new}, base_version=form.get("base_version", ""), note=note
    )
    return RedirectResponse(f"/offers/proposals/{number}?notice=proposed", 303)


def _month_start(key: str) -> datetime:
    """A time of YYYY-MM, which is of that month in every time zone."""
    return datetime.fromisoformat(f"{key}-02T00:00+00:00")


def _views(request: Request) -> list[str]:
    """Views of the list of tasks: whoever is nobody's colleague has none of their own."""
    return [view for view in VIEWS if view != "mine" or actor_of(request).user_id]


def _results_file(request: Request, listing: TaskResults, staff: dict[str, str]) -> Response:
    """One line a person, playbook, reason or month. Raises NotAllowed without the right to export."""
    actor_of(request).require(Right(Action.EXPORT, Area.CUSTOMERS))
    name = ExportedList.TASK_RESULTS
    rows = [_result_row(row, listing.by, staff) for row in listing.rows]
    return _file(request, name, rows, listing.by)


def _result_row(one: TaskResult, by: By, staff: dict[str, str]) -> dict[str, Any]:
    return {
        by: staff.get(one.key, one.key) if by == "person" else one.key,
        "tasks": one.task_count,
        "open": one.open_count,
        "overdue": one.overdue_count,
        "done": one.done_count,
        "dropped": one.dropped_count,
        **{outcome: one.outcomes.get(outcome, 0) for outcome in OUTCOMES},
        "median_days": one.median_days,
    }


def _effect_file(request: Request, effects: TaskEffects) -> Response:
    """One line a part and metric; money in units of the currency. Raises NotAllowed without the right to export."""
    actor_of(request).require(Right(Action.EXPORT, Area.EXPERIMENTS))
    parts = [one for one in (effects.whole,) if one] + [*effects.playbooks, *effects.reasons]
    rows = [row for part in (*parts, *effects.playbooks_of_reasons) for row in _effect_rows(part)]
    return _file(request, ExportedList.TASK_EFFECT, rows, "playbook")


def _effect_rows(part: TaskPart) -> list[dict[str, Any]]:
    rows = []
    for metric in part.metrics:
        unit = 100 if metric.metric in {"revenue", "margin"} else 1
        numbers = ("treated_mean", "control_mean", "effect", "low", "high", "raw_effect", "detectable")
        amounts = {
            name: None if (value := getattr(metric, name)) is None else round(value / unit, 4) for name in numbers
        }
        counts = {"treated": part.treated_count, "control": part.control_count, "done": part.done_count}
        rows.append({"playbook": part.playbook, "reason": part.reason, "metric": metric.metric, **counts, **amounts})
    return rows


def _file(request: Request, name: ExportedList, rows: list[dict[str, Any]], first: str) -> Response:
    record_list_export(context_of(request), name, row_count=len(rows), filters=request.query_params)
    table = pa.Table.from_pylist(rows) if rows else pa.table({first: pa.array([], pa.string())})
    return csv_response(table, name.replace(" ", "-"))
