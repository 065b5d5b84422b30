"""Runs: their history, two compared, one now, the preview of the next one, and when they start by themselves."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.data.run_history import (
    RunComparison,
    RunFacts,
    compare_runs,
    comparison,
    list_runs,
    run_detail,
    run_facts,
    run_history,
    show_job,
)
from patron.commands.data.schedule_runs import schedule_runs
from patron.interfaces.console.access.audit_texts import bare_actor
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import BadQuery, NoRunYet, PatronError
from patron.schema.sentences import Sentence
from patron.service.jobs import start_job
from patron.storage.runs.jobs import IMPORT, PREVIEW, RUN, SCHEDULE, TRIAL, Job, Kind
from patron.storage.runs.last_run import last_run

NOT_AN_AMOUNT = Sentence("not_an_amount", "{text!r} is not an amount")
NOT_A_TIME = Sentence("not_a_time", "{text!r} is not a time")
NUMBER_SUCH_AS = Sentence("number_such_as", "Write a number such as 2000.")
FOLLOW_LINK = Sentence("follow_link", "Follow the link of the page.")
CHOOSE_TIME = Sentence("choose_time", "Choose a day and a time.")

router = APIRouter(route_class=GuardedRoute)
RUNS_TO_COMPARE = 60
MAX_EXPORTED = 10_000
"""Runs that a file has at most: 27 years of nights."""
FILE_COLUMNS = (
    "run_id",
    "as_of",
    "finished_at",
    "seconds",
    "policy_version",
    "slowest_step",
    "slowest_seconds",
    "missing_count",
    "alarm_count",
)
CUTOFFS = ("now", "today")
PARAMETERS = ("before", "format", *FRAME_PARAMETERS)
MAX_BUDGET = 1e12


@router.get("/runs")
@needs(Action.READ, Area.RUNS)
def runs(request: Request) -> Response:
    """Completed runs, what is under way, and the next one."""
    require_known(request.query_params, PARAMETERS)
    if request.query_params.get("format") == "csv":
        rows = [fields_of(row) for row in run_history(request.app.state.answers.shop, limit=MAX_EXPORTED).rows]
        return list_file(request, ExportedList.RUNS, rows, area=Area.RUNS, columns=FILE_COLUMNS)
    return _runs(request)


def _runs(request: Request, problem: PatronError | None = None) -> Response:
    console: Console = request.app.state.console
    require_known(request.query_params, PARAMETERS)
    before = _time(request.query_params.get("before", ""))
    facts = list_runs(console.answers.shop, before, now=datetime.now(UTC))
    twin = f"/api/runs?{urlencode({'before': before.isoformat()})}" if before else "/api/runs"
    next_before = facts.history.next_before
    return console.page(
        request,
        "data/runs.html",
        here="runs",
        twin=twin,
        status=status_of(problem) if problem else 200,
        runs=facts,
        problem=problem,
        next=f"/runs?{urlencode({'before': next_before.isoformat()})}" if next_before else "",
        actor_name=_actor_name(console, request),
        time_zone=console.answers.shop.settings.shop.time_zone,
        currency=console.answers.shop.settings.shop.currency,
    )


def _actor_name(console: Console, request: Request) -> Callable[[str], str]:
    """How the reader's language names who started something."""
    texts = console.words(request)
    return lambda actor: texts("job.schedule") if actor == SCHEDULE else bare_actor(actor)


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise BadQuery(NOT_A_TIME(text=text[:40]), where="before", todo=FOLLOW_LINK) from None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time


@router.get("/runs/compare")
@needs(Action.READ, Area.RUNS)
def compare(request: Request) -> Response:
    """What changed from one run to another."""
    console: Console = request.app.state.console
    parameters = request.query_params
    require_known(parameters, ("before", "now", *FRAME_PARAMETERS))
    listed = run_history(console.answers.shop, limit=RUNS_TO_COMPARE).rows
    names = [row.run_id for row in listed]
    now = parameters.get("now", "")[:40] or next(iter(names), "")
    before = parameters.get("before", "")[:40] or next(iter(names[1:]), now)
    shown = compare_runs(console.answers.shop, before, now)
    twin = f"/api/runs/compare?{urlencode({'before': before, 'now': now})}"
    return console.page(request, "data/run_comparison.html", here="runs", twin=twin, listed=listed, compared=shown)


@router.get("/runs/{run_id}")
@needs(Action.READ, Area.RUNS)
def run(request: Request, run_id: str) -> Response:
    """One run."""
    console: Console = request.app.state.console
    detail = run_detail(console.answers.shop, run_id)
    earlier = run_history(console.answers.shop, before=detail.line.as_of, limit=1).rows
    twin = f"/api/runs/{quote(run_id)}"
    return console.page(
        request, "data/run.html", here="runs", twin=twin, run=detail, earlier=earlier[0] if earlier else None
    )


@router.post("/runs/start")
@needs(Action.ACT, Area.RUNS)
def start(request: Request) -> Response:
    """Run now, in the background."""
    return _start(request, RUN)


@router.post("/runs/preview")
@needs(Action.ACT, Area.RUNS)
def preview(request: Request) -> Response:
    """Preview a run, in the background, maybe with another budget."""
    return _start(request, PREVIEW)


def _start(request: Request, kind: Kind) -> Response:
    form = form_of(request)
    try:
        options: dict[str, object] = {"as_of": _cutoff(form.get("as_of", ""), form.get("time", ""))}
        if kind == RUN:
            options["retrain"] = bool(form.get("retrain"))
        elif form.get("budget", "").strip():
            options["budget"] = _budget(form["budget"])
        job = start_job(context_of(request), kind, options)
    except PatronError as error:
        return _runs(request, error)
    return RedirectResponse(f"/jobs/{job.job_id}", 303)


def _cutoff(chosen: str, time: str) -> str:
    """The cutoff as the process reads it. Raises BadQuery."""
    if chosen in CUTOFFS or not (chosen or time):
        return chosen or CUTOFFS[0]
    try:
        return datetime.fromisoformat(time).isoformat()
    except ValueError:
        raise BadQuery(NOT_A_TIME(text=time[:40]), where="time", todo=CHOOSE_TIME) from None


def _budget(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= MAX_BUDGET:
        raise BadQuery(NOT_AN_AMOUNT(text=text[:40]), where="budget", todo=NUMBER_SUCH_AS)
    return amount


@router.post("/runs/schedule")
@needs(Action.ACT, Area.RUNS)
def schedule(request: Request) -> Response:
    """Let a run start every day at a time, or none."""
    form = form_of(request)
    try:
        time = form.get("time", "").strip()[:5] if form.get("is_on") else ""
        schedule_runs(context_of(request), time)
    except PatronError as error:
        return _runs(request, error)
    return RedirectResponse("/runs", 303)


@router.get("/jobs/{job_id}")
@needs(Action.READ, Area.RUNS)
def job(request: Request, job_id: str) -> Response:
    """How far work in the background is, and what came of it."""
    console: Console = request.app.state.console
    shop = console.answers.shop
    facts = show_job(shop, job_id, now=datetime.now(UTC))
    if not facts.is_under_way:
        shop.reload_settings()  # why: a first import writes the shop's currency
    return console.page(
        request,
        "data/job.html",
        here={IMPORT: "ingestion", TRIAL: "campaigns"}.get(facts.kind, "runs"),
        twin=f"/api/jobs/{quote(job_id)}",
        fragments={"job": "data/_job.html"},
        job=facts,
        actor_name=_actor_name(console, request),
        back=_page_of(facts),
        compared=_preview_comparison(console, facts),
        undated_refunds=(facts.result or {}).get("undated_refund_count", 0),
    )


def _page_of(facts: Job) -> str:
    """Address of the page that a job was started on."""
    if facts.kind == IMPORT:
        return f"/ingestion/upload/{facts.options['upload_id']}"
    return f"/campaigns/{quote(facts.options['campaign'], safe='')}" if facts.kind == TRIAL else "/runs"


def _preview_comparison(console: Console, facts: Job) -> RunComparison | None:
    """What a previewed run would change since the last one."""
    if facts.kind != PREVIEW or not facts.result:
        return None
    previewed = msgspec.convert(facts.result["facts"], RunFacts)
    try:
        last = run_facts(last_run(console.answers.shop))
    except NoRunYet:
        last = RunFacts("", previewed.as_of, {})
    return comparison(last, previewed)
