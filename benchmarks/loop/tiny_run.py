"""Processor time of a nightly run of a shop of 130 customers: its first run, and the one a day later.

Medians of 5, user and system time with children: of the whole process `patron run`, and of the run itself in it without
imports. Then what a run asks of the engine, the lake and the store, and what one of its steps takes.

    python benchmarks/loop/tiny_run.py
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from patron.__main__ import import_sparingly
from patron.commands.data.simulated_loop import ingest_events, seeded_workspace, write_rules
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.duck_engine import DuckEngine
from patron.storage.lake.lake import Lake
from patron.storage.shop import Shop
from patron.storage.store.store import Store

CUSTOMERS, HISTORY_DAYS, SEED, ROUNDS = 130, 300, 5, 5
MINUTES = 30
GOAL_SECONDS = 1.5
COUNTED = {"queries": (DuckEngine, "query"), "commits": (Lake, "_add"), "transactions": (Store, "begin")}


def processor_seconds() -> float:
    """User and system time of this process and its children that have ended."""
    every = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in every)


def simulate(folder: Path) -> tuple[datetime, Path, Path]:
    """The cutoff of the first run, a workspace before it, and one before the run of the day after."""
    settings = replace(DEFAULT_SHOP, customers=CUSTOMERS)
    workspace = folder / "first"
    seeded_workspace(workspace, SEED, {"name": "Tiny", "currency": "USD", "time_zone": "UTC"}).close()
    write_rules(workspace, settings, budget_cents=100_000)
    shop, world = Shop.open(workspace), ShopSimulator(settings, seed=SEED)
    ingest_events(shop, world.history(HISTORY_DAYS), received_at=world.now)
    shop.close()
    cutoff = world.now
    later = Path(shutil.copytree(workspace, folder / "later"))
    run_command(later, cutoff)
    shop = Shop.open(later)
    ingest_events(shop, world.advance(cutoff + timedelta(days=1)), received_at=world.now)
    shop.close()
    return cutoff, workspace, later


def run_command(workspace: Path, as_of: datetime) -> float:
    """Processor seconds of `patron run` in a process of its own."""
    before = processor_seconds()
    command = [
        sys.executable,
        "-m",
        "patron",
        "run",
        "--workspace",
        str(workspace),
        "--as-of",
        f"{as_of:%Y-%m-%dT%H:%M}",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - ours
    return processor_seconds() - before


def run_here(workspace: Path, as_of: datetime) -> dict[str, Any]:
    """Processor seconds of the run without imports and of each step, and how often it asks for what is counted."""
    import_sparingly()
    from patron import run  # noqa: PLC0415 - only a process of its own pays for it

    counts: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for name, (owner, method) in COUNTED.items():
        setattr(owner, method, counting(getattr(owner, method), counts, name))

    def timed(step: run.Step) -> run.Step:
        def run_step(view: object) -> object:
            before = processor_seconds()
            result = step.run(view)  # pyright: ignore[reportArgumentType] - the view that the run made
            seconds[step.name] = processor_seconds() - before
            return result

        return replace(step, functions=(run_step,))

    run.STEPS = tuple(timed(step) for step in run.STEPS)
    shop = Shop.open(workspace)
    before = processor_seconds()
    run.run_loop(shop, as_of)
    total = processor_seconds() - before
    shop.close()
    return {"seconds": total, "steps": seconds, "counts": counts}


def counting(function: Callable[..., Any], counts: Counter[str], name: str) -> Callable[..., Any]:
    """The function, whose calls are counted."""

    def call(*args: Any, **kwargs: Any) -> Any:
        counts[name] += 1
        return function(*args, **kwargs)

    return call


def measure(name: str, source: Path, as_of: datetime) -> None:
    """Print what a run of copies of a workspace takes."""
    whole, parts = [], []
    for _ in range(ROUNDS):
        for is_whole in (True, False):
            copy = source.with_name("copy")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy)
            if is_whole:
                whole.append(run_command(copy, as_of))
                continue
            command = [sys.executable, __file__, str(copy), as_of.isoformat()]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout  # noqa: S603 - ours
            parts.append(json.loads(output))
    median = statistics.median(whole)
    inside = statistics.median(part["seconds"] for part in parts)
    every = ", ".join(f"{one:.2f}" for one in sorted(whole))
    print(f"\n{name}: `patron run` {median:.2f} s ({every}), goal {GOAL_SECONDS}")
    print(f"  run without imports {inside:.2f} s; {', '.join(f'{n} {key}' for key, n in parts[0]['counts'].items())}")
    steps = {step: statistics.median(part["steps"][step] for part in parts) for step in parts[0]["steps"]}
    print("  " + ", ".join(f"{step} {seconds:.2f}" for step, seconds in steps.items()))


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CONFIG_HOME"] = str(Path(place) / "configuration")
        cutoff, first, later = simulate(Path(place))
        measure("first run", first, cutoff)
        measure("a day later", later, cutoff + timedelta(days=1))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(run_here(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))))
    else:
        main()
