"""Will this visit end with an order? After each event, next to counting rules, on real clicks and in a simulated shop.

Real: Taobao's user behaviour (views, carts, favourites, purchases of 815 people, 9 days). Simulated: the default shop.
Every visit weighs 1, its events share it; later visits are judged by models of earlier ones; intervals resample people.
Last, how long one event takes as the service does it.

Usage: python benchmarks/predict/session_conversion.py FOLDER (with taobao_userbehavior.parquet)
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from patron import understand
from patron.clickstream import (
    LEARNERS,
    ORDER,
    PAUSE_SECONDS,
    Session,
    SessionEvent,
    VisitorHistory,
    features_after,
    training_rows,
)
from patron.commands.simulated_loop import ingest_events
from patron.predict.backtest import ALL, Backtest, backtest
from patron.predict.session_conversion.past_sessions import past_sessions
from patron.predict.session_conversion.session_origins import SessionForecasts, session_origins, with_customer_numbers
from patron.schema.bootstrap_intervals import Interval, bootstrap_weights, percentile_interval
from patron.schema.metrics import AUC, AVERAGE_PRECISION, CALIBRATION_ERROR, LOG_LOSS, Metric
from patron.schema.questions import SESSION_CONVERSION
from patron.schema.tables import BY_NAME
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts

KINDS = {"pv": "view", "cart": "cart_add", "fav": "wishlist", "buy": ORDER}
METRICS = (LOG_LOSS, AUC, AVERAGE_PRECISION, CALIBRATION_ERROR)
BANDS = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 10_000))
RESAMPLES = 200
SEED = 7
SIMULATED_DAYS = 120
EVENTS_TIMED = 1_000
FIRST_SECOND = 1_511_539_200
"""24 November 2017, 16:00 UTC, midnight in China: when the nine days begin; clocks of a few rows are wrong."""


def main(folder: str) -> None:
    study("Taobao", taobao_sessions(Path(folder) / "taobao_userbehavior.parquet"))
    with tempfile.TemporaryDirectory() as workspace:
        study("simulated shop", simulated_sessions(Path(workspace) / "w"))


def study(name: str, sessions: Sequence[Session]) -> None:
    started = time.perf_counter()
    rows = with_customer_numbers(training_rows(sessions))
    made = time.perf_counter() - started
    result = backtest(SESSION_CONVERSION, LEARNERS, session_origins(rows), rng=np.random.default_rng(SEED))
    buyers = sum(any(event.kind == ORDER for event in one.events) for one in sessions)
    print(f"\n## {name}: {len(sessions)} visits, {buyers} with an order, {rows.num_rows} rows made in {made:.1f} s")
    print(f"origins {', '.join(result.origins)}; {time.perf_counter() - started:.0f} s; {result.why}\n")
    table(result)
    by_events(result, rows)
    one_event(sessions, result, rows)


def table(result: Backtest) -> None:
    print(f"{'all events':26}" + "".join(f"{metric.name:>28}" for metric in METRICS))
    weights = None
    for learner in result.learners:
        one: SessionForecasts = result.evaluations[ALL, learner.name]
        weights = people(one) if weights is None else weights
        print(f"{learner.name:26}" + "".join(f"{interval(one, metric, weights):>28}" for metric in METRICS))
    assert weights is not None
    best: SessionForecasts = result.evaluations[ALL, result.baseline]
    for learner in result.learners:
        if not learner.is_baseline:
            one = result.evaluations[ALL, learner.name]
            gains = "".join(f"{gain(one, best, metric, weights):>28}" for metric in METRICS)
            print(f"{learner.name + ' - ' + result.baseline:26.26}{gains}")


def by_events(result: Backtest, rows: pa.Table) -> None:
    counts = np.concatenate([one.here["event_count"].to_numpy() for one in session_origins(rows)])
    champion = result.evaluations[ALL, result.champion]
    assert len(counts) == len(champion.actual)
    print(f"\nchampion {result.champion} by events so far, gain over the rule that is best there")
    for low, high in BANDS:
        inside = (counts >= low) & (counts <= high)
        parts = {one.name: only(result.evaluations[ALL, one.name], inside) for one in result.learners}
        rules = {name: one.value(LOG_LOSS) for name, one in parts.items() if name in SESSION_CONVERSION.baselines}
        rule = min(rules, key=rules.__getitem__)
        one, best = parts[result.champion], parts[rule]
        if not 0 < one.actual.sum() < len(one.actual):
            continue
        weights = people(one)
        values = "".join(f"{interval(one, metric, weights):>28}" for metric in METRICS)
        gains = "".join(f"{gain(one, best, metric, weights):>28}" for metric in METRICS)
        share = np.average(one.actual, weights=one.weight)
        print(f"{low}-{high} events, {inside.sum()} rows, {share:.3f} buy".ljust(40) + values)
        print(f"  gain over {rule}".ljust(40) + gains)


def one_event(sessions: Sequence[Session], result: Backtest, rows: pa.Table) -> None:
    """Features of the newest events and the forecast, as the service computes them, the model loaded."""
    for learner in result.learners:
        if learner.is_baseline:
            continue
        fitted = learner.fit(rows)
        took = []
        for session in sessions[:EVENTS_TIMED]:
            since = time.perf_counter()
            fitted.probability(features_after(session.events, session.history))
            took.append(1_000 * (time.perf_counter() - since))
        median, p99 = np.quantile(took, (0.5, 0.99))
        print(f"one event, {learner.name}: median {median:.2f} ms, p99 {p99:.2f} ms of {len(took)}")


def only(one: SessionForecasts, inside: np.ndarray) -> SessionForecasts:
    names = ("customers", "actual", "forecast", "weight")
    return SessionForecasts(*(getattr(one, name)[inside] for name in names))


def people(one: SessionForecasts) -> np.ndarray:
    return bootstrap_weights(one.customers, rng=np.random.default_rng(SEED), resamples=RESAMPLES)


def interval(one: SessionForecasts, metric: Metric, weights: np.ndarray) -> str:
    return text(percentile_interval(float(one.value(metric)), one.value(metric, weights)))


def gain(one: SessionForecasts, best: SessionForecasts, metric: Metric, weights: np.ndarray) -> str:
    return text(percentile_interval(float(one.gain(metric, best)), one.gain(metric, best, weights)))


def text(between: Interval) -> str:
    return f"{between.value:.4f} [{between.low:.4f}, {between.high:.4f}]"


def taobao_sessions(path: Path) -> list[Session]:
    """Visits of all people, cut by 30 minutes of pause; earlier orders are those of the nine days."""
    clicks = pq.read_table(path, filters=[("ts", ">=", FIRST_SECOND)]).to_pylist()
    named = ((one["user_id"], one["ts"], KINDS[one["behavior"]], str(one["item_id"])) for one in clicks)
    rng, sessions = np.random.default_rng(SEED), []
    for user, group in groupby(sorted(named), key=itemgetter(0)):
        events = [SessionEvent(*event) for _, *event in group]
        gaps = enumerate((later.at_seconds - earlier.at_seconds for earlier, later in pairwise(events)), 1)
        starts = [0, *(at for at, gap in gaps if gap >= PAUSE_SECONDS)]
        for first, end in pairwise([*starts, len(events)]):
            orders = [event.at_seconds for event in events[:first] if event.kind == ORDER]
            history = VisitorHistory(True, len(orders), orders[-1] if orders else None)
            sessions.append(Session(str(user), events[first:end], history, float(rng.random())))
    return sorted(sessions, key=lambda one: one.events[0].at_seconds)


def simulated_sessions(folder: Path) -> list[Session]:
    shop, world = Shop.create(folder), ShopSimulator(DEFAULT_SHOP, SEED)
    while world.day < SIMULATED_DAYS:
        ingest_events(shop, world.history(30), received_at=world.now)
    run = Run.at(world.now)
    build_facts(shop.view(understand.READS, understand.WRITES, run=run))
    return past_sessions(shop.view(BY_NAME, [], run=run))


if __name__ == "__main__":
    main(sys.argv[1])
