"""Our library of value models next to lifetimes and pymc-marketing: processor time, and whether both find the same.

`python benchmarks/predict/value_peers.py [--full] [--environments FOLDER] FOLDER`, the last with cdnow_master and
cdnow_sample as Parquet. Each peer is installed into an environment of its own, which is kept in a folder of temporary
files or the one that is given; a peer that cannot be installed is passed over. With --full the summary is of 7 million
orders instead of 1 million, and lifetimes simulates a million customers instead of 100,000, reported per million.

Both sides run in processes of their own with one thread, and take runs. Reported are medians of processor time. Not
counted on either side: imports, reading of files (ours then holds an Arrow table, a peer a frame of pandas, both of the
same file), and a first time, in which numba and pytensor compile. The fits are of CDNOW's 39 weeks; pymc-marketing's
are maxima a posteriori with its default priors, of a model that is already built and was fitted before. A fit of its
still gets its functions from pytensor anew; the lines "without compiling" leave that out. A peer's parameters are the
same when none is more than 1 % off (2 % for what was simulated); those of pymc-marketing are moved by its priors.
Log-likelihoods of both are computed by our library, whose values are tested against those published.
"""

import argparse
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patron.clv import BetaGeo, CountLearner, ModifiedBetaGeo, ParetoNBD, rfm
from patron.clv.distinct_histories import Histories, mean_age, rescale

ENVIRONMENTS = Path(tempfile.gettempdir()) / "patron-peers"
SIDES = Path(__file__).parent / "peers"
OURS, LIFETIMES, PYMC = "patron", "lifetimes", "pymc-marketing"
SCRIPTS = {OURS: "with_patron.py", LIFETIMES: "with_lifetimes.py", PYMC: "with_pymc_marketing.py"}
FRAMES = ("numpy==2.4.6", "pandas==3.1.1", "pyarrow==26.0.1", "scipy==1.17.1")
PINS = {
    LIFETIMES: ("lifetimes==0.11.3", "autograd==1.9.1", *FRAMES),
    PYMC: ("pymc-marketing==0.19.2", "pymc==5.28.5", "pytensor==2.38.3", "arviz==0.23.4", *FRAMES),
}
"""Versions that work together: the newest of each when this was written."""
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR", "BLIS")
}
INSTALLING_SECONDS, PATIENCE_SECONDS = 900, 600
UNTIL, DAYS = "1997-09-30", 273
CUSTOMERS, FEWER = 1_000_000, 100_000
COPIES, MORE_COPIES = 15, 100
HEAD = ("what", "peer", "ours, ms", "peer, ms", "ratio", "asked", "reached", "same", "LL ours", "LL peer")


@dataclass(frozen=True)
class Case:
    """One comparison, and how many times faster than which peer is asked."""

    what: str
    job: str
    targets: Mapping[str, float]
    learner: CountLearner | None = None
    """The model, when there is a likelihood to compare."""
    rounds: int = 5
    ours_a_round: int = 3
    alike: float = 0.01
    """How far apart what was found may be."""
    finds_the_same: bool = True


def cases(orders: int) -> list[Case]:
    many, both = f"{orders / 1e6:.0f}M orders", {LIFETIMES: 3.0, PYMC: 3.0}
    return [
        Case("BG/NBD fit", "bgnbd", {LIFETIMES: 20, PYMC: 50}, BetaGeo()),
        Case("MBG/NBD fit", "mbgnbd", {LIFETIMES: 20, PYMC: 50}, ModifiedBetaGeo()),
        Case("Pareto/NBD fit", "paretonbd", {LIFETIMES: 30}, ParetoNBD()),
        Case("BG/NBD, 1M customers drawn", "simulate", {LIFETIMES: 15}, rounds=3, ours_a_round=1, alike=0.02),
        Case(f"summary of {many}, ids are text", "summary_text", both, rounds=3, ours_a_round=1),
        Case(f"summary of {many}, ids are numbers", "summary_number", both, rounds=3, ours_a_round=1),
        Case("BG/NBD posterior, 1,000 draws", "posterior", {PYMC: 20}, rounds=3, finds_the_same=False),
    ]


@dataclass
class Runs:
    """What one side answered: milliseconds of each run, those of compiling, and what was found last."""

    ms: list[float] = field(default_factory=list)
    aside_ms: list[float] = field(default_factory=list)
    found: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def add(self, answer: Mapping[str, Any]) -> None:
        self.ms.append(answer["ms"])
        self.aside_ms.append(answer["aside_ms"])
        self.found = answer["found"]

    @property
    def median(self) -> float:
        return statistics.median(self.ms)

    @property
    def median_without_compiling(self) -> float:
        return statistics.median(all_of - aside for all_of, aside in zip(self.ms, self.aside_ms, strict=True))


class PassedOver(Exception):
    """A side that cannot be had, or did not answer, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} is passed over: {why}")
        self.name = name


class Side:
    """A process that does a job whenever it is asked to; warm once this is made."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.name, self.process, self.errors = name, process, errors
        self.versions = self.answer()

    def run(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"\n")
        except BrokenPipeError:
            raise PassedOver(self.name, self.why()) from None
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Its next line. Raises PassedOver when it takes too long or has ended."""
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            raise PassedOver(self.name, self.why())
        return json.loads(line)

    def why(self) -> str:
        if self.process.wait() < 0:
            return f"it was ended, after {PATIENCE_SECONDS} s without an answer or for want of memory"
        return last_line(self.errors.read_text(encoding="utf-8", errors="replace"))


@contextmanager
def side(name: str, job: str, python: Path, files: Path) -> Iterator[Side]:
    """Start a side, which ends with the block. Raises PassedOver."""
    errors, command = files / f"{name}.errors", [str(python), str(SIDES / SCRIPTS[name]), job, str(files)]
    pipe = subprocess.PIPE
    with (
        errors.open("wb") as error_file,
        subprocess.Popen(  # noqa: S603 - our own scripts
            command, bufsize=0, stdin=pipe, stdout=pipe, stderr=error_file, env=environment(name, python)
        ) as process,
    ):
        try:
            yield Side(name, process, errors)
        finally:
            process.kill()


def environment(name: str, python: Path) -> dict[str, str]:
    """One thread; a peer sees nothing of ours, and what pytensor compiles is kept next to its Python."""
    kept = {key: value for key, value in os.environ.items() if name == OURS or not key.startswith("PYTHON")}
    pytensor_flags = {} if name == OURS else {"PYTENSOR_FLAGS": f"base_compiledir={python.parent.parent / 'compiled'}"}
    return kept | ONE_THREAD | pytensor_flags


def python_of(peer: str, folder: Path) -> Path:
    """The Python of a peer's environment, which is made when there is none with these versions. Raises PassedOver."""
    versions = " ".join((sys.version, *PINS[peer]))
    home = folder / f"{peer}-{hashlib.sha256(versions.encode()).hexdigest()[:12]}"
    python, is_made = home / ("Scripts" if os.name == "nt" else "bin") / "python", home / "made"
    if not is_made.exists():
        print(f"installing {peer} into an environment of its own ...", flush=True)
        run(peer, sys.executable, "-m", "venv", "--clear", str(home))
        run(peer, str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS[peer])
        is_made.touch()
    return python


def run(peer: str, *command: str) -> None:
    """Run a program that installs a peer. Raises PassedOver."""
    seconds = INSTALLING_SECONDS
    try:
        done = subprocess.run(command, timeout=seconds, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    except subprocess.TimeoutExpired:
        raise PassedOver(peer, f"installing it took longer than {seconds} s") from None
    if done.returncode:
        raise PassedOver(peer, f"it cannot be installed: {last_line(done.stderr)}")


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it printed nothing"])[-1]


def prepare(folder: Path, files: Path, *, is_full: bool) -> int:
    """Write what the sides read: summaries, a law and times to simulate, orders to summarise; how many orders."""
    whole = summary_of(folder / "cdnow_master.parquet")
    pq.write_table(whole, files / "full.parquet")
    pq.write_table(summary_of(folder / "cdnow_sample.parquet"), files / "sample.parquet")
    law = BetaGeo().fit(whole).params
    law["alpha"] *= 7  # why: in days, as lifetimes makes orders of one unit of time one
    (files / "law.json").write_text(json.dumps(law), encoding="utf-8")
    T = np.resize(whole["T"].to_numpy() * 7, CUSTOMERS)
    pq.write_table(pa.table({"T": T}), files / "times.parquet")
    pq.write_table(pa.table({"T": T[: CUSTOMERS if is_full else FEWER]}), files / "fewer_times.parquet")
    return write_orders(pq.read_table(folder / "cdnow_master.parquet"), files, MORE_COPIES if is_full else COPIES)


def summary_of(orders: Path) -> pa.Table:
    return rfm(pq.read_table(orders), until=UNTIL, time="date")


def write_orders(orders: pa.Table, files: Path, copies: int) -> int:
    """Write the orders so many times over, of other customers each time, whose ids are text or numbers."""
    columns = [orders[name].combine_chunks() for name in ("date", "value")]
    date, value = (pa.chunked_array([column] * copies) for column in columns)
    numbers = pc.cast(orders["customer_id"], pa.int64()).to_numpy()
    ids = (np.arange(copies)[:, None] * (numbers.max() + 1) + numbers).ravel()
    text = pc.utf8_lpad(pc.cast(pa.array(ids), pa.string()), 8, padding="0")
    for name, column in (("text", text), ("number", pa.array(ids))):
        copied = pa.table({"customer_id": column, "date": date, "value": value})
        pq.write_table(copied, files / f"orders_{name}.parquet")
    return len(ids)


def log_likelihood(learner: CountLearner, summary: pa.Table, params: Mapping[str, float]) -> float:
    """Of a summary at any parameters."""
    rows = Histories.of(summary)
    scale = mean_age(rows)
    rescaled = rescale(rows, scale)
    logs = [math.log(params[name] / (scale if name in learner.in_time else 1)) for name in learner.letters]
    return learner.objective(rescaled)(np.array(logs))[0] * rows.customer_count + learner.constant(rows, scale)


def compared(case: Case, peer: str, python: Path, files: Path) -> tuple[Runs, Runs]:
    """What we and a peer took and found, run about. Raises PassedOver."""
    ours, theirs = Runs(), Runs()
    with (
        side(peer, case.job, python, files) as other,
        side(OURS, case.job, Path(sys.executable), files) as our_side,
    ):
        ours.versions, theirs.versions = our_side.versions, other.versions
        for _ in range(case.rounds):
            for _ in range(case.ours_a_round):
                ours.add(our_side.run())
            theirs.add(other.run())
    return ours, theirs


def show(case: Case, peer: str, ours: Runs, theirs: Runs, summary: pa.Table) -> None:
    """Print the line of one comparison, and a second one where a peer compiles at each run."""
    fast, target_ratio = theirs.median / ours.median, case.targets[peer]
    times = (f"{ours.median:,.1f}", f"{theirs.median:,.1f}", f"{fast:.1f}", f"{target_ratio:g}")
    both = [likelihood(case, summary, runs) for runs in (ours, theirs)]
    say(case.what, peer, *times, "yes" if fast >= target_ratio else "NO", alike(case, ours.found, theirs.found), *both)
    if any(theirs.aside_ms):
        rest = theirs.median_without_compiling
        say("  without compiling", peer, times[0], f"{rest:,.1f}", f"{rest / ours.median:.1f}")


def say(*cells: str) -> None:
    widths = (38, 15, 10, 11, 7, 6, 8, 12, 12, 12)
    texts = [*cells, *[""] * (len(widths) - len(cells))]
    first = "".join(f"{text:<{width}}" for text, width in zip(texts[:2], widths[:2], strict=True))
    print(first + "".join(f"{text:>{width}}" for text, width in zip(texts[2:], widths[2:], strict=True)), flush=True)


def alike(case: Case, ours: Mapping[str, float], theirs: Mapping[str, float]) -> str:
    """Whether both found the same, and how far apart at most; '-' where what is found says how much, not what."""
    if not case.finds_the_same:
        return "-"
    gap = max(abs(theirs[name] / value - 1) for name, value in ours.items())
    return f"{'yes' if gap <= case.alike else 'NO'} {gap:.1e}"


def likelihood(case: Case, summary: pa.Table, runs: Runs) -> str:
    return "-" if case.learner is None else f"{log_likelihood(case.learner, summary, runs.found):.3f}"


def found(side_: str, runs: Runs) -> str:
    """What one side found and how its times spread, in words."""
    values = ", ".join(f"{name} {value:.6g}" for name, value in runs.found.items())
    return f"  {side_}: {values}; {len(runs.ms)} runs of {min(runs.ms):,.1f} to {max(runs.ms):,.1f} ms"


def environments_in(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The Python of each peer that can be had, and a line for each that cannot."""
    pythons, missing = {}, []
    for peer in PINS:
        try:
            pythons[peer] = python_of(peer, folder)
        except PassedOver as why:
            missing.append(str(why))
    return pythons, missing


def main(folder: Path, *, is_full: bool = False, environments: Path = ENVIRONMENTS) -> None:
    """Print the table, then what was found and what was passed over. Exits with 1 when our side did not answer."""
    pythons, passed_over = environments_in(environments)
    notes, versions, is_well = [], {}, True
    with tempfile.TemporaryDirectory() as place:
        files = Path(place)
        todo = cases(prepare(folder, files, is_full=is_full))
        summary = pq.read_table(files / "full.parquet")
        say(*HEAD)
        for case, peer in [(one, peer) for one in todo for peer in one.targets if peer in pythons]:
            try:
                ours, theirs = compared(case, peer, pythons[peer], files)
            except PassedOver as why:
                passed_over.append(f"{case.what}: {why}")
                is_well &= why.name != OURS
                continue
            show(case, peer, ours, theirs, summary)
            notes += [case.what, found(OURS, ours), found(peer, theirs)]
            versions |= {OURS: ours.versions, peer: theirs.versions}
    print("", *notes, "", *passed_over, *ran_with(versions), sep="\n")
    raise SystemExit(not is_well)


def ran_with(versions: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [f"{name} ran with {', '.join(map(' '.join, those.items()))}" for name, those in versions.items()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="7 million orders, and a million customers for lifetimes")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where peers are installed and kept")
    parser.add_argument("folder", type=Path, help="where cdnow_master.parquet and cdnow_sample.parquet are")
    options = parser.parse_args()
    main(options.folder, is_full=options.full, environments=options.environments)
