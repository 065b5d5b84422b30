"""Everything that has a control group: what it brought or lost, what it cannot show, and whether to trust it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa
from pydantic import Field

from patron.answers.customers.task_effects import task_effects
from patron.answers.customers.task_experiment import TASK_EXPERIMENT, task_lines
from patron.answers.insight.experiment_line import VERDICTS, Experiment, Kind, Verdict, verdict_of
from patron.answers.insight.experiment_results import (
    DETECTABLE_ERRORS,
    HANDED_OVER,
    Arm,
    arms,
    baseline_cents,
    gains,
    guard_rails,
)
from patron.answers.insight.share_intervals import REACH_95
from patron.answers.offers.offer_experiment import OFFERS, OfferExperiment, offer_experiment
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.schema.spelling import did_you_mean
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES, RECEIPTS
from patron.storage.outreach.journey_file import JOURNEY
from patron.storage.outreach.outreach_counts import row_counts
from patron.storage.outreach.versioned_drafts import MEASURED, WITHDRAWN, SavedVersion
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop

SEE_EXPERIMENTS = Sentence("see_experiments", "See the list of experiments.")
NO_EXPERIMENT = Sentence("no_experiment", "no experiment {name!r} with measured offers")
NO_TASK_EXPERIMENT = Sentence("no_task_experiment", "no experiment {name!r} with tasks")

Year = Annotated[int | None, Field(ge=1970, le=9999, description="Year of the summary (default: that of the run).")]
DECIDED = ("won", "lost", "inconclusive")


@dataclass(frozen=True)
class YearSummary:
    """What was decided in one year; cents."""

    year: int
    won: int
    lost: int
    inconclusive: int
    distrusted: int
    """Left out of the sum."""
    total_cents: float
    total_low: float
    total_high: float
    """Sum of all effects that were measured in the year, whether significant or not, with its 95 % interval."""


@dataclass(frozen=True)
class ExperimentList:
    """Experiments: the largest effect first, those without one at the end."""

    run_id: str
    as_of: datetime
    summary: YearSummary
    years: tuple[int, ...]
    """Years in which something was measured, the latest first."""
    rows: tuple[Experiment, ...]


@dataclass(frozen=True)
class Composition:
    """How many customers of one lifecycle stage each arm had when it was planned."""

    lifecycle_stage: str | None
    """NULL: not known at that run."""
    treated_count: int
    control_count: int


@dataclass(frozen=True)
class ExperimentDetail:
    """One experiment with all that is known of it."""

    line: Experiment
    arms: tuple[Arm, ...]
    composition: tuple[Composition, ...]
    messages: Mapping[str, int]
    """Messages by state."""
    receipts: Mapping[str, int]
    """Messages by what became of them."""
    cost_cents: float | None
    planned_cents: float | None
    """Total effect that the plan expected; NULL without a plan."""
    offers: OfferExperiment | None
    """Of the policy's offers: each offer, and every run that measured them."""


@operation(Right(Action.READ, Area.EXPERIMENTS), "GET /api/experiments")
def list_experiments(
    shop: Shop, *, year: Year = None, kind: Kind | Literal[""] = "", verdict: Verdict | Literal[""] = ""
) -> ExperimentList:
    """Campaigns, journeys, offers and tasks against their control groups: won, lost or not significant, in money.

    The summary counts all of the year. Raises NoRunYet.
    """
    view, usual = last_run(shop), _Unsubscribes.of(shop)
    zone = ZoneInfo(shop.settings.shop.time_zone)
    assigned = _arm_sizes(shop)
    rows = [
        _line(kind.kind, saved, _result_of(saved), usual, assigned, zone)
        for kind in (CAMPAIGN, JOURNEY)
        for saved in _newest_versions(shop, kind)
        if saved.last("approved") is not None
    ]
    offers = offer_experiment(view)
    if offers is not None:
        rows.append(_offer_line(offers, shop.policy.holdout.experiment))
    rows += task_lines(task_effects(shop))
    measured = [row for row in rows if row.gain is not None and row.until is not None]
    years = sorted({one.until.astimezone(zone).year for one in measured if one.until}, reverse=True)
    chosen = year or view.run.as_of.astimezone(zone).year
    of_year = [one for one in measured if one.until and one.until.astimezone(zone).year == chosen]
    rows.sort(key=lambda one: (one.gain is None, -abs(one.gain.total_cents) if one.gain else 0.0, one.name))
    return ExperimentList(
        view.run.run_id,
        view.run.as_of,
        summary=_summary(chosen, of_year),
        years=tuple(years),
        rows=tuple(row for row in rows if kind in {"", row.kind} and verdict in {"", row.verdict}),
    )


def show_experiment(shop: Shop, kind: Kind, name: str, *, so_far: Mapping[str, Any] | None = None) -> ExperimentDetail:
    """One experiment; `so_far` is what measuring it says before its end. Raises NotFound, NoRunYet."""
    if kind == OFFERS:
        return _show_offers(shop, name)
    if kind == TASK_EXPERIMENT:
        return _show_tasks(shop, name)
    saved_kind = CAMPAIGN if kind == "campaign" else JOURNEY
    saved = saved_kind.saved_in(shop.store, name)
    result = _result_of(saved) or so_far
    zone = ZoneInfo(shop.settings.shop.time_zone)
    plan = step.details if (step := saved.last("planned")) else {}
    forecast = _replay(plan).get("forecast") or {}
    return ExperimentDetail(
        line=_line(kind, saved, result, _Unsubscribes.of(shop), _arm_sizes(shop), zone),
        arms=arms(result) if result else (),
        composition=_composition(shop, name, plan.get("run_id")),
        messages=result["message_counts"] if result else {},
        receipts=result["receipt_counts"] if result else {},
        cost_cents=result["spend"]["total_cents"] if result else None,
        planned_cents=forecast.get("margin_cents") if kind == "campaign" else None,
        offers=None,
    )


def _show_offers(shop: Shop, name: str) -> ExperimentDetail:
    offers, experiment = offer_experiment(last_run(shop)), shop.policy.holdout.experiment
    if offers is None or name != experiment:
        todo = did_you_mean(name, (experiment,)) or SEE_EXPERIMENTS
        raise NotFound(NO_EXPERIMENT(name=name), where="experiment", todo=todo)
    return ExperimentDetail(
        _offer_line(offers, experiment),
        (),
        composition=(),
        messages={},
        receipts={},
        cost_cents=None,
        planned_cents=None,
        offers=offers,
    )


def _show_tasks(shop: Shop, name: str) -> ExperimentDetail:
    lines = task_lines(task_effects(shop))
    if not lines or name != TASK_EXPERIMENT:
        raise NotFound(NO_TASK_EXPERIMENT(name=name), where="experiment", todo=SEE_EXPERIMENTS)
    return ExperimentDetail(
        lines[0], (), composition=(), messages={}, receipts={}, cost_cents=None, planned_cents=None, offers=None
    )


def _newest_versions(shop: Shop, kind: Any) -> tuple[SavedVersion[Any], ...]:
    with shop.store.begin() as connection:
        return kind.all_saved(connection)


def _result_of(saved: SavedVersion[Any]) -> Mapping[str, Any] | None:
    step = saved.last("measured")
    return step.details if step and saved.state == MEASURED else None


def _replay(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a plan expects: a campaign's own, or the replay of a journey."""
    return plan if "forecast" in plan else plan.get("replay") or {}


def _line(
    kind: Any,
    saved: SavedVersion[Any],
    result: Mapping[str, Any] | None,
    usual: "_Unsubscribes",
    assigned: Mapping[str, dict[bool, int]],
    zone: ZoneInfo,
) -> Experiment:
    start = saved.last("started") or saved.last("approved")
    counts = assigned.get(saved.name, {})
    plan = step.details if (step := saved.last("planned")) else {}
    shared = {"kind": kind, "name": saved.name, "state": saved.state, "started_at": start.taken_at if start else None}
    if result is None:
        planned = (_replay(plan).get("detectable") or {}).get("detectable_cents")
        is_controlled = counts.get(True) or not counts
        return Experiment(
            **shared,
            verdict="running" if is_controlled and saved.state != WITHDRAWN else "no_control",
            until=saved.end_at(zone),
            treated_count=counts.get(False, 0),
            control_count=counts.get(True, 0),
            gain=None,
            raw=None,
            is_final=False,
            baseline_cents=None,
            detectable_cents=planned,
            sample_ratio_p_value=None,
            guard_rails=(),
        )
    gain, raw = gains(result)
    p_value = result["sample_ratio_p_value"]
    return Experiment(
        **shared,
        verdict=verdict_of(gain, p_value, is_final=result["is_final"]),
        until=_moment(result["until"]),
        treated_count=result["arms"]["treated"]["customers"],
        control_count=result["arms"]["holdout"]["customers"],
        gain=gain,
        raw=raw,
        is_final=result["is_final"],
        baseline_cents=baseline_cents(result),
        detectable_cents=gain.standard_error * DETECTABLE_ERRORS if gain else None,
        sample_ratio_p_value=p_value,
        guard_rails=guard_rails(result, usual.without(saved.name)),
    )


def _moment(at: str | datetime) -> datetime:
    return at if isinstance(at, datetime) else datetime.fromisoformat(at)


def _offer_line(offers: OfferExperiment, name: str) -> Experiment:
    whole, p_value = offers.whole, offers.sample_ratio_p_value
    return Experiment(
        kind=OFFERS,
        name=name,
        state="running",
        verdict=verdict_of(whole.gain, p_value, is_final=False, is_placebo=offers.is_placebo),
        started_at=offers.decided_from,
        until=offers.decided_until,
        treated_count=whole.treated_count,
        control_count=whole.control_count,
        gain=whole.gain,
        raw=whole.raw,
        is_final=False,
        baseline_cents=None,
        detectable_cents=whole.detectable_cents,
        sample_ratio_p_value=p_value,
        guard_rails=(),
    )


def _summary(year: int, measured: list[Experiment]) -> YearSummary:
    counts = {verdict: sum(one.verdict == verdict for one in measured) for verdict in VERDICTS}
    summed = [
        (one.gain, one.treated_count)
        for one in measured
        if one.verdict in {*DECIDED, "running"} and one.gain is not None
    ]
    total = sum(gain.total_cents for gain, _ in summed)
    # why: the control groups of experiments are drawn independently of each other, so that their errors add up squared
    reach = REACH_95 * sqrt(sum((gain.standard_error * treated) ** 2 for gain, treated in summed))
    return YearSummary(
        year=year,
        won=counts["won"],
        lost=counts["lost"],
        inconclusive=counts["inconclusive"],
        distrusted=counts["distrusted"],
        total_cents=total,
        total_low=total - reach,
        total_high=total + reach,
    )


def _arm_sizes(shop: Shop) -> dict[str, dict[bool, int]]:
    """Customers of each arm by campaign or journey; True is the holdout."""
    table = ASSIGNMENTS.c
    counted = sa.select(table.campaign, table.is_holdout, sa.func.count()).group_by(table.campaign, table.is_holdout)
    counts: dict[str, dict[bool, int]] = {}
    with shop.store.begin() as connection:
        for name, is_holdout, count in connection.execute(counted):
            counts.setdefault(name, {})[bool(is_holdout)] = count
    return counts


@dataclass(frozen=True)
class _Unsubscribes:
    """Messages that a channel took, and how many of them were unsubscribed from, by campaign or journey."""

    sent: Mapping[str, int]
    unsubscribed: Mapping[str, int]

    @classmethod
    def of(cls, shop: Shop) -> "_Unsubscribes":
        receipt, message = RECEIPTS.c, MESSAGES.c
        counted = sa.select(message.campaign, sa.func.count(sa.distinct(receipt.message_id)))
        joined = counted.join(RECEIPTS, receipt.message_id == message.message_id)
        with shop.store.begin() as connection:
            chosen = joined.where(receipt.kind == "unsubscribed").group_by(message.campaign)
            unsubscribed = {row[0]: row[1] for row in connection.execute(chosen)}
        return cls(row_counts(shop.store, message.campaign, message.state.in_(HANDED_OVER)), unsubscribed)

    def without(self, name: str) -> float | None:
        """Share of the messages of all others; None without any."""
        sent = sum(count for one, count in self.sent.items() if one != name)
        return sum(count for one, count in self.unsubscribed.items() if one != name) / sent if sent else None


def _composition(shop: Shop, name: str, run_id: str | None) -> tuple[Composition, ...]:
    """Lifecycle stages of both arms at the run of the plan."""
    table = ASSIGNMENTS.c
    with shop.store.begin() as connection:
        chosen = connection.execute(sa.select(table.customer_id, table.is_holdout).where(table.campaign == name)).all()
    if not chosen or run_id is None:
        return ()
    assigned = pa.table(
        {
            "customer_id": pa.array([row[0] for row in chosen], pa.string()),
            "is_holdout": pa.array([bool(row[1]) for row in chosen], pa.bool_()),
        }
    )
    sql = """
select s.lifecycle_stage, count(case when not a.is_holdout then 1 end) as treated_count,
  count(case when a.is_holdout then 1 end) as control_count
from assigned a left join segments s on s.customer_id = a.customer_id and s.run_id = $run_id
group by s.lifecycle_stage order by count(*) desc, s.lifecycle_stage"""
    return tuple(
        Composition(**row) for row in records(last_run(shop).query(sql, {"run_id": run_id}, assigned=assigned))
    )
