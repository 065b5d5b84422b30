"""The damage matrix: each kind of file and folder of a workspace, damaged in five ways, asked by six commands.

`python benchmarks/storage/damage_matrix.py [--full] [--only PART ...]`. A cell is `found` (doctor says so), `refused`
(with what to do), `same` (the answer of the sound workspace), or a fault: FAULT (a traceback, a fault in Patron, a
hang) or DIFFERS (another answer, silently). Without --full a few tables of the lake stand for all.
"""

import argparse
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from tests.support.damage import COMMANDS, DAMAGES, FAULTS, Matrix, build

NOW = datetime(2026, 1, 10, tzinfo=UTC)
TABLES = ("events", "orders", "scores", "decisions")
LETTERS = {"found": "f", "refused": "r", "same": "=", "FAULT": "!", "DIFFERS": "?"}


def is_chosen(kind: str, parts: list[str], *, is_full: bool) -> bool:
    """Whether a kind of path is damaged in this study."""
    if parts:
        return any(part in kind for part in parts)
    in_table = kind.startswith("lake/") and kind != "lake/"
    return is_full or not in_table or kind.split("/")[1] in TABLES


def study(matrix: Matrix, kinds: list[str]) -> tuple[Counter[str], list[str]]:
    """Print a line for each damage; verdicts counted, and the faults."""
    counts: Counter[str] = Counter()
    faults = []
    for kind, how in ((kind, how) for kind in kinds for how in DAMAGES):
        row = matrix.row(kind, how)
        if not row:
            continue
        counts.update(verdict for verdict, _ in row.values())
        print(f"{kind:60} {how:16} " + " ".join(LETTERS[row[name][0]] for name in COMMANDS), flush=True)
        for name, (verdict, text) in row.items():
            if verdict in FAULTS:
                faults.append(f"{kind} {how} {name}: {verdict}")
                print(f"    {name}: {verdict} {text[:500]}", flush=True)
        if row["doctor"][0] == "same" and any(verdict != "same" for verdict, _ in row.values()):
            print("    doctor does not see it", flush=True)
    return counts, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="every table of the lake")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the kinds of paths")
    parser.add_argument("--customers", type=int, default=150)
    parser.add_argument("--days", type=int, default=150)
    parser.add_argument("--keep", type=Path, help="folder of the two workspaces, made if it is not there")
    options = parser.parse_args()
    since = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        top = options.keep or Path(place)
        for name, seed in (("home-a", 1), ("home-b", 2)):
            if not (top / name).exists():
                build(top / name, seed=seed, now=NOW, days=options.days, customers=options.customers, runs=2)
        print(f"two workspaces in {time.perf_counter() - since:.0f} s", flush=True)
        matrix = Matrix(top / "home-a", top / "home-b", Path(place) / "scratch")
        chosen = [kind for kind in matrix.kinds if is_chosen(kind, options.only, is_full=options.full)]
        counts, faults = study(matrix, chosen)
        print(f"{len(chosen)} kinds, cells: {dict(counts)}; {time.perf_counter() - since:.0f} s", *faults, sep="\n")
        raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
