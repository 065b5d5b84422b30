"""The command `patron`, also `python -m patron`: a light install answers in one sentence, never with a traceback."""

import os
import sys
from importlib.util import find_spec

PLATFORM = ("typer", "duckdb", "deltalake", "sqlalchemy")
"""Packages that only the extra `platform` installs; one of each kind is enough to recognise a light install."""


INTERRUPTED = 130
"""Exit code of Ctrl-C, as shells have it."""


def main() -> None:
    """Run one command, or say what to install."""
    open_closed_streams()
    try:
        _run_command()
    except KeyboardInterrupt:  # why: Ctrl-C while the first modules are imported
        sys.exit(INTERRUPTED)


def open_closed_streams() -> None:
    """Point an input or output that the caller closed (`>&-`) to nowhere: a file opened next would be taken for it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the end


def _run_command() -> None:
    missing = [name for name in PLATFORM if find_spec(name) is None]
    if missing:
        sys.exit(
            f"patron: the command line needs the platform ({', '.join(missing)} missing). "
            "Run: pip install 'patron[platform]'"
        )
    from patron.interfaces.cli import main as run_command  # noqa: PLC0415 - a light install cannot import it

    run_command()


if __name__ == "__main__":
    main()
