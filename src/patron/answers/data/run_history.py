"""Runs: every completed one with its findings, and what changed between two of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from patron.answers.customers.watch_list import watch_list_total
from patron.answers.insight.revenue import expected_cents
from patron.answers.models.models import backtests, primary_metrics
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.errors import NotFound
from patron.schema.insight.figures import FIGURE_BY_CODE
from patron.schema.list_pages import Cursor, CursorText, Limit, microseconds_of, time_of
from patron.schema.models.questions import PROSPECTS
from patron.schema.sentences import Sentence
from patron.schema.tables import LIFECYCLE_STAGES
from patron.storage.engine import exact_sum, literal, timestamp
from patron.storage.models.missing_forecasts import MissingForecast, missing_forecasts
from patron.storage.models.model_decisions import utc
from patron.storage.runs.jobs import PREVIEW, RUN, Job, RunSchedule, job_of, newest_jobs, next_time, run_schedule
from patron.storage.runs.last_run import records
from patron.storage.runs.lost_jobs import settle_lost_jobs
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import RUNS
from patron.storage.workspace.run_files import EDGES, FILES, POLICY, RULES, SETTINGS

NO_SUCH_RUN = Sentence("no_such_run", "no such run has completed")
SEE_RUNS = Sentence("see_runs", "See /runs for the completed ones.")

PAGE_SIZE = 25
JOBS_LISTED = 8
READ_RUNS = Right(Action.READ, Area.RUNS)
RunId = Annotated[str, Field(max_length=40, description="Run by its name.")]
LaterRunId = Annotated[RunId, Field(alias="now")]
JobId = Annotated[str, Field(max_length=40)]
COMPARED_FILES = (SETTINGS, POLICY, EDGES, RULES)


@dataclass(frozen=True)
class RunLine:
    """One completed run."""

    run_id: str
    as_of: datetime
    finished_at: datetime
    seconds: float
    policy_version: str
    slowest_step: str
    """Empty for a run that did not say."""
    slowest_seconds: float
    missing_count: int
    """Questions that it had too little history for."""
    alarm_count: int


@dataclass(frozen=True)
class RunChoice:
    """A completed run that one may look back at."""

    run_id: str
    as_of: datetime


@dataclass(frozen=True)
class RunPage:
    """Runs, the latest cutoff first."""

    rows: tuple[RunLine, ...]
    total_count: int
    before: datetime | None
    """Rows have an earlier cutoff than this; None on the first page."""
    next_before: datetime | None
    """`before` of the next page; None on the last one."""


@dataclass(frozen=True)
class Champion:
    """The model that answers one question, and how it did on the past."""

    question: str
    learner: str
    metric: str
    value: float | None
    baseline_value: float | None


@dataclass(frozen=True)
class RunFacts:
    """What a run left, in numbers."""

    run_id: str
    as_of: datetime
    totals: Mapping[str, float | None]
    """customers and at_risk (counts), expected, prospects, value_at_risk, offer_cost and offer_net (cents), offers."""
    champions: tuple[Champion, ...] = ()
    stages: Mapping[str, int] = field(default_factory=dict)
    """Customers by lifecycle stage."""
    segments: Mapping[str, int] = field(default_factory=dict)
    """Members by saved segment."""
    actions: Mapping[str, int] = field(default_factory=dict)
    """Customers by the offer that was decided, `none` included."""


@dataclass(frozen=True)
class RunDetail:
    """One run: how long it took, what it left, and what is wrong with it."""

    line: RunLine
    seconds_by_step: Mapping[str, float]
    facts: RunFacts
    missing_forecasts: tuple[MissingForecast, ...]
    table_versions: Mapping[str, int | None]


@dataclass(frozen=True)
class Difference:
    """One number of two runs."""

    group: str
    """total, stage, segment, action or metric."""
    code: str
    """Name within the group; of a metric the question."""
    unit: str
    """count, money or the metric's name."""
    before: float | None
    now: float | None

    @property
    def change(self) -> float | None:
        """By how much it is more; None where one of both is not known."""
        return None if self.before is None or self.now is None else self.now - self.before


@dataclass(frozen=True)
class ChangedSetting:
    """A setting, or a value of the policy, that two runs had otherwise."""

    file: str
    name: str
    before: object
    now: object


@dataclass(frozen=True)
class ChangedChampion:
    """A question that another model answers."""

    question: str
    before: str | None
    now: str | None


@dataclass(frozen=True)
class RunComparison:
    """What changed from one run to another."""

    before: RunFacts
    now: RunFacts
    champions: tuple[ChangedChampion, ...]
    differences: tuple[Difference, ...]
    settings: tuple[ChangedSetting, ...]


def run_history(shop: Shop, *, before: datetime | None = None, limit: int = PAGE_SIZE) -> RunPage:
    """Completed runs, the latest cutoff first; none before any run."""
    chosen = sa.select(RUNS).order_by(RUNS.c.as_of.desc()).limit(limit + 1)
    if before is not None:
        chosen = chosen.where(RUNS.c.as_of < before)
    with shop.store.begin() as connection:
        rows = connection.execute(chosen.where(_known_in(shop))).mappings().all()
        total = connection.scalar(sa.select(sa.func.count()).select_from(RUNS).where(_known_in(shop))) or 0
    alarms = _alarm_counts(shop, [row["run_id"] for row in rows])
    lines = tuple(_line(row, alarms) for row in rows[:limit])
    return RunPage(lines, total, before, lines[-1].as_of if len(rows) > limit else None)


@dataclass(frozen=True)
class Runs:
    """Runs that completed, work under way, and when runs start by themselves."""

    history: RunPage
    jobs: tuple[Job, ...]
    """Runs and previews from the console and of the schedule, the newest first."""
    schedule: RunSchedule
    next_at: datetime | None
    """When the next run starts by itself; None where none does."""
    next_cursor: str | None
    """Where the next page of runs begins; null after the last."""


@operation(READ_RUNS, "GET /api/runs")
def list_runs(
    shop: Shop, before: datetime | None = None, cursor: CursorText = "", limit: Limit = None, *, now: datetime
) -> Runs:
    """Completed runs, the latest cutoff first, and work under way."""
    if cursor:
        before = time_of(*Cursor.in_list(cursor, "runs", int).place)
    settle_lost_jobs(shop, now=now)
    schedule = run_schedule(shop.store)
    jobs = newest_jobs(shop.store, RUN, PREVIEW, limit=JOBS_LISTED)
    next_at = next_time(schedule, now, shop.settings.shop.time_zone)
    history = run_history(shop, before=before, limit=limit or PAGE_SIZE)
    following = str(Cursor("runs", (microseconds_of(history.next_before),))) if history.next_before else None
    return Runs(history, jobs, schedule, next_at, following)


@operation(READ_RUNS, "GET /api/jobs/{job_id}")
def show_job(shop: Shop, job_id: JobId, *, now: datetime) -> Job:
    """One run, preview or import in the background, as it is now."""
    if job_of(shop.store, job_id).is_under_way:
        settle_lost_jobs(shop, now=now)
    return job_of(shop.store, job_id)


def run_choices(shop: Shop, *, limit: int) -> tuple[RunChoice, ...]:
    """The newest completed runs, also where the shop is that of a past one."""
    chosen = sa.select(RUNS.c.run_id, RUNS.c.as_of).order_by(RUNS.c.as_of.desc()).limit(limit)
    with shop.store.begin() as connection:
        return tuple(RunChoice(row.run_id, utc(row.as_of)) for row in connection.execute(chosen))


@operation(READ_RUNS, "GET /api/runs/{run_id}")
def run_detail(shop: Shop, run_id: str) -> RunDetail:
    """One run: steps with their seconds, totals, champions, segments and decisions."""
    row = _row(shop, run_id)
    view = _view(shop, row)
    return RunDetail(
        _line(row, _alarm_counts(shop, [run_id])),
        dict(row["summary"].get("seconds", {})),
        run_facts(view),
        missing_forecasts(view),
        row["table_versions"],
    )


@operation(READ_RUNS, "GET /api/runs/compare")
def compare_runs(shop: Shop, before: RunId, later: LaterRunId) -> RunComparison:
    """What changed from one run to another: champions, totals, segments, decisions, settings."""
    rows = [_row(shop, run_id) for run_id in (before, later)]
    of_before, of_later = (run_facts(_view(shop, row)) for row in rows)
    settings = tuple(_changed_settings(*(row["summary"].get(FILES, {}) for row in rows)))
    return comparison(of_before, of_later, settings)


def comparison(before: RunFacts, now: RunFacts, settings: tuple[ChangedSetting, ...] = ()) -> RunComparison:
    """What changed from what one run left to what another did."""
    learners = [{champion.question: champion.learner for champion in facts.champions} for facts in (before, now)]
    changed = tuple(
        ChangedChampion(question, learners[0].get(question), learners[1].get(question))
        for question in sorted(learners[0].keys() | learners[1].keys())
        if learners[0].get(question) != learners[1].get(question)
    )
    return RunComparison(before, now, changed, tuple(_differences(before, now)), settings)


def _differences(before: RunFacts, now: RunFacts) -> Iterator[Difference]:
    for code, value in now.totals.items():
        yield Difference("total", code, FIGURE_BY_CODE[code].unit, before.totals.get(code), value)
    for group in ("stages", "segments", "actions"):
        olds, news = getattr(before, group), getattr(now, group)
        names = (
            [stage for stage in LIFECYCLE_STAGES if stage in {*olds, *news}]
            if group == "stages"
            else sorted({*olds, *news})
        )
        for name in names:
            yield Difference(group.removesuffix("s"), name, "count", olds.get(name), news.get(name))
    old, new = ({champion.question: champion for champion in facts.champions} for facts in (before, now))
    for question in sorted(old.keys() | new.keys()):
        sides = [of.get(question) for of in (old, new)]
        metric = next(side.metric for side in sides if side)
        yield Difference("metric", question, metric, *(side.value if side else None for side in sides))


def run_facts(view: Snapshot) -> RunFacts:
    """What a run left, in numbers."""
    of_run = f"run_id = {literal(view.run.run_id)}"
    stages = _counts(view, f"select lifecycle_stage as name, count(*) as n from segments where {of_run} group by 1")
    sql = f"""
select action as name, count(*) as n, cast(coalesce(sum(cost_cents), 0) as double) as cost_cents,
  cast(coalesce(sum(expected_net_value_cents), 0) as double) as net_cents
from decisions where {of_run} group by action"""
    decided = {row["name"]: row for row in records(view.query(sql))}
    offers = [row for name, row in decided.items() if name != "none"]
    watched = watch_list_total(view)
    totals = {
        "customers": float(sum(stages.values())),
        "expected_value": expected_cents(view),
        "prospects_value": _sum(view, f"(select * from scores where question = '{PROSPECTS.name}') s", "value"),
        "at_risk": float(stages.get("at_risk", 0)),
        "watch_list": float(watched.customer_count),
        "value_at_risk": watched.value_at_risk_cents,
        "offers": float(sum(row["n"] for row in offers)),
        "offer_cost": sum(row["cost_cents"] for row in offers),
        "offer_net": sum(row["net_cents"] for row in offers),
    }
    members = f"""
select segment as name, count(*) as n from segment_members
where entered_at <= {timestamp(view.run.as_of)} and (left_at is null or left_at > {timestamp(view.run.as_of)})
group by segment"""
    return RunFacts(
        view.run.run_id,
        view.run.as_of,
        totals,
        tuple(_champions(view)),
        stages,
        _counts(view, members),
        {name: row["n"] for name, row in decided.items()},
    )


def _sum(view: Snapshot, rows: str, column: str) -> float | None:
    sql = f"select {exact_sum(column)} as total from {rows} where run_id = {literal(view.run.run_id)}"
    return records(view.query(sql))[0]["total"]


def _counts(view: Snapshot, sql: str) -> dict[str, int]:
    return {row["name"]: row["n"] for row in records(view.query(f"{sql} order by 1")) if row["name"]}


def _champions(view: Snapshot) -> Iterator[Champion]:
    """The champion of each question on its primary metric, over all past cutoffs."""
    for row in backtests(view):
        if row.origin == "all" and row.learner == row.champion and row.metric in primary_metrics(row.question)[:1]:
            yield Champion(row.question, row.champion, row.metric, row.value, row.baseline_value)


def _alarm_counts(shop: Shop, run_ids: list[str]) -> dict[str, int]:
    if not run_ids or shop.last_completed() is None:
        return {}
    listed = ", ".join(literal(run_id) for run_id in run_ids)
    sql = f"select run_id as name, count(*) as n from model_alarms where run_id in ({listed}) group by run_id"
    return _counts(shop.newest_snapshot(), sql)


def _changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[ChangedSetting]:
    """Values of patron.toml, of the policy and of two more files that differ."""
    for file in COMPARED_FILES:
        old, new = before.get(file, {}), now.get(file, {})
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield ChangedSetting(file, name, old.get(name), new.get(name))


def _known_in(shop: Shop) -> sa.ColumnElement[bool]:
    """Condition of runs that had completed, in a shop of a past run."""
    return sa.true() if shop.cutoff is None else RUNS.c.as_of <= shop.cutoff


def _row(shop: Shop, run_id: str) -> sa.RowMapping:
    with shop.store.begin() as connection:
        chosen = sa.select(RUNS).where(RUNS.c.run_id == run_id, _known_in(shop))
        row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound(NO_SUCH_RUN, where=run_id, todo=SEE_RUNS)
    return row


def _view(shop: Shop, row: sa.RowMapping) -> Snapshot:
    view = shop.snapshot_of(utc(row["as_of"]))
    return view or Snapshot(shop, Run(row["run_id"], utc(row["as_of"]), row["seed"]), {})


def _line(row: sa.RowMapping, alarms: Mapping[str, int]) -> RunLine:
    summary = row["summary"] or {}
    step, seconds = max(summary.get("seconds", {}).items(), key=lambda one: one[1], default=("", 0.0))
    return RunLine(
        row["run_id"],
        utc(row["as_of"]),
        utc(row["finished_at"]),
        row["seconds"],
        row["policy_version"],
        slowest_step=step,
        slowest_seconds=seconds,
        missing_count=len(summary.get("missing_forecasts", ())),
        alarm_count=alarms.get(row["run_id"], 0),
    )
