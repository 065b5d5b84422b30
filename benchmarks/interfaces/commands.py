"""Processor time and peak memory of commands on an empty workspace, next to `patron --version`: medians of 5."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PATRON = [sys.executable, "-m", "patron"]
COMMANDS = (
    "--version",
    "--help",
    "mappings",
    "sql select_1",
    "sql",
    "segment list",
    "campaign list",
    "policy show",
    "users list",
    "keys list",
    "audit verify",
    "doctor",
    "run --help",
)
WITHOUT_WORKSPACE = ("--version", "--help", "mappings", "run --help")
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""In a process of its own: the peak of children is that of all of them so far."""
ROUNDS = 5


def measure(arguments: list[str]) -> tuple[float, float]:
    """User and system time, seconds, and peak memory, MB, of one process."""
    command = [sys.executable, "-c", MEASURE, *PATRON, *arguments]
    seconds, kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()  # noqa: S603
    return float(seconds), int(kilobytes) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = str(Path(folder) / "shop")
        subprocess.run([*PATRON, "init", workspace], stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - ours
        for command in COMMANDS:
            arguments = [one.replace("_", " ") for one in command.split()]
            arguments += [] if command in WITHOUT_WORKSPACE else ["--workspace", workspace]
            rounds = [measure(arguments) for _ in range(ROUNDS)]
            seconds, megabytes = (statistics.median(values) for values in zip(*rounds, strict=True))
            print(f"{' '.join(arguments[: len(command.split())]):16} {seconds:6.2f} s {megabytes:6.0f} MB", flush=True)


if __name__ == "__main__":
    main()
