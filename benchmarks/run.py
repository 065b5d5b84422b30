"""Run every study: each script under benchmarks/*/ that has a `main()`, one after another, each in its own process.

`python benchmarks/run.py [--full] [--minutes 20] [part of a name ...]`. A study that takes longer than its minutes, or
the `MINUTES` that it names, is ended and said so. A study of real data, whose `main` asks for a folder, gets the one
that PATRON_TEST_DATA names and is passed over without. Exit code 1 when a study failed.
"""

import argparse
import ast
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
"""Studies may use the made shop of the tests, so they find `tests`."""
FULL = "--full"
DATA = os.environ.get("PATRON_TEST_DATA", "")


def asks_for(script: Path) -> list[str] | None:
    """Names of what a script's `main` cannot do without; None when it has no `main`."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    mains = [node.args for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    return [arg.arg for arg in mains[0].args[: len(mains[0].args) - len(mains[0].defaults)]] if mains else None


def minutes_of(script: Path) -> float:
    """The longest time that a script names for itself, minutes; 0 where it names none."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    named = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and [getattr(target, "id", "") for target in node.targets] == ["MINUTES"]
    ]
    return float(str(named[0])) if named else 0.0


def studies(parts: list[str]) -> list[Path]:
    """Scripts with a main(), in order of their names; all, or those whose path holds one of the parts."""
    found = [script for script in sorted(HERE.glob("*/*.py")) if asks_for(script) is not None]
    return [script for script in found if not parts or any(part in str(script.relative_to(HERE)) for part in parts)]


def run(script: Path, *, minutes: float, is_full: bool) -> bool:
    """Run one study with its output shown; whether it ended well."""
    name = script.relative_to(HERE)
    print(f"\n== {name}", flush=True)
    needs_data = asks_for(script) == ["folder"]
    if needs_data and not DATA:
        print("-- passed over: set PATRON_TEST_DATA to the folder of the real data sets", flush=True)
        return True
    takes_full = is_full and FULL in script.read_text(encoding="utf-8")
    command = [sys.executable, str(script), *([FULL] if takes_full else []), *([DATA] if needs_data else [])]
    since, minutes = time.perf_counter(), max(minutes, minutes_of(script))
    try:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        code = subprocess.run(command, timeout=minutes * 60, check=False, env=env).returncode  # noqa: S603 - our scripts
    except subprocess.TimeoutExpired:
        print(f"-- {name}: ended after {minutes:g} minutes; give it more with --minutes", flush=True)
        return False
    print(
        f"-- {name}: {'done' if code == 0 else f'failed with exit code {code}'} in {time.perf_counter() - since:.0f} s"
    )
    return code == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(FULL, action="store_true", help="the largest sizes too")
    parser.add_argument("--minutes", type=float, default=20.0, help="longest time of one study")
    parser.add_argument("parts", nargs="*", help="only studies whose path holds one of these")
    options = parser.parse_args()
    ended_well = [run(script, minutes=options.minutes, is_full=options.full) for script in studies(options.parts)]
    print(f"\n{sum(ended_well)} of {len(ended_well)} studies ended well")
    raise SystemExit(not all(ended_well))


if __name__ == "__main__":
    main()
