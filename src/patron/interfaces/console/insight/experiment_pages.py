"""The pages of experiments: everything with a control group, and each of them."""

from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote, urlencode

import pyarrow as pa
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.insight.experiment_line import KINDS, VERDICTS, Experiment, Kind, Verdict
from patron.answers.insight.experiments import ExperimentList, list_experiments
from patron.commands.access.record_list_export import record_list_export
from patron.interfaces.charts.experiment_charts import effect_by_day, effect_by_run
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, context_of, needs
from patron.interfaces.http.csv_response import csv_response
from patron.interfaces.http.insight.experiment_view import show_experiment
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence

NO_EXPERIMENT_KIND = Sentence("no_experiment_kind", "no kind of experiment {name!r}")
KINDS_ARE = Sentence("kinds_are", "Kinds are {names}.")

router = APIRouter(route_class=GuardedRoute)
PATH = "/experiments"
TASK_EFFECT = "/tasks/effect"
PARAMETERS = ("year", "kind", "verdict")
FIRST_YEAR, LAST_YEAR = 1970, 9999


@router.get(PATH)
@needs(Action.READ, Area.EXPERIMENTS)
def experiments(request: Request) -> Response:
    """All experiments, and what was decided in a year."""
    parameters = request.query_params
    require_known(parameters, (*PARAMETERS, "format", *FRAME_PARAMETERS))
    console: Console = request.app.state.console
    year = bounded_integer(parameters.get("year", ""), FIRST_YEAR, LAST_YEAR)
    kind, verdict = (parameters.get(name, "") for name in ("kind", "verdict"))
    kind = cast("Kind", kind) if kind in KINDS else ""
    verdict = cast("Verdict", verdict) if verdict in VERDICTS else ""
    listing = list_experiments(console.answers.shop, year=year, kind=kind, verdict=verdict)
    if parameters.get("format") == "csv":
        return _file(request, listing)
    values = {"year": str(year or ""), "kind": kind, "verdict": verdict}
    ends = [abs(end) for row in listing.rows if row.gain for end in (row.gain.total_low, row.gain.total_high)]
    return console.page(
        request,
        "insight/experiments.html",
        here="experiments",
        twin=_address("/api/experiments", values),
        listing=listing,
        kind=kind,
        kinds=KINDS,
        chosen_verdict=verdict,
        verdicts=VERDICTS,
        years=sorted({*listing.years, listing.summary.year}, reverse=True),
        most=max(ends, default=1.0) or 1.0,
        link_to=link_to,
        csv=_address(PATH, values | {"format": "csv"}),
    )


@router.get(f"{PATH}/{{kind}}/{{name}}")
@needs(Action.READ, Area.EXPERIMENTS)
def experiment(request: Request, kind: str, name: str) -> Response:
    """One experiment."""
    require_known(request.query_params, FRAME_PARAMETERS)
    if kind == "tasks":
        return RedirectResponse(TASK_EFFECT, 303)
    known: Kind | None = next((one for one in KINDS if one == kind), None)
    if known is None:
        raise NotFound(NO_EXPERIMENT_KIND(name=kind), where="kind", todo=KINDS_ARE(names=", ".join(KINDS)))
    console: Console = request.app.state.console
    texts, facts = console.words(request), show_experiment(console.answers, known, name, now=datetime.now(UTC))
    detail, formats = facts.detail, console.formats(texts)
    if detail.offers is not None:
        chart = effect_by_run(detail.offers.runs, texts, formats)
        shown = [
            detail.line.gain,
            detail.line.raw,
            *(offer.gain for offer in detail.offers.offers + detail.offers.strata),
        ]
    else:
        chart = effect_by_day(facts.days, texts, formats, is_journey=kind == "journey")
        shown = [detail.line.gain, detail.line.raw]
    ends = [abs(end) for one in shown if one for end in (one.customer_low, one.customer_high)]
    return console.page(
        request,
        "insight/experiment.html",
        here="experiments",
        twin=f"/api{link_to(detail.line)}",
        detail=detail,
        chart=chart,
        most=max(ends, default=1.0) or 1.0,
        subject=_subject(request, detail.line),
    )


def link_to(line: Experiment) -> str:
    """Address of one experiment; tasks have a page of their own."""
    if line.kind == "tasks":
        return TASK_EFFECT
    return f"{PATH}/{line.kind}/{quote(line.name, safe='')}"


def _subject(request: Request, line: Experiment) -> str:
    """Address of the campaign, the journey or the offers; empty where the reader may not open it, or it has no page."""
    console: Console = request.app.state.console
    code, area = ("offers", "offers") if line.kind == "offers" else (f"{line.kind}s", "campaigns")
    if code not in console.pages or not console.may(request, "read", area):
        return ""
    path = console.pages[code]
    return path if line.kind == "offers" else f"{path}/{quote(line.name, safe='')}"


def _address(path: str, values: dict[str, str]) -> str:
    parameters = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{parameters}" if parameters else path


def _file(request: Request, listing: ExperimentList) -> Response:
    """One line an experiment. Raises NotAllowed without the right to export."""
    actor_of(request).require(Right(Action.EXPORT, Area.EXPERIMENTS))
    rows = [_row(row) for row in listing.rows]
    record_list_export(context_of(request), ExportedList.EXPERIMENTS, row_count=len(rows), filters=request.query_params)
    table = pa.Table.from_pylist(rows) if rows else pa.table({"name": pa.array([], pa.string())})
    return csv_response(table, "experiments")


def _row(one: Experiment) -> dict[str, Any]:
    gain = one.gain
    amounts = {
        "total": gain.total_cents if gain else None,
        "total_low": gain.total_low if gain else None,
        "total_high": gain.total_high if gain else None,
        "per_customer": gain.customer_cents if gain else None,
        "per_customer_low": gain.customer_low if gain else None,
        "per_customer_high": gain.customer_high if gain else None,
        "control_margin_per_customer": one.baseline_cents,
        "detectable_per_customer": one.detectable_cents,
    }
    return {
        "kind": one.kind,
        "name": one.name,
        "verdict": one.verdict,
        "started_at": one.started_at,
        "until": one.until,
        "treated": one.treated_count,
        "control": one.control_count,
        **{name: None if cents is None else round(cents) / 100 for name, cents in amounts.items()},
        "sample_ratio_p_value": one.sample_ratio_p_value,
    }
