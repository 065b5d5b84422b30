"""The process of one job that somebody started in the console: a run or its preview, an import, a campaign's trial."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from patron.answers.data.run_history import run_facts
from patron.commands.data.preview_run import preview_run
from patron.commands.data.uploaded_files import import_upload
from patron.commands.outreach.campaigns.try_campaign import try_saved_campaign
from patron.interfaces.cli.data.run_commands import parse_time
from patron.run import run_loop
from patron.service.jobs import carry_out
from patron.storage.runs.jobs import IMPORT, PREVIEW, RUN, TRIAL
from patron.storage.runs.last_run import last_run
from patron.storage.sandbox.confinement import raise_oom_score
from patron.storage.shop import Shop

if TYPE_CHECKING:
    from patron.schema.progress import Progress
    from patron.storage.runs.jobs import Job

FAILED = 1
PATIENCE_SECONDS = 600.0
"""How long a run waits for another process that is at work here."""
NICENESS = 10
"""Lower priority than the server, whose answers people wait for."""
SESSION_PRIORITY = Path("/proc/self/autogroup")
"""On Linux the priority of all processes of a session together, which is what counts against other sessions."""


def main(folder: Path, job_id: str) -> int:
    """Do the work of a job; how it went is in its row."""
    lower_priority()
    raise_oom_score()
    shop = Shop.open(folder, wait_seconds=PATIENCE_SECONDS)
    work = {
        RUN: lambda job, progress: _run(shop, job, progress),
        PREVIEW: lambda job, progress: _preview(shop, job, progress),
        IMPORT: lambda job, progress: _import(shop, job, progress),
        TRIAL: lambda job, progress: _try(shop, job, progress),
    }
    try:
        return 0 if carry_out(shop, job_id, work, clock=lambda: datetime.now(UTC)) else FAILED
    finally:
        shop.close()


def lower_priority() -> None:
    """Give way to the server: lower the priority of this process, and of its session."""
    with suppress(OSError):
        os.nice(NICENESS)
    with suppress(OSError):
        SESSION_PRIORITY.write_text(str(NICENESS), encoding="ascii")


def _run(shop: Shop, job: "Job", progress: "Progress") -> Mapping[str, Any]:
    now = datetime.now(UTC)
    cutoff = _cutoff(shop, job, now)
    finished = run_loop(shop, cutoff, now=now, retrain=bool(job.options.get("retrain")), progress=progress)
    return {"run_id": finished.run_id, "customer_count": finished.customer_count, "seconds": finished.seconds}


def _preview(shop: Shop, job: "Job", progress: "Progress") -> Mapping[str, Any]:
    now = datetime.now(UTC)
    cutoff, budget = _cutoff(shop, job, now), job.options.get("budget")
    with preview_run(shop, cutoff, now=now, budget=budget, progress=progress) as (copy, finished):
        facts = run_facts(last_run(copy))
    return {"run_id": finished.run_id, "seconds": finished.seconds, "facts": msgspec.to_builtins(facts)}


def _import(shop: Shop, job: "Job", progress: "Progress") -> Mapping[str, Any]:
    summary = import_upload(shop, job.options, now=datetime.now(UTC), progress=progress)
    return msgspec.to_builtins(summary)


def _try(shop: Shop, job: "Job", progress: "Progress") -> Mapping[str, Any]:
    trial = try_saved_campaign(shop, job.options["campaign"], job.options["version"], progress=progress)
    return msgspec.to_builtins(trial.figures)


def _cutoff(shop: Shop, job: "Job", now: datetime) -> datetime:
    return parse_time(job.options.get("as_of") or "now", shop.settings.shop.time_zone, now=now)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
