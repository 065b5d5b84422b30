"""Facts, features and scores of 1M, 10M and 50M simulated events: seconds, peak memory, and how both grow.

Facts are made whole as of a day before the cutoff, and then of one more day from those.

`python benchmarks/understand/scale.py [--full]`; without --full the 50M are left out. Not timed: the simulation, whose
events go straight into the lake with made-up tokens, and the fitting of the champions on a sample. Each part runs in a
process of its own, so that the peak memory is that part's. Processor seconds are printed too: on a machine that does
other things besides, they say more than the clock.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from patron import predict, understand
from patron.predict.backtest import Backtest, fit_champion
from patron.predict.churn.churn_reasons import reason_rows
from patron.predict.explanation import explain
from patron.predict.learners import LEARNERS
from patron.predict.origins import unlabelled
from patron.predict.prediction_intervals import IntervalEnds
from patron.predict.scoring import FEATURE_TABLES, Champion, keep, read_features, score, with_labels
from patron.schema.models.questions import CHURN, PURCHASE, VALUE
from patron.schema.models.reason_codes import REASON_CODES
from patron.schema.tables import BACKTESTS, BY_NAME, EVENTS, FIRST, REASONS, SCORES
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.models import model_registry
from patron.storage.models.trainings import Training
from patron.storage.runs.runs import FactsOrigin, Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from patron.understand.cutoffs import build_cutoffs
from patron.understand.facts import build_facts
from patron.understand.features import build_features

SIZES = (1_000_000, 10_000_000)
FULL_SIZE = 50_000_000
CUSTOMERS_PER_EVENT = 50_000 / 10_300_000
DAYS, MOST_EVENTS_AT_ONCE = 365, 1_000_000
RUN = Run.at(datetime(2024, 12, 30, tzinfo=UTC))
RUN_BEFORE = Run.at(RUN.as_of - timedelta(days=1))
PAST = RUN.as_of - timedelta(days=90)
TARGET_EVENTS, TARGET_SECONDS, TARGET_GB = 10_000_000, 60, 6
EVENTS_SQL = """
    select *, 'simulated' as source, md5('u' || user_id) as user_token, md5('a' || anonymous_id) as anonymous_token,
        md5('u' || referred_user_id) as referred_token, occurred_at as received_at, occurred_at as known_at,
        strftime(occurred_at, '%Y-%m') as month from raw_events"""


@dataclass(frozen=True)
class Part:
    """What one process did: seconds by step, on the clock and of all processors, and the most memory it held."""

    seconds: Mapping[str, float]
    processor_seconds: float
    gigabytes: float


def simulate_year(shop: Shop, size: int) -> None:
    """Simulate a year and append it, about a million events at once."""
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=round(size * CUSTOMERS_PER_EVENT)), seed=1)
    step = max(1, DAYS * MOST_EVENTS_AT_ONCE // size)
    for day in range(0, DAYS, step):
        raw_events = world.history(min(step, DAYS - day))
        events = shop.query(EVENTS_SQL, {"raw_events": raw_events})
        names = [column.name for column in EVENTS.columns if column.name in events.column_names]
        shop.lake.append(EVENTS, events.select(names))


def view_of(shop: Shop, stage: str) -> StageView:
    module = {"understand": understand, "predict": predict}[stage]
    return shop.view(module.READS, module.WRITES, run=RUN)


def facts_whole(shop: Shop) -> None:
    """Facts as of the day before, and a row of a completed run, for the next one to build on."""
    origin = build_facts(shop.view(understand.READS, understand.WRITES, run=RUN_BEFORE))
    write_facts_row(shop, RUN_BEFORE, origin)


def facts_of_one_more_day(shop: Shop) -> None:
    build_facts(shop.view(understand.READS, understand.WRITES, run=RUN, last=shop.last_completed()))


def write_facts_row(shop: Shop, run: Run, origin: FactsOrigin) -> None:
    """The row of a run of which only the facts were made."""
    row = {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "finished_at": run.as_of,
        "seconds": 0.0,
        "seed": run.seed,
        "policy_version": shop.policy.version,
        "table_versions": {name: shop.lake.version(table) for name, table in BY_NAME.items()},
        "summary": {"facts": asdict(origin)},
    }
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row))


def cutoffs_and_features(shop: Shop, as_ofs: list[datetime]) -> None:
    build_cutoffs(view_of(shop, "understand"), as_ofs)
    build_features(view_of(shop, "understand"))


def fit(shop: Shop, _size: int) -> None:
    """Fit each question's strongest learner on a sample of 90 days ago and keep it, as a run would."""
    cutoffs_and_features(shop, [PAST])
    view = view_of(shop, "predict")
    known = view.query(f"select * from features where run_id = '{RUN.run_id}' order by customer_id limit 100000")
    for question in (VALUE, CHURN, PURCHASE):
        rows = with_labels(view, question, known)
        learners = LEARNERS[question.name]
        best = max(learners, key=lambda one: one.complexity)
        result = Backtest(question, learners, (), {}, best.name, question.baselines[0], "chosen for the benchmark")
        learner, fitted = fit_champion(result, rows)
        keep(view, result, learner, fitted, rows, BACKTESTS.empty(), tables=FEATURE_TABLES)


def score_all(shop: Shop) -> None:
    """Score every customer with the kept champions and write `scores`."""
    view = view_of(shop, "predict")
    current = read_features(view, "features").current
    found, reasons = [], []
    for question in (VALUE, CHURN, PURCHASE):
        fitted = model_registry.load(
            shop.folder / "models", shop.store, question.name, RUN.run_id, LEARNERS[question.name]
        )
        rows = view.query(f"select * from given where {question.population} order by customer_id", given=current)
        training = Training(question.name, RUN.run_id, RUN.as_of, FIRST)
        champion = Champion("kept", "none", "kept", training.model_version, fitted, IntervalEnds(), {}, training)
        current_rows = unlabelled(rows)
        explanation = explain(fitted, current_rows, REASON_CODES if question is CHURN else ())
        found.append(score(view, question, champion, current_rows, explanation))
        reasons.append(reason_rows(view, question, current_rows, found[-1], explanation))
    view.write("scores", pa.concat_tables([SCORES.empty(), *found]))
    view.write("reasons", pa.concat_tables([REASONS.empty(), *reasons]))


def timed(steps: Mapping[str, Callable[[], object]]) -> None:
    """Run steps and print their seconds and this process's peak memory, for the parent to read."""
    before = time.process_time()
    for name, run in steps.items():
        since = time.perf_counter()
        run()
        print(f"{name}={time.perf_counter() - since:.2f}")
    print(f"processor={time.process_time() - before:.2f}")
    print(f"peak={resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2:.3f}")


def work(part: str, folder: Path, size: int) -> None:
    """One part, in the child process."""
    shop = Shop.open(folder)
    steps: dict[str, dict[str, Callable[[], object]]] = {
        "simulate": {"simulate": lambda: simulate_year(shop, size)},
        "facts": {"facts": lambda: facts_whole(shop)},
        "day": {"day": lambda: facts_of_one_more_day(shop)},
        "fit": {"fit": lambda: fit(shop, size)},
        "known": {
            "features": lambda: cutoffs_and_features(shop, [RUN.as_of]),
            "scores": lambda: score_all(shop),
        },
    }
    timed(steps[part])
    shop.close()


def child(part: str, folder: Path, size: int) -> Part:
    """Run one part in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--size", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    if done.returncode:
        raise SystemExit(f"{part} of {size:,} events failed:\n{done.stderr}")
    figures = {name: float(value) for name, value in (line.split("=") for line in done.stdout.splitlines())}
    processor, peak = figures.pop("processor"), figures.pop("peak")
    return Part(figures, processor, peak)


def measure(size: int, folder: Path) -> tuple[Part, Part, Part, int]:
    """Facts, those of one more day, then features and scores; and how many events there are."""
    shop = Shop.create(folder)
    child("simulate", folder, size)
    count = shop.view(["events"], [], run=RUN).query("select count(*) as n from events")["n"][0].as_py()
    shop.close()
    facts = child("facts", folder, size)
    day = child("day", folder, size)
    child("fit", folder, size)
    return facts, day, child("known", folder, size), count


HEADINGS = ("events", "facts s", "features s", "scores s", "in all s", "processor s", "peak GB", "s / M events")


def show(count: int, facts: Part, known: Part) -> float:
    """Print one row and return the seconds of everything from stored events to scores."""
    steps = (facts.seconds["facts"], known.seconds["features"], known.seconds["scores"])
    seconds = sum(steps)
    processor, peak = facts.processor_seconds + known.processor_seconds, max(facts.gigabytes, known.gigabytes)
    numbers = (*steps, seconds, processor, peak, 1e6 * seconds / count)
    print(f"{count:>12,}" + "".join(f"{number:>13.2f}" for number in numbers), flush=True)
    return seconds


def study(sizes: tuple[int, ...]) -> None:
    print(f"{HEADINGS[0]:>12}" + "".join(f"{heading:>13}" for heading in HEADINGS[1:]), flush=True)
    done: list[tuple[int, float]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            facts, day, known, count = measure(size, Path(folder) / "w")
        seconds = show(count, facts, known)
        share = day.processor_seconds / facts.processor_seconds
        print(f"facts of one more day: {day.processor_seconds:.1f} processor s, {share:.0%} of the whole", flush=True)
        done.append((count, seconds))
        if size == TARGET_EVENTS:
            is_met = seconds <= TARGET_SECONDS and max(facts.gigabytes, known.gigabytes) <= TARGET_GB
            print(f"target: <= {TARGET_SECONDS} s, <= {TARGET_GB} GB, facts included: {'met' if is_met else 'MISSED'}")
    for (fewer, before), (more, after) in pairwise(done):
        print(f"{more / fewer:.1f} times the events take {after / before:.1f} times as long")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="also 50M events (a quarter of an hour, 2 GB of disk)")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help="one number of events")
    options = parser.parse_args(argv)
    if options.part:
        work(options.part, options.folder, options.size)
    else:
        study((options.size,) if options.size else (*SIZES, *((FULL_SIZE,) if options.full else ())))


if __name__ == "__main__":
    main()
