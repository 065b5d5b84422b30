"""Pull the plug: what a workspace is like after a power cut at any time, whatever the disk kept of what was not synced.

Real commands run under strace, which records every write, name and fsync. From the record, disks are made as a power
cut between any two calls may leave them (see disk_states.py). On each, the promises are checked by the real code: what
was acknowledged is there once, `doctor` finds no problem, and the same command, repeated, completes.

    python benchmarks/storage/power_loss.py [--full] [part of a scenario's name ...]

Needs Linux and strace; passes over without. Exit code 1 when a promise was broken.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import disk_states
import syscall_log
from power_loss_scenarios import SCENARIOS, Scenario

CUTS, FULL_CUTS = 60, 600
SHOWN = 4
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
"""Where hundreds of disks are made without wearing one out."""
RECORD = "--record"


@contextmanager
def keys_under(root: Path) -> Iterator[None]:
    """Keep master keys in the folder of the scenario."""
    before = dict(os.environ)
    os.environ["XDG_CONFIG_HOME"] = str(root / "config")
    os.environ.pop("PATRON_MASTER_KEY", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def fault_of(scenario: Scenario, root: Path, acknowledged: list[str]) -> str:
    """What a check found wrong with a state; empty when nothing is."""
    try:
        with keys_under(root):
            scenario.check(root, acknowledged)
    except AssertionError as error:
        return f"{str(error)[:200] or traceback.extract_tb(error.__traceback__)[-1].line}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the user would get
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})"
    return ""


def study(scenario: Scenario, limit: int, place: Path) -> int:
    """Record a scenario and check its disks; return how many were wrong."""
    root = place / "root"
    root.mkdir()
    with keys_under(root):
        scenario.prepare(root)
        first = place / "first"
        shutil.copytree(root, first, symlinks=True)
        command = [sys.executable, __file__, RECORD, scenario.name, str(root)]
        code, calls = syscall_log.record(command, root, place / "logs")
    if code:
        print(f"{scenario.name}: the recorded command failed with exit code {code}")
        return 1
    shutil.rmtree(root)
    first.rename(root)
    disk = disk_states.Disk(root, calls)
    disk.replay()
    shutil.rmtree(root)
    since, seen, faults, examples = time.monotonic(), set(), Counter(), {}
    for cut in disk_states.cuts(calls, round(limit * scenario.cut_share)):
        for choice in disk_states.CHOICES:
            state = disk.state(cut, choice)
            digest = disk_states.digest(state)
            if digest in seen:
                continue
            seen.add(digest)
            disk_states.write_state(state, root)
            said = [one.content.decode() for one in calls[:cut] if one.kind == "write" and one.path.endswith("/said")]
            fault = fault_of(scenario, root, "".join(said).split())
            shutil.rmtree(root)
            if fault:
                faults[fault] += 1
                call = calls[min(cut, len(calls) - 1)]
                before = f"before {call.kind} {Path(call.path).relative_to(root)}"
                examples.setdefault(fault, f"cut {cut} of {len(calls)}, {before}, kept: {choice}")
    took = time.monotonic() - since
    wrong = faults.total()
    print(f"{scenario.name:<12}{len(calls):>7,} calls{len(seen):>7,} disks{wrong:>6,} wrong{took:>7.0f} s", flush=True)
    for fault, count in faults.most_common(SHOWN):
        print(f"    {count}x {fault}\n       {examples[fault]}", flush=True)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"up to {FULL_CUTS} cuts a scenario, not {CUTS}")
    parser.add_argument(RECORD, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", help="only scenarios whose name holds one of these")
    options = parser.parse_args()
    if options.record:
        name, root = options.record
        next(one for one in SCENARIOS if one.name == name).work(Path(root))
        return
    if not syscall_log.is_available():
        print("passed over: there is no strace here, or it may not trace")
        return
    wrong = 0
    for scenario in SCENARIOS:
        if options.parts and not any(part in scenario.name for part in options.parts):
            continue
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
            wrong += study(scenario, FULL_CUTS if options.full else CUTS, Path(place).resolve())
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
