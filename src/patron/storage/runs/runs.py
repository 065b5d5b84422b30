"""A run of the loop: its name, its cutoff and its random seed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa

SEED = 20170701


@dataclass(frozen=True)
class Run:
    """One run of the loop: everything in it depends on the cutoff and the seed only."""

    run_id: str
    as_of: datetime
    seed: int

    @classmethod
    def at(cls, as_of: datetime, *, zone: str = "UTC", seed: int = SEED) -> Self:
        """Name the run of a cutoff by the shop's calendar: the same cutoff is the same run."""
        local = as_of.astimezone(ZoneInfo(zone))
        name = local.strftime("%Y-%m-%d" if local.time() == datetime.min.time() else "%Y-%m-%dT%H%M%S")
        return cls(name, as_of.astimezone(UTC), seed)

    def child_seed(self, purpose: str) -> int:
        """Derive a seed for one purpose, so that stages do not share random numbers."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{self.run_id}/{purpose}".encode()).digest()[:4], "big")


@dataclass(frozen=True)
class CompletedRun:
    """The last completed run: the versions of the tables that it left, and what its facts were made from."""

    run: Run
    table_versions: Mapping[str, int | None]
    facts: "FactsOrigin | None"


@dataclass(frozen=True)
class FactsOrigin:
    """What facts follow from besides the cutoff: a version of the events, and a hash of settings and queries."""

    events_version: int | None
    definition: str


def run_of(row: sa.RowMapping) -> Run:
    """The run of a row of `runs`."""
    as_of = row["as_of"].replace(tzinfo=UTC) if row["as_of"].tzinfo is None else row["as_of"]
    return Run(row["run_id"], as_of, row["seed"])
