"""Does the measured effect of tasks agree with the true one? Calls to customers of simulated shops, one shop a seed.

A bulk action gives everybody who ordered in the last 180 days a call, except for those whom it holds out; the shop's
customers answer calls. The same days are simulated once more without any, and customers' random numbers do not depend
on calls, so that the truth is known customer by customer: the mean change of the margin of those who got a task.

    python benchmarks/tasks/task_effect_truth.py 0 1 2 3 4
"""

import copy
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron import measure, run, understand
from patron.commands.customers.create_task_batch import create_task_batch
from patron.commands.customers.customer_work import TaskDraft
from patron.commands.data.simulated_loop import OFFERS, ingest_events, seeded_workspace, write_rules
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.measure.task_effects import measure_tasks
from patron.schema.tables import BY_NAME, EVENTS
from patron.simulate.profit import window_margins
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import CATALOGUE_SHOP
from patron.storage.customers.customer_tables import TASKS
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from patron.understand.facts import build_facts

MINUTES = 40
HISTORY_DAYS, WINDOW_DAYS = 180, 60
SHOP = replace(CATALOGUE_SHOP, customers=500)
POLICY = """
[tasks]
holdout_share = 0.3
window_days = {days}
"""


@dataclass(frozen=True)
class Row:
    """One shop: the truth and what was measured of the margin, cents a customer with a task."""

    seed: int
    treated: int
    control: int
    truth: float
    measured: dict
    seconds: float


def open_shop(folder: Path, seed: int) -> Shop:
    """A workspace with the simulated shop's rules, and a large holdout of tasks."""
    shop = seeded_workspace(folder, seed, {"name": f"Shop {seed}", "currency": "USD", "time_zone": "UTC"})
    write_rules(shop.folder, SHOP, budget_cents=0)
    policy = shop.folder / "policy.toml"
    policy.write_text(policy.read_text(encoding="utf-8") + POLICY.format(days=WINDOW_DAYS), encoding="utf-8")
    shop.close()
    return Shop.open(shop.folder)


def play(seed: int, folder: Path) -> Row:
    """A shop's history, calls, and what was measured after their window."""
    started = time.process_time()
    shop, world = open_shop(folder, seed), ShopSimulator(SHOP, seed)
    ingest_events(shop, world.history(HISTORY_DAYS), received_at=world.now)
    now = world.now
    complete_run(shop, now)
    listed = last_run(shop).query(
        "select customer_id from customers where last_order_at >= $since order by 1",
        {"since": now - timedelta(days=180)},
    )
    create_task_batch(
        RequestContext.from_name(shop, "benchmark", now=now), listed["customer_id"].to_pylist(), TaskDraft("call")
    )
    called, until = called_users(shop), now + timedelta(days=WINDOW_DAYS + 1)
    without = window_margins(copy.deepcopy(world).advance(until), SHOP, now, WINDOW_DAYS)
    calls = [{"user_id": one, "offer_id": "CALL", "decision_id": f"call-{one}", "exposed_at": now} for one in called]
    events = world.advance(until, pa.Table.from_pylist(calls, OFFERS))
    ingest_events(shop, events, received_at=until)
    with_calls = window_margins(events, SHOP, now, WINDOW_DAYS)
    truth = float(np.mean([with_calls.get(one, 0.0) - without.get(one, 0.0) for one in called]))
    rows = measured_after(shop, until)
    shop.close()
    margin = next(row for row in rows if (row["playbook"], row["reason"], row["metric"]) == ("all", "all", "margin"))
    spent = time.process_time() - started
    return Row(seed, margin["treated_count"], margin["holdout_count"], truth, margin, spent)


def complete_run(shop: Shop, now: datetime) -> None:
    """A completed run that knows the facts: all that tasks need."""
    at, pinned = Run.at(now), {EVENTS.name: shop.lake.version(EVENTS)}
    build_facts(run.stage_view(shop, understand, run=at, pinned=pinned))
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()} | pinned
    row = {"run_id": at.run_id, "as_of": now, "finished_at": now, "seconds": 0.0, "seed": at.seed, "summary": {}}
    row |= {"policy_version": shop.policy.version, "table_versions": versions}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row))


def called_users(shop: Shop) -> list[str]:
    """The shop's own ids of the customers with a task."""
    with shop.store.begin() as connection:
        customers = list(connection.scalars(sa.select(TASKS.c.customer_id).where(~TASKS.c.is_holdout)))
    tokens = last_run(shop).query(
        "select i.token from identities i join chosen c on c.customer_id = i.customer_id where i.is_user order by 1",
        chosen=pa.table({"customer_id": customers}),
    )
    return sorted(one for one in Vault.open(shop).reveal(tokens["token"].to_pylist()) if one)


def measured_after(shop: Shop, until: datetime) -> list[dict]:
    """Rows of `task_effects` as a run would write them then."""
    at, pinned = Run.at(until), {EVENTS.name: shop.lake.version(EVENTS)}
    build_facts(run.stage_view(shop, understand, run=at, pinned=pinned))
    return measure_tasks(run.stage_view(shop, measure, run=at, pinned=pinned)).to_pylist()


def text(row: dict, names: tuple[str, str, str], truth: float) -> str:
    """A number with its interval, and whether the interval holds the truth."""
    value, low, high = (row[name] / 100 for name in names)
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}] {'yes' if low <= truth / 100 <= high else 'NO'}"


METHODS = {
    "adjusted": ("effect", "low", "high"),
    "raw": ("raw_effect", "raw_low", "raw_high"),
    "at every look": ("effect", "sequence_low", "sequence_high"),
}


def main() -> None:
    seeds = [int(one) for one in sys.argv[1:]] or list(range(20))
    print("| seed | with a task / held out | truth | adjusted, holds it | raw, holds it | at every look | s |")
    print(f"|{'---|' * 7}", flush=True)
    rows = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CONFIG_HOME"] = f"{folder}/configuration"  # why: the keys of these shops are for nobody
            rows.append(play(seed, Path(folder) / "shop"))
        one = rows[-1]
        cells = " | ".join(text(one.measured, names, one.truth) for names in METHODS.values())
        counts = f"{one.treated:,} / {one.control:,}"
        print(f"| {seed} | {counts} | {one.truth / 100:+.2f} | {cells} | {one.seconds:.0f} |", flush=True)
    truth = np.array([row.truth for row in rows])
    for name, (value, low, high) in METHODS.items():
        error = np.array([row.measured[value] for row in rows]) - truth
        held = sum(row.measured[low] <= row.truth <= row.measured[high] for row in rows)
        bias, spread = error.mean() / 100, error.std() / 100
        print(f"{name}: {held} of {len(rows)} intervals hold the truth; error {bias:+.2f} +- {spread:.2f} a customer")


if __name__ == "__main__":
    main()
