"""How long counting a segment takes in a shop with a million customers; run with `python benchmarks/segments/count.py`.

A temporary workspace gets features, scores, segments, identities and three months of events; `understand` then makes
`segment_fields` and `segment_members` of it. Printed are medians of 20 counts: wall time, and processor time of all
threads.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron import understand
from patron.schema.table_definition import TIME, Table
from patron.schema.tables import BY_NAME
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_rules import Rule
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run
from patron.storage.segments.segment_definitions import save_definition
from patron.storage.segments.segment_query import count
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from patron.understand.segment_members import build_segment_members

RUN = Run.at(datetime(2024, 6, 1, tzinfo=UTC))
STAGES = ("new", "active", "at_risk", "lapsed", "reactivated")
EVENTS_PER_CUSTOMER = 3
DAYS_OF_EVENTS = 92
RULES: dict[str, dict] = {
    "valuable and leaving": {
        "all": [
            {"field": "value_decile", "op": ">=", "value": 8},
            {"field": "churn_probability", "op": ">=", "value": 0.4},
            {"not": {"event": "Order Completed", "within_days": 30}},
        ]
    },
    "forecasts only": {
        "all": [
            {"field": "value_decile", "op": ">=", "value": 8},
            {"field": "churn_probability", "op": ">=", "value": 0.4},
        ]
    },
    "nested, a feature": {
        "any": [
            {"all": [{"segment": "valuable and leaving"}, {"field": "order_count_90_days", "op": ">=", "value": 3}]},
            {"not": {"field": "lifecycle_stage", "op": "in", "value": ["new", "active", "at_risk"]}},
        ]
    },
    "every customer": {"all": []},
}


def main() -> None:
    """Make the shop, count each rule, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = str(Path(folder) / "config")
        shop = Shop.create(Path(folder) / "shop")
        seconds, processor = timed(lambda: fill(shop, arguments.customers))
        print(f"{arguments.customers:,} customers made in {seconds:.0f} s ({processor:.0f} s of processor)")
        rules = save_rules(shop)
        view = shop.view(understand.READS, understand.WRITES, run=RUN, last=None)
        seconds, processor = timed(lambda: build_segment_members(view))
        print(f"first membership of {len(rules)} segments: {seconds:.1f} s ({processor:.1f} s of processor)")
        finish(shop)
        for name, rule in rules.items():
            report(shop, name, rule, arguments.times)
        shop.close()


def report(shop: Shop, name: str, rule: Rule, times: int) -> None:
    """Count a rule often, each time from a view of the last run as a command or a request gets it."""
    counts = set()
    first = timed(lambda: counts.add(count(last_run(shop), rule)))
    runs = [timed(lambda: counts.add(count(last_run(shop), rule))) for _ in range(times)]
    walls, processors = ([1000 * run[place] for run in runs] for place in (0, 1))
    [customers] = counts
    print(
        f"{name:22} {customers:>9,} customers: median {statistics.median(walls):.0f} ms"
        f" ({statistics.median(processors):.0f} ms of processor), first {1000 * first[0]:.0f} ms,"
        f" worst {max(walls):.0f} ms"
    )


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall and of the processor that something takes."""
    wall, processor = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - processor


def save_rules(shop: Shop) -> dict[str, Rule]:
    """Save the rules as segments."""
    rules = {name: parse_rule(content) for name, content in RULES.items()}
    with shop.store.begin() as connection:
        for name, rule in sorted(rules.items(), key=lambda one: "nested" in one[0]):
            save_definition(connection, name, rule, saved_by="benchmark", at=RUN.as_of)
    return rules


def fill(shop: Shop, customers: int) -> None:
    """Write a run's tables of a made-up shop."""
    rng = np.random.default_rng(1)
    ids = np.array([f"{n:032x}"[::-1] for n in range(customers)])
    rng.shuffle(ids)
    mark = {"run_id": pa.repeat(RUN.run_id, customers), "as_of": pa.repeat(pa.scalar(RUN.as_of, TIME), customers)}
    scores = {f"{name}_score": rng.integers(1, 6, customers) for name in ("recency", "frequency", "monetary")}
    stages = pa.DictionaryArray.from_arrays(rng.integers(0, 5, customers).astype(np.int32), list(STAGES)).cast("string")
    write(
        shop,
        "segments",
        mark | {"customer_id": ids, **scores, "persona_id": rng.integers(-1, 5, customers), "lifecycle_stage": stages},
    )
    churn = rng.beta(1.0, 2.0, customers)
    forecasts = {"value": rng.lognormal(8, 1.2, customers), "churn": churn, "purchase": 1 - churn,
                 "purchase_7_days": (1 - churn) / 3}  # fmt: skip
    parts = [
        made(BY_NAME["scores"], mark | {"customer_id": ids, "question": pa.repeat(name, customers),
             "model_version": pa.repeat(f"{name}/x", customers), "value": values})
        for name, values in forecasts.items()
    ]  # fmt: skip
    shop.lake.replace(BY_NAME["scores"], pa.concat_tables(parts), part=RUN.run_id)
    features = {"feature_version": pa.repeat("v", customers), "order_count_90_days": rng.poisson(2.0, customers),
                "paid_cents_365_days": rng.integers(0, 100_000, customers),
                "days_since_last_order": rng.integers(0, 365, customers)}  # fmt: skip
    write(shop, "features", mark | {"customer_id": ids} | features)
    known = pa.repeat(pa.scalar(RUN.as_of - timedelta(days=200), TIME), customers)
    tokens = np.char.add("user-", ids)
    flags = pa.array(np.ones(customers, dtype=bool))
    write(shop, "identities", {"token": tokens, "customer_id": ids, "is_user": flags, "known_at": known})
    write_events(shop, rng, tokens)


def write_events(shop: Shop, rng: np.random.Generator, tokens: np.ndarray) -> None:
    """Three months of events; every fifth is an order."""
    size = EVENTS_PER_CUSTOMER * len(tokens)
    seconds = rng.integers(0, DAYS_OF_EVENTS * 86_400, size)
    at = np.datetime64(RUN.as_of.replace(tzinfo=None), "us") - seconds.astype("timedelta64[s]")
    moments = pa.array(at, pa.timestamp("us")).cast(TIME)
    name = np.where(rng.random(size) < 0.2, "Order Completed", "Product Viewed")
    columns = {
        "source": pa.repeat("web", size),
        "event_id": np.char.add("e", np.arange(size).astype(str)),
        "name": name,
        "user_token": tokens[rng.integers(0, len(tokens), size)],
        "order_id": np.char.add("o", np.arange(size).astype(str)),
        **dict.fromkeys(("occurred_at", "received_at", "known_at"), moments),
        "month": np.datetime_as_string(at, unit="M"),
    }
    shop.lake.replace(BY_NAME["events"], made(BY_NAME["events"], columns))


def write(shop: Shop, name: str, columns: dict) -> None:
    """Write one table."""
    table = BY_NAME[name]
    shop.lake.replace(table, made(table, columns), part=RUN.run_id if table.partition_by == "run_id" else None)


def made(table: Table, columns: dict) -> pa.Table:
    """Rows with the declared columns, NULL where there are none; then any others."""
    size = len(next(iter(columns.values())))
    declared = {
        column.name: pa.array(columns[column.name]).cast(column.type)
        if column.name in columns
        else pa.nulls(size, column.type)
        for column in table.columns
    }
    return pa.table(declared | {name: values for name, values in columns.items() if name not in declared})


def finish(shop: Shop) -> None:
    """Make the run the last one."""
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    row = {"run_id": RUN.run_id, "as_of": RUN.as_of, "finished_at": RUN.as_of, "seconds": 1.0, "seed": RUN.seed,
           "policy_version": "benchmark", "table_versions": versions, "summary": {}}  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row))


if __name__ == "__main__":
    main()
