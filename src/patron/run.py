"""The nightly run: every stage once, in order, as of one cutoff; readers see it when its row is written."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatch
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron import collect, decide, engage, measure, predict, understand
from patron.collect.inbox.compaction import drain_inbox
from patron.collect.loader import EVENT_SOURCE, load_events
from patron.decide.offers import decide_offers
from patron.decide.recommendations import write_recommendations
from patron.engage.outbox_offers import OFFERS, has_offers, is_sent, remove_offers
from patron.engage.run_delivery import OutboxSummary, deliver
from patron.govern.vault import Vault
from patron.measure.cohorts import write_cohorts
from patron.measure.drift import measure_drift
from patron.measure.effect_measurement import measure_effects
from patron.measure.forecast_checks import check_forecasts
from patron.measure.list_responses import measure_lists
from patron.measure.model_alarms import write_model_alarms
from patron.measure.offer_responses import measure_offer_responses
from patron.measure.task_effects import measure_tasks
from patron.offer_delivery import reserve_offers, settle_deliveries
from patron.predict.backtest import cutoffs_for
from patron.predict.pinned_models import require_usable
from patron.predict.predict_stage import Summary as Forecasts
from patron.predict.predict_stage import run as run_predict
from patron.predict.purchase.next_order import build_next_orders
from patron.predict.recommend.product_content import image_vectors
from patron.predict.recommend.product_edges import product_edges
from patron.predict.survival import build_early_warnings, build_survival_curves
from patron.predict.value.value_at_risk import build_value_at_risk
from patron.predict.value.value_parts import build_value_parts
from patron.schema.data.refunds import LaterRefunds
from patron.schema.errors import NotEnoughData, WorkspaceBusy, WorkspaceError
from patron.schema.models.questions import PROSPECTS
from patron.schema.progress import Progress, silent
from patron.schema.table_definition import Table
from patron.schema.tables import BY_NAME, EVENTS, TABLES
from patron.storage.engine import literal
from patron.storage.models.missing_forecasts import MISSING, MissingForecast, as_summary, find_missing_forecasts
from patron.storage.models.model_decisions import PINNABLE, active_pins
from patron.storage.offers.deliveries import delivery_of, forget_delivery
from patron.storage.offers.offer_rules import OfferRules
from patron.storage.runs.runs import FactsOrigin, Run
from patron.storage.runs.stage_view import VAULT, StageView
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from patron.storage.workspace.run_files import (
    FILES,
    drop_outbox_files,
    files_of_run,
    outbox_digests,
)
from patron.storage.workspace.workspace_files import IMAGE_VECTORS_FILE, OFFER_RULES_FILE, PRODUCT_EDGES_FILE
from patron.understand.cutoffs import build_cutoffs
from patron.understand.facts import build_facts
from patron.understand.facts.later_refunds import build_later_refunds
from patron.understand.features import FAMILIES, OF_PROSPECTS, build_features, feature_version, without_traits
from patron.understand.prospects import build_prospect_features, first_known_at
from patron.understand.segment_members import build_segment_members
from patron.understand.segments import build_segments
from patron.understand.stage_transitions import build_stage_transitions

CAPABILITIES: Mapping[str, Callable[[Shop], object]] = {VAULT: Vault.open}
"""What a stage may declare besides tables, and how the run opens it."""
NEEDED_OF_FORECASTS = ("scores", "backtests", "trainings", "orders", "model_manifests")
"""Tables that say which forecasts are missing."""


@dataclass(frozen=True)
class Step:
    """One step of a run: its stage, and its functions in order; the step's result is that of the last one."""

    name: str
    stage: ModuleType
    functions: tuple[Callable[[StageView], Any], ...]

    def run(self, view: StageView) -> Any:
        """Run the step."""
        results = [function(view) for function in self.functions]
        return results[-1]


@dataclass(frozen=True)
class FinishedRun:
    """A completed run."""

    run_id: str
    as_of: datetime
    seconds: float
    customer_count: int
    seconds_by_step: Mapping[str, float]
    forecasts: Forecasts
    outbox: OutboxSummary
    facts: FactsOrigin
    """What the facts were made from, for the next run to build on."""
    later_refunds: LaterRefunds | None = None
    """Refunds that became known only after the cutoff, and do not count."""
    missing_forecasts: tuple[MissingForecast, ...] = ()
    """Questions that there is too little history for, and from when on there is enough."""


def as_of_text(view: StageView) -> str:
    """The run's cutoff as text, in the shop's time zone."""
    zone = view.settings.shop.time_zone
    return f"{view.run.as_of.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"


def build_run_cutoffs(view: StageView) -> None:
    """Write the cutoffs that the run needs: its own, and past ones to learn from and to be evaluated at."""
    first = view.query("select min(known_at) as first_at from orders where is_identified")["first_at"][0].as_py()
    if first is None:
        raise NotEnoughData(
            f"there is no order of an identified customer before {as_of_text(view)}",
            where="orders",
            todo="Import orders or send events first, or choose a later --as-of: YYYY-MM-DDTHH:MM.",
        )
    build_cutoffs(view, cutoffs_for(view.run.as_of, first))


def build_run_prospects(view: StageView) -> None:
    """Write what is known of people without an order at the run's cutoff and at past ones."""
    first = first_known_at(view)
    build_prospect_features(view, cutoffs_for(view.run.as_of, first) if first else [])


STEPS = (
    Step("facts", understand, (build_facts,)),
    Step("later refunds", understand, (build_later_refunds,)),
    Step("cutoffs", understand, (build_run_cutoffs,)),
    Step("features", understand, (build_features, build_run_prospects)),
    Step("predict", predict, (run_predict,)),
    Step(
        "measure",
        measure,
        (measure_effects, measure_offer_responses, measure_lists, measure_tasks, check_forecasts, measure_drift),
    ),
    Step("segments", understand, (build_segments, build_stage_transitions, build_segment_members)),
    Step("decide", decide, (decide_offers, write_recommendations)),
    Step("engage", engage, (deliver,)),
    Step("customer value", predict, (build_value_parts, build_value_at_risk, build_next_orders)),
    Step("survival", predict, (build_survival_curves, build_early_warnings)),
    Step("alarms", measure, (write_model_alarms,)),
    Step("cohorts", measure, (write_cohorts,)),
)


def stage_view(
    shop: Shop,
    stage: ModuleType,
    *,
    run: Run,
    pinned: Mapping[str, int | None] | None = None,
    is_retraining: bool = False,
) -> StageView:
    """What a stage sees: the tables of its READS and WRITES, and the capabilities among them, opened."""
    capabilities = {name: open_for(shop) for name, open_for in CAPABILITIES.items() if name in stage.READS}
    last = shop.last_completed()
    return shop.view(
        stage.READS,
        stage.WRITES,
        run=run,
        pinned=pinned,
        capabilities=capabilities,
        last=last,
        is_retraining=is_retraining,
    )


def require_usable_models(shop: Shop, model_versions: Iterable[str], as_of: datetime) -> None:
    """Raise LakeDamaged, NotFound or WorkspaceError for a kept model that cannot score the customers of a run."""
    zone, sensitive = f"'{shop.settings.shop.time_zone}'", shop.policy.fairness.sensitive_traits
    of_customers, of_prospects = (
        feature_version(zone, without_traits(families, sensitive)) for families in (FAMILIES, OF_PROSPECTS)
    )
    versions = dict.fromkeys(PINNABLE, of_customers) | {PROSPECTS.name: of_prospects}
    require_usable(shop.folder / "models", shop.store, model_versions, versions, as_of)


def run_loop(
    shop: Shop,
    as_of: datetime,
    *,
    now: datetime | None = None,
    retrain: bool = False,
    progress: Progress = silent,
) -> FinishedRun:
    """Run the loop as of a cutoff. An interrupted run is simply repeated, with the same result.

    Events are stored meanwhile, for the next run; only another run, an erasure or a backup waits.

    `now` is the time of the call; a simulated shop, which lives in its own time, is finished without. `retrain` trains
    every model, also one that could score for some days yet.
    Raises NotEnoughData before the first order and for a cutoff after `now`, WorkspaceError for a cutoff whose offers
    were sent or withdrawn, WorkspaceBusy when another process is at work, NoSpace; before anything is written BadFile
    for edges or image vectors of products that cannot be read, SettingsError for offer rules,
    LakeDamaged or WorkspaceError for a pinned model that cannot score.
    """
    if now is not None and as_of > now:
        raise NotEnoughData(
            f"{as_of:%Y-%m-%d %H:%M %Z} has not come yet, and what happens until then is not known",
            where="--as-of",
            todo=f"Name a cutoff no later than now, {now.astimezone(as_of.tzinfo):%Y-%m-%d %H:%M %Z}.",
        )
    with shop.run_lock(), shop.read_once():
        product_edges(shop.folder / PRODUCT_EDGES_FILE)
        image_vectors(shop.folder / IMAGE_VECTORS_FILE)
        OfferRules.load(shop.folder / OFFER_RULES_FILE, shop.policy.offers)
        run = Run.at(as_of, zone=shop.settings.shop.time_zone)
        settle_deliveries(shop, now=now or as_of)
        require_open(shop, run)
        require_usable_models(shop, [pin.model_version for pin in active_pins(shop.store).values()], as_of)
        with shop.commit_lock():
            drain_inbox(shop)
            pinned = {EVENTS.name: shop.lake.version(EVENTS)}
        started = time.monotonic()
        seconds, results = _run_steps(shop, run, pinned, progress, is_retraining=retrain)
        elapsed = time.monotonic() - started
        finished = FinishedRun(
            run.run_id,
            run.as_of,
            seconds=elapsed,
            customer_count=_customer_count(shop, run),
            seconds_by_step=seconds,
            forecasts=results["predict"],
            outbox=results["engage"].outbox,
            facts=results["facts"],
            later_refunds=results["later refunds"],
            missing_forecasts=find_missing_forecasts(shop.view(list(NEEDED_OF_FORECASTS), [], run=run)),
        )
        _write_run_row(shop, run, finished, pinned, at=now or run.as_of)
        tidy_lake(shop)
    return finished


def require_open(shop: Shop, run: Run) -> None:
    """Raise WorkspaceError for a run whose offers were or may have been sent, or were withdrawn.

    Another run of the cutoff would decide other offers for money that is gone.
    """
    delivery, folder = delivery_of(shop.store, run.run_id), shop.folder / "outbox" / run.run_id
    if delivery and delivery.campaign:
        raise WorkspaceError(
            f"the campaign {delivery.campaign!r} sends the offers of the run {run.run_id}, so that it cannot decide"
            " again",
            where="--as-of",
            todo="Name a later cutoff: its run decides with what is left of the budget.",
        )
    if (delivery is None or not (delivery.is_withdrawn or delivery.is_certain)) and not is_sent(folder):
        if has_offers(folder) or not _has_written_offers(shop, run):
            return
        raise WorkspaceError(
            f"the offers of the run {run.run_id} have left the outbox and may have been sent, so that it cannot decide"
            " again",
            where=str(folder),
            todo="Name a later cutoff. If nobody was sent any, put an empty file offers_file.csv there and run again.",
        )
    withdrawn_by = delivery.changed_by if delivery and delivery.is_withdrawn else ""
    state = f"were withdrawn by {withdrawn_by}" if withdrawn_by else "were sent"
    raise WorkspaceError(
        f"the offers of the run {run.run_id} {state}, so that it cannot decide again",
        where="--as-of",
        todo="Name a later cutoff: its run decides with what is left of the budget.",
    )


def _has_written_offers(shop: Shop, run: Run) -> bool:
    """Whether a completed run of the cutoff handed over offers, as its row in the store and its decisions say."""
    if not any(fnmatch(name, OFFERS) for name in outbox_digests(shop.store, run.run_id)):
        return False
    sql = f"select count(*) as n from decisions where run_id = {literal(run.run_id)} and action <> 'none'"
    return bool(shop.newest_snapshot().query(sql)["n"][0].as_py())


def clear_offers(shop: Shop, run: Run) -> None:
    """Delete the offers that an earlier attempt of the run left in the outbox.

    Otherwise a mail system could send them once other decisions use up the budget, if the run is cut off in between.
    """
    with shop.store.begin() as connection:
        drop_outbox_files(connection, run_id=run.run_id, pattern=OFFERS)
        forget_delivery(connection, run.run_id)
    remove_offers(shop.folder / "outbox" / run.run_id)


def _run_steps(
    shop: Shop, run: Run, pinned: Mapping[str, int | None], progress: Progress, *, is_retraining: bool = False
) -> tuple[dict[str, float], dict[str, Any]]:
    """Run every step and store the events that it returns; return the seconds and the result of each step."""
    seconds: dict[str, float] = {}
    results: dict[str, Any] = {}
    for index, step in enumerate(STEPS):
        progress(step.name, index, len(STEPS))
        since = time.monotonic()
        if step.stage is decide:
            clear_offers(shop, run)
        view = stage_view(shop, step.stage, run=run, pinned=pinned, is_retraining=is_retraining)
        result = results[step.name] = step.run(view)
        if EVENTS.name in step.stage.RETURNS:
            # why: a repeated run stores nothing twice, because the ids of the events come from the decisions
            load_events(shop, result.events, source=EVENT_SOURCE, known="occurred", received_at=run.as_of)
        seconds[step.name] = time.monotonic() - since
    return seconds, results


def _customer_count(shop: Shop, run: Run) -> int:
    view = shop.view(["segments"], [], run=run)
    rows = view.query("select count(*) as n from this_segments")
    return rows["n"][0].as_py()


def _write_run_row(
    shop: Shop, run: Run, finished: FinishedRun, pinned: Mapping[str, int | None], *, at: datetime
) -> None:
    """Write the one row that makes the run visible: the versions of all tables that readers will read."""
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()} | dict(pinned)
    row = {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "finished_at": at + timedelta(seconds=finished.seconds),
        "seconds": finished.seconds,
        "seed": run.seed,
        "policy_version": shop.policy.version,
        "table_versions": versions,
        "summary": {
            "seconds": dict(finished.seconds_by_step),
            "unanswered": list(finished.forecasts.unanswered),
            "facts": asdict(finished.facts),
            MISSING: as_summary(finished.missing_forecasts),
            FILES: files_of_run(shop.folder, shop.settings, shop.policy, run.run_id),
        },
    }
    with shop.store.begin() as connection:
        connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run.run_id))
        connection.execute(sa.insert(RUNS).values(row))
        reserve_offers(connection, run.run_id, shop.policy.channel, outbox=finished.outbox, at=at)


def tidy_lake(shop: Shop) -> None:
    """Delete files that neither a recent version nor the last run needs, and join small files.

    The caller keeps other runs away. Others may store events: where they are at it for too long, the next run tidies
    `events`. Nothing that can be read changes, so that it may be cut off anywhere.
    """
    last = shop.snapshot()
    pinned = last.pinned if last else {}
    for table in TABLES:
        if table is not EVENTS:
            _tidy(shop, table, pinned.get(table.name))
    with suppress(WorkspaceBusy), shop.commit_lock():
        _tidy(shop, EVENTS, pinned.get(EVENTS.name))


def _tidy(shop: Shop, table: Table, pinned: int | None) -> None:
    shop.lake.vacuum(table, pinned=pinned)
    shop.lake.compact(table, shop.engine)


def stages_in_order() -> tuple[ModuleType, ...]:
    """The stages of the loop in order, collect first."""
    return tuple(dict.fromkeys([collect, *(step.stage for step in STEPS)]))


@dataclass(frozen=True)
class Edge:
    """A table, capability or event that one stage writes or returns, and another reads."""

    writer: str
    name: str
    reader: str


def loop_edges(stages: Sequence[ModuleType] | None = None) -> tuple[Edge, ...]:
    """Edges between the stages: tables, capabilities, and events that a stage returns for collect."""
    stages = stages_in_order() if stages is None else stages
    tables = [
        Edge(_short_name(writer), name, _short_name(reader))
        for writer in stages
        for reader in stages
        if writer is not reader
        for name in sorted(set(writer.WRITES) & set(reader.READS))
    ]
    returned = [
        Edge(_short_name(stage), name, _short_name(collect)) for stage in stages for name in sorted(stage.RETURNS)
    ]
    return (*tables, *returned)


def _short_name(stage: ModuleType) -> str:
    return stage.__name__.rpartition(".")[2]
