"""The nightly run: every stage once, in order, as of one cutoff; readers see it when its row is written."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron import collect, decide, engage, measure, predict, understand
from patron.collect.loader import accept
from patron.decide.decide_stage import run as run_decide
from patron.engage.delivery import Engaged
from patron.engage.delivery import run as run_engage
from patron.measure.measure_stage import run as run_measure
from patron.predict.backtest import cutoffs_for
from patron.predict.recommend.affinities import run as rank_products
from patron.predict.scoring import Summary as Forecasts
from patron.predict.scoring import run as run_predict
from patron.predict.value.repeat_purchase import build_repeat_purchase as who_comes_back
from patron.schema.errors import NotEnoughData
from patron.schema.tables import BY_NAME, EVENTS
from patron.service.compaction_worker import drain
from patron.storage.shop import Run, Shop, View
from patron.storage.store import RUNS
from patron.understand.cutoffs import build_cutoffs
from patron.understand.facts import build_facts
from patron.understand.features import build_features
from patron.understand.segments import build_segments

OUR_SOURCE = "patron"
"""Source of the events that the loop itself makes."""
Progress = Callable[[str, int, int | None], None]


def silent(_step: str, _done: int, _total: int | None) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Step:
    """One part of a run: the stage that does it, and the function that does."""

    name: str
    stage: ModuleType
    run: Callable[[View], Any]


@dataclass(frozen=True)
class FinishedRun:
    """A finished run."""

    run_id: str
    as_of: datetime
    seconds: float
    customer_count: int
    seconds_by_step: Mapping[str, float]
    forecasts: Forecasts


def as_of_text(view: View) -> str:
    """The run's cutoff by the shop's clock."""
    zone = view.settings.shop.time_zone
    return f"{view.run.as_of.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"


def build_run_cutoffs(view: View) -> None:
    """Name the cutoffs the run needs: its own, and past ones to learn from and to be judged at."""
    first = view.query("select min(known_at) as first_at from orders where is_identified")["first_at"][0].as_py()
    if first is None:
        raise NotEnoughData(
            f"no order of a known customer is known before {as_of_text(view)}",
            where=str(view.folder),
            todo="Import orders or send events first, or choose a later --as-of: YYYY-MM-DDTHH:MM.",
        )
    build_cutoffs(view, cutoffs_for(view.run.as_of, first))


def forecasts(view: View) -> Forecasts:
    """Answer every question, which products to recommend included, and say who comes back."""
    who_comes_back(view)
    return run_predict(view, also=(rank_products,))


def outbox(view: View) -> Engaged:
    """Hand decisions to their channel, and what that did to collect: a repeated run stores nothing twice."""
    done = run_engage(view)
    accept(view.shop, done.events, source=OUR_SOURCE, known="occurred", received_at=view.run.as_of)
    return done


STEPS = (
    Step("facts", understand, build_facts),
    Step("cutoffs", understand, build_run_cutoffs),
    Step("features", understand, build_features),
    Step("segments", understand, build_segments),
    Step("measure", measure, run_measure),
    Step("predict", predict, forecasts),
    Step("decide", decide, run_decide),
    Step("engage", engage, outbox),
)


def run_loop(shop: Shop, as_of: datetime, *, now: datetime | None = None, progress: Progress = silent) -> FinishedRun:
    """Run the loop as of a cutoff. A run that was cut off is simply run again and ends the same.

    `now` is the time of the call; a simulated shop, which lives in its own time, is finished without.
    Raises NotEnoughData before the first order and for a cutoff after `now`, WorkspaceBusy when another process is at
    work, NoSpace.
    """
    if now is not None and as_of > now:
        raise NotEnoughData(
            f"{as_of:%Y-%m-%d %H:%M %Z} has not come yet, and what happens until then is not known",
            where="--as-of",
            todo=f"Name a cutoff no later than now, {now.astimezone(as_of.tzinfo):%Y-%m-%d %H:%M %Z}.",
        )
    with shop.lock():
        drain(shop)
        run = Run.at(as_of, zone=shop.settings.shop.time_zone)
        pinned = {EVENTS.name: shop.lake.version(EVENTS)}
        started = time.monotonic()
        seconds: dict[str, float] = {}
        made: dict[str, Any] = {}
        for index, step in enumerate(STEPS):
            progress(step.name, index, len(STEPS))
            since = time.monotonic()
            made[step.name] = step.run(shop.view(step.stage.READS, step.stage.WRITES, run=run, pinned=pinned))
            seconds[step.name] = time.monotonic() - since
        took = time.monotonic() - started
        finished = FinishedRun(run.run_id, run.as_of, took, _customers(shop, run), seconds, made["predict"])
        _commit(shop, run, finished, pinned)
        tidy(shop)
    return finished


def _customers(shop: Shop, run: Run) -> int:
    view = shop.view(["segments"], [], run=run)
    rows = view.query(f"select count(*) as n from segments where run_id = '{run.run_id}'")
    return rows["n"][0].as_py()


def _commit(shop: Shop, run: Run, finished: FinishedRun, pinned: Mapping[str, int | None]) -> None:
    """Write the one row that makes the run visible: the versions of all tables that readers will read."""
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()} | dict(pinned)
    row = {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "finished_at": datetime.now(UTC),
        "seconds": finished.seconds,
        "seed": run.seed,
        "policy_version": shop.policy.version,
        "table_versions": versions,
        "summary": {"seconds": dict(finished.seconds_by_step), "unanswered": list(finished.forecasts.unanswered)},
    }
    with shop.store.begin() as connection:
        connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run.run_id))
        connection.execute(sa.insert(RUNS).values(row))


def tidy(shop: Shop) -> None:
    """Let go of files that neither a version of the last days nor the last run needs, and join many small ones.

    The caller holds the lock. Nothing that can be read changes, so that it may be cut off anywhere.
    """
    last = shop.snapshot()
    for name, table in BY_NAME.items():
        shop.lake.vacuum(table, pinned=last.pinned.get(name) if last else None)
        shop.lake.compact(table, shop.engine)


def stages_in_order() -> Iterator[ModuleType]:
    """The stages of the loop as they follow each other, collect first."""
    yield collect
    seen: list[ModuleType] = []
    for step in STEPS:
        if step.stage not in seen:
            seen.append(step.stage)
            yield step.stage
