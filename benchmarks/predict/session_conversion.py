"""Will this visit end with an order? After each event, next to counting rules, on real clicks and in a simulated shop.

Real: Taobao's user behaviour (views, carts, favourites, purchases of 815 people, 9 days). Simulated: the default shop.
Every visit weighs 1, its events share it; later visits are judged by models of earlier ones; intervals resample people.
How long one event takes as the service does it is printed next to it. Last, a question of the same clicks about people:
who buys tomorrow, by the learners of `purchase`.

Usage: python benchmarks/predict/session_conversion.py FOLDER (with taobao_userbehavior.parquet)
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
from patron.commands.data.simulated_loop import ingest_events
from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.estimators.learner import LABEL, forecasts
from patron.predict.backtest import ALL, Backtest, backtest
from patron.predict.baselines import Mean
from patron.predict.origins import Forecasts, cutoff_origins, later_origins
from patron.predict.probability_learners import BoostedProbability, Logistic
from patron.predict.session_conversion.conversion_model import BEGINS, KNOWN, with_times
from patron.predict.session_conversion.past_sessions import past_sessions
from patron.schema.models.metrics import AUC, AVERAGE_PRECISION, CALIBRATION_ERROR, LOG_LOSS, Metric
from patron.schema.models.questions import PURCHASE, SESSION_CONVERSION
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs.runs import Run
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
    clicks = Path(folder) / "taobao_userbehavior.parquet"
    study("Taobao", taobao_sessions(clicks))
    next_day(clicks)
    with tempfile.TemporaryDirectory() as workspace:
        study("simulated shop", simulated_sessions(Path(workspace) / "w"))


def study(name: str, sessions: Sequence[Session]) -> None:
    started = time.perf_counter()
    rows = with_times(training_rows(sessions))
    made = time.perf_counter() - started
    result = backtest(SESSION_CONVERSION, LEARNERS, later_origins(rows, BEGINS, KNOWN), rng=np.random.default_rng(SEED))
    buyers = sum(any(event.kind == ORDER for event in session.events) for session in sessions)
    print(f"\n## {name}: {len(sessions)} visits, {buyers} with an order, {rows.num_rows} rows made in {made:.1f} s")
    print(f"origins {', '.join(result.origins)}; {time.perf_counter() - started:.0f} s; {result.why}\n")
    table(result, METRICS)
    by_events(result, rows)
    one_event(sessions, result, rows)


def table(result: Backtest, metrics: Sequence[Metric]) -> None:
    print(f"{'all events':26}" + "".join(f"{metric.name:>28}" for metric in metrics))
    weights = None
    for learner in result.learners:
        one: Any = result.evaluations[ALL, learner.name]
        weights = people(one) if weights is None else weights
        print(f"{learner.name:26}" + "".join(f"{interval(one, metric, weights):>28}" for metric in metrics))
    assert weights is not None
    best: Any = result.evaluations[ALL, result.baseline]
    for learner in result.learners:
        if not learner.is_baseline:
            one = result.evaluations[ALL, learner.name]
            gains = "".join(f"{gain(one, best, metric, weights):>28}" for metric in metrics)
            print(f"{learner.name + ' - ' + result.baseline:26.26}{gains}")


def by_events(result: Backtest, rows: pa.Table) -> None:
    counts = np.concatenate(
        [origin.test_rows["event_count"].to_numpy() for origin in later_origins(rows, BEGINS, KNOWN)]
    )
    champion = result.evaluations[ALL, result.champion]
    assert len(counts) == len(champion.actual)
    print(f"\nchampion {result.champion} by events so far, gain over the rule that is best there")
    for low, high in BANDS:
        inside = (counts >= low) & (counts <= high)
        parts = {learner.name: only(result.evaluations[ALL, learner.name], inside) for learner in result.learners}
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
        fitted: Any = learner.fit(rows)
        took, worked = [], []
        for session in sessions[:EVENTS_TIMED]:
            since, busy = time.perf_counter(), time.thread_time()
            fitted.probability(features_after(session.events, session.history))
            worked.append(1_000 * (time.thread_time() - busy))
            took.append(1_000 * (time.perf_counter() - since))
        for what, times in (("wall", took), ("CPU", worked)):  # on a shared machine others wait in between
            median, p99 = np.quantile(times, (0.5, 0.99))
            print(f"one event, {learner.name}: {what} median {median:.3f} ms, p99 {p99:.3f} ms of {len(times)}")


def only(one: Forecasts, inside: np.ndarray) -> Forecasts:
    names = ("customers", "actual", "forecast", "weight")
    return Forecasts(*(getattr(one, name)[inside] for name in names))


def people(one: Any) -> np.ndarray:
    return bootstrap_weights(one.customers, rng=np.random.default_rng(SEED), resamples=RESAMPLES)


def interval(one: Any, metric: Metric, weights: np.ndarray) -> str:
    return text(percentile_interval(float(one.value(metric)), one.value(metric, weights)))


def gain(one: Any, best: Any, metric: Metric, weights: np.ndarray) -> str:
    gain = float(metric.gain(one.value(metric), best.value(metric)))
    return text(percentile_interval(gain, metric.gain(one.value(metric, weights), best.value(metric, weights))))


def text(between: Interval) -> str:
    return f"{between.value:.4f} [{between.low:.4f}, {between.high:.4f}]"


def taobao_sessions(path: Path) -> list[Session]:
    """Visits of all people, cut by 30 minutes of pause; earlier orders are those of the nine days."""
    clicks = pq.read_table(path, filters=[("ts", ">=", FIRST_SECOND)]).to_pylist()
    named = ((click["user_id"], click["ts"], KINDS[click["behavior"]], str(click["item_id"])) for click in clicks)
    rng, sessions = np.random.default_rng(SEED), []
    for user, group in groupby(sorted(named), key=itemgetter(0)):
        events = [SessionEvent(at, kind, item) for _, at, kind, item in group]
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


@dataclass(frozen=True)
class FittedRateBy:
    column: str
    shares: dict[float, float]
    base: float

    def predict(self, rows: pa.Table) -> pa.Table:
        return forecasts(np.array([self.shares.get(one, self.base) for one in rows[self.column].to_pylist()]))


class RateBy:
    """The share of buyers among people with the same count, shrunk towards the share of all."""

    is_baseline, complexity = True, 0

    def __init__(self, column: str) -> None:
        self.column, self.name = column, f"rate_by_{column}"

    def fit(self, rows: pa.Table) -> FittedRateBy:
        known = rows.filter(pc.is_valid(rows[LABEL]))
        base = pc.mean(known[LABEL]).as_py()
        counts = known.group_by(self.column).aggregate([(LABEL, "sum"), (LABEL, "count")]).to_pylist()
        shares = {
            count[self.column]: (count["label_sum"] + 20 * base) / (count["label_count"] + 20) for count in counts
        }
        return FittedRateBy(self.column, shares, base)


def next_day(path: Path) -> None:
    """Who buys tomorrow, of everybody who has come so far, at midnight in China."""
    rows = people_by_day(path)
    rules = tuple(RateBy(name) for name in ("orders", "orders_last_day", "carts_last_day", "days_since_last_order"))
    question = replace(PURCHASE, name="next_day", horizon_days=1, baselines=("mean", *(rule.name for rule in rules)))
    learners: Any = (Mean(), *rules, Logistic(), BoostedProbability())
    last = rows["as_of"][-1].as_py() + timedelta(days=1)
    result = backtest(question, learners, cutoff_origins(question, rows, last), rng=np.random.default_rng(SEED))
    print(f"\n## Taobao: who buys tomorrow; {rows.num_rows} people and days, {pc.mean(rows[LABEL]).as_py():.3f} buy")
    print(f"origins {', '.join(result.origins)}; best baseline {result.baseline}\n")
    table(result, METRICS)


def people_by_day(path: Path) -> pa.Table:
    """A row per person and midnight from the third on: counts of the last day, of three days, of all so far."""
    clicks = pq.read_table(path, filters=[("ts", ">=", FIRST_SECOND)])
    day = ((clicks["ts"].to_numpy() - FIRST_SECOND) // 86_400).astype(np.int64)
    user, names = clicks["user_id"].to_numpy(), clicks["behavior"].to_numpy()
    users, place = np.unique(user, return_inverse=True)
    kinds = {"views": "pv", "carts": "cart", "favourites": "fav", "orders": "buy"}
    by_day = {name: np.zeros((len(users), day.max() + 1)) for name in kinds}
    for name, kind in kinds.items():
        np.add.at(by_day[name], (place[names == kind], day[names == kind]), 1)
    active = np.sum([*by_day.values()], axis=0) > 0
    tables = []
    for at in range(2, day.max() + 1):
        columns = {}
        for name, counts in by_day.items():
            columns[name] = counts[:, :at].sum(axis=1)
            columns[f"{name}_last_day"] = counts[:, at - 1]
            columns[f"{name}_3_days"] = counts[:, max(at - 3, 0) : at].sum(axis=1)
        columns["active_days"] = active[:, :at].sum(axis=1).astype(np.float64)
        columns["days_since_last_active"] = days_since(active, at)
        columns["days_since_last_order"] = days_since(by_day["orders"] > 0, at)
        known = active[:, :at].any(axis=1)
        midnight = datetime.fromtimestamp(FIRST_SECOND + 86_400 * int(at), UTC)
        head = {"customer_id": users[known].astype(str), "as_of": pa.array([midnight] * known.sum(), TIME)}
        tail = {"sample_key": np.flatnonzero(known) * 7_919 % 1_000_003, LABEL: (by_day["orders"][known, at] > 0) * 1.0}
        tables.append(pa.table(head | {name: column[known] for name, column in columns.items()} | tail))
    return pa.concat_tables(tables)


def days_since(happened: np.ndarray, at: int) -> np.ndarray:
    """Days since the last day on which it happened; 99 if never."""
    past = happened[:, :at]
    return np.where(past.any(axis=1), np.argmax(past[:, ::-1], axis=1) + 1.0, 99.0)


if __name__ == "__main__":
    main(sys.argv[1])
