"""Simulate a shop into two files: its events, and the truth about its customers."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from patron.schema.common_sentences import OTHER_FOLDER
from patron.schema.errors import WorkspaceError
from patron.schema.progress import Progress
from patron.schema.sentences import Sentence
from patron.simulate.ground_truth import truth
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, SimulatorSettings
from patron.storage.durable_files import disk_errors, replace_durably

SIMULATED_ALREADY = Sentence("simulated_already", "holds a simulated shop already")

DAYS_PER_BATCH = 30


@dataclass(frozen=True)
class SimulatedFiles:
    """Files of a simulated shop, and how much is in them."""

    events: Path
    truth: Path
    event_count: int
    customer_count: int


def settings_for_size(customers: int, days: int) -> SimulatorSettings:
    """Settings of the default shop with about `customers` customers after so many days."""
    months = max(days - DEFAULT_SHOP.opening_days, 0) / 30
    opening = customers / (1 + DEFAULT_SHOP.arrivals_per_month_share * months)
    return replace(DEFAULT_SHOP, customers=max(round(opening), 1))


def simulate(folder: Path, *, customers: int, days: int, seed: int, progress: Progress) -> SimulatedFiles:
    """Write events.parquet (import it with the mapping `patron`) and truth.parquet. Same seed, same events.

    Raises WorkspaceError when the files exist, NoSpace.
    """
    events, true = folder / "events.parquet", folder / "truth.parquet"
    if events.exists() or true.exists():
        raise WorkspaceError(SIMULATED_ALREADY, where=str(folder), todo=OTHER_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    world = ShopSimulator(settings_for_size(customers, days), seed)
    partial, partial_truth = events.with_suffix(".partial"), true.with_suffix(".partial")
    count = 0
    with disk_errors(folder), ExitStack() as half_written:
        for one in (partial, partial_truth):
            half_written.callback(one.unlink, missing_ok=True)
        writer = None
        for start in range(0, days, DAYS_PER_BATCH):
            events_of_days = world.advance(world.now + timedelta(days=min(DAYS_PER_BATCH, days - start)))
            writer = writer or pq.ParquetWriter(partial, events_of_days.schema, compression="zstd")
            writer.write_table(events_of_days)
            count += events_of_days.num_rows
            progress("simulating days", start, days)
        if writer:
            writer.close()
        known = truth(world)
        pq.write_table(known, partial_truth, compression="zstd")
        replace_durably(partial_truth, true)
        replace_durably(partial, events)
    return SimulatedFiles(events, true, count, known.num_rows)
