"""Processor time of tests: by folder next to its budget after all of them, and by file, for a choice of the fast ones.

Not wall time: a busy neighbour changes processor time little. That of child processes counts once they have ended.
"""

import json
import resource
import time
import tomllib
from collections import Counter
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SECONDS_FILE = TESTS / "processor_seconds.json"
"""Seconds of each test file, as `make test-times` found them."""
BUDGET_FILE = TESTS / "processor_budget.toml"
FAST_SECONDS = 1.0
"""A test file that takes longer is left out by --fast."""
COLLECTION = "collection"


def add_options(parser: pytest.Parser) -> None:
    """Add what `make test`, `make test-fast` and `make test-times` ask for."""
    group = parser.getgroup("processor time")
    group.addoption("--processor-time", action="store_true", help="report processor time by folder")
    group.addoption(
        "--record-processor-time", action="store_true", help=f"and write that of files to {SECONDS_FILE.name}"
    )
    group.addoption("--fast", action="store_true", help=f"leave out test files that take over {FAST_SECONDS} s")


@cache
def slow_files() -> frozenset[Path]:
    """Test files that are not fast; a file that nobody has measured yet is taken for fast."""
    seconds = json.loads(SECONDS_FILE.read_text("utf-8"))
    return frozenset(TESTS.parent / file for file, spent in seconds.items() if spent > FAST_SECONDS)


class ProcessorTime:
    """Adds up what each test file took, in whichever worker."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.seconds: Counter[str] = Counter()
        self.last = 0.0

    def _lap(self) -> float:
        """Seconds since the last lap."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        now = time.process_time() + children.ru_utime + children.ru_stime
        self.last, spent = now, now - self.last
        return spent

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Count imports, too; a worker hands over its number when it ends."""
        spent = self._lap()
        self.seconds[COLLECTION] += spent
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput[COLLECTION] = spent

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Add the collection of a worker."""
        self.seconds[COLLECTION] += getattr(node, "workeroutput", {}).get(COLLECTION, 0.0)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let the report of a phase carry its processor time: reports of workers travel with all their attributes."""
        report = yield
        report.processor_seconds = self._lap()
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase to its file."""
        self.seconds[report.nodeid.partition("::")[0]] += getattr(report, "processor_seconds", 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Report folders next to their budgets; nothing fails because of them."""
        terminalreporter.section("processor time (minutes, budget)")
        for line in report_lines(self.seconds, tomllib.loads(BUDGET_FILE.read_text("utf-8"))["minutes"]):
            terminalreporter.write_line(line)
        if self.config.option.record_processor_time:
            record({file: spent for file, spent in self.seconds.items() if file != COLLECTION})


def record(seconds: dict[str, float]) -> None:
    """Write what files took, next to what is known of those that were not run."""
    known = json.loads(SECONDS_FILE.read_text("utf-8")) | {file: round(spent, 1) for file, spent in seconds.items()}
    files = {file: spent for file, spent in sorted(known.items()) if (TESTS.parent / file).exists()}
    SECONDS_FILE.write_text(json.dumps(files, indent=0) + "\n", "utf-8")


def report_lines(seconds: Counter[str], budget: dict[str, float]) -> list[str]:
    """A line a folder and one for all, the largest first; what is above its budget says so."""
    spent: Counter[str] = Counter()
    for file, each in seconds.items():
        spent[folder_of(file)] += each / 60
    rows = [*spent.most_common(), ("total", spent.total())]
    budgets = budget | {"total": sum(budget.values())}
    lines = []
    for name, minutes in rows:
        most = budgets.get(name, 0.0)
        lines.append(f"{minutes:6.1f} {most:6.1f}  {name}{' is over its budget' * (minutes > most)}")
    return lines


def folder_of(file: str) -> str:
    """The first folder below `tests/`; a file of no folder stands for itself."""
    parts = Path(file).parts
    return parts[1] if parts[0] == TESTS.name and len(parts) > 1 else file
