"""The pages of retention: cohorts in shares and in money, and payback against what winning customers cost."""

from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import pyarrow as pa
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.insight.cohort_sums import GROUPINGS, Grouping
from patron.answers.insight.payback import show_payback
from patron.answers.insight.retention import MAX_GROUP_LENGTH, MEASURES, SPANS, Measure, Retention, show_retention
from patron.commands.access.record_list_export import record_list_export
from patron.commands.insight.enter_acquisition_costs import enter_acquisition_costs
from patron.interfaces.charts.cohort_charts import CohortNames, cohort_map, group_name, payback_chart
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, context_of, form_of, needs
from patron.interfaces.http.csv_response import csv_response
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import BadFile
from patron.schema.list_pages import MAX_COUNT

router = APIRouter(route_class=GuardedRoute)
PATH = "/retention"
PARAMETERS = ("measure", "by", "group", "months")
Choice = TypeVar("Choice", bound=str | int)
DEFAULTS = {"measure": MEASURES[0], "by": GROUPINGS[0], "group": None, "months": SPANS[0]}


@router.get(PATH)
@needs(Action.READ, Area.OVERVIEW)
def cohorts(request: Request) -> Response:
    """Cohorts as a heat map and as a table, or as a file."""
    require_known(request.query_params, (*PARAMETERS, "format", *FRAME_PARAMETERS))
    console: Console = request.app.state.console
    facts, texts = _retention(request), console.words(request)
    if request.query_params.get("format") == "csv":
        return _file(request, facts)
    formats = console.formats(texts)
    values = {"measure": facts.measure, "by": facts.grouping, "group": facts.group, "months": facts.months}
    chart = console.answers.cached_per_customer(  # why: a group may be any text of an address
        ("cohort map", texts.locale, *values.values()), lambda: cohort_map(facts, texts, formats)
    )
    return console.page(
        request,
        "insight/retention.html",
        here="retention",
        twin=address(values, path="/api/retention"),
        facts=facts,
        chart=chart,
        name_of=CohortNames(facts, texts, formats),
        group_name=lambda code: group_name(facts.grouping, code, texts),
        measures=[(address(values, measure=measure), measure) for measure in MEASURES],
        spans=SPANS,
        link=lambda **changes: address(values, **changes),
        csv=address(values, format="csv"),
    )


@router.get(f"{PATH}/payback")
@needs(Action.READ, Area.OVERVIEW)
def payback(request: Request) -> Response:
    """Payback by channel, and the form of the costs."""
    require_known(request.query_params, ("entered", "deleted", *FRAME_PARAMETERS))
    counts = {
        name: bounded_integer(request.query_params.get(name, ""), 0, MAX_COUNT) for name in ("entered", "deleted")
    }
    return _payback(request, done=counts if any(counts.values()) else None)


@router.post(f"{PATH}/costs")
@needs(Action.ACT, Area.CAMPAIGNS)
def costs(request: Request) -> Response:
    """Enter what was spent on winning customers."""
    text = form_of(request).get("costs", "")
    try:
        done = enter_acquisition_costs(context_of(request), text)
    except BadFile as error:
        return _payback(request, text=text, problem=error, status=status_of(error))
    return RedirectResponse(f"{PATH}/payback?entered={done.entered_count}&deleted={done.deleted_count}", 303)


def _retention(request: Request) -> Retention:
    """Retention as the address names it; a value that is none of the choices is the first of them."""
    parameters = request.query_params
    measure: Measure = _choice(MEASURES, parameters.get("measure"))
    grouping: Grouping = _choice(GROUPINGS, parameters.get("by"))
    months: Literal[12, 24, 36] = _choice(SPANS, parameters.get("months"))
    group = parameters.get("group")
    short = None if group is None else group[:MAX_GROUP_LENGTH]
    return show_retention(request.app.state.answers, measure, grouping, short, months)


def _choice(choices: tuple[Choice, ...], text: str | None) -> Choice:
    return next((choice for choice in choices if str(choice) == text), choices[0])


def _payback(request: Request, *, status: int = 200, **more: Any) -> Response:
    console: Console = request.app.state.console
    texts, facts = console.words(request), show_payback(console.answers)
    values: dict[str, Any] = {"done": None, "text": "", "problem": None, **more}
    return console.page(
        request,
        "insight/payback.html",
        here="retention",
        twin="/api/retention/payback",
        status=status,
        facts=facts,
        chart=payback_chart(facts.paybacks[0], texts, console.formats(texts)) if facts.paybacks else None,
        channel_name=lambda code: texts.level("channel", code) if code else texts("payback.all"),
        **values,
    )


def address(values: dict[str, Any], path: str = PATH, **changes: Any) -> str:
    """Address of one state of the page; what is chosen anyway is not named."""
    parameters = {
        name: value for name, value in {**values, **changes}.items() if value != DEFAULTS.get(name, "") is not None
    }
    return f"{path}?{urlencode(parameters)}" if parameters else path


def _file(request: Request, facts: Retention) -> Response:
    """One line for each row and month. Raises NotAllowed without the right to export."""
    actor_of(request).require(Right(Action.EXPORT, Area.OVERVIEW))
    rows = [
        {
            facts.grouping: row.code,
            "customers": row.customer_count,
            "months_since_first_order": age,
            facts.measure: _unit(cell.value, facts),
            "low": _unit(cell.low, facts),
            "high": _unit(cell.high, facts),
            "counted_customers": cell.customer_count,
            "is_complete": cell.is_complete,
        }
        for row in facts.rows
        for age, cell in enumerate(row.cells)
    ]
    filters = request.query_params
    record_list_export(context_of(request), ExportedList.RETENTION, row_count=len(rows), filters=filters)
    table = pa.Table.from_pylist(rows) if rows else pa.table({facts.grouping: pa.array([], pa.string())})
    return csv_response(table, "retention")


def _unit(value: float | None, facts: Retention) -> float | None:
    """A share as it is, cents in units of the currency."""
    if value is None or facts.measure == "share":
        return value
    return round(value) / 100
