"""Help, version and completion answer at once: none of the heavy libraries is loaded before it is needed."""

import os
import subprocess
import sys

import pytest

HEAVY = ("lightgbm", "sklearn", "numba", "scipy", "altair", "deltalake", "sqlalchemy", "duckdb", "pyarrow", "fastapi")
SCRIPT = f"""
import sys
from patron.interfaces.cli import main
sys.argv = ["patron", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    sys.stderr.write(f"{{end.code or 0}} " + " ".join(name for name in {HEAVY} if name in sys.modules))
"""
COMPLETION = {"_PATRON_COMPLETE": "complete_bash", "COMP_WORDS": "patron ba", "COMP_CWORD": "1"}


@pytest.mark.parametrize(
    ("arguments", "environment", "printed"),
    [
        (["--help"], {}, "Start"),
        (["run", "--help"], {}, "--as-of"),
        (["--version"], {}, "."),
        ([], COMPLETION, "backtest\nbackup"),
    ],
    ids=["help", "help of a command", "version", "completion"],
)
def test_nothing_heavy_is_loaded_to_answer(arguments, environment, printed):
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert printed in done.stdout
    assert done.stderr.split() == ["0"], "loaded too early"
