"""The command `patron`, also `python -m patron`: a light install answers in one sentence, never with a traceback."""

import sys
from importlib.util import find_spec

PLATFORM = ("typer", "duckdb", "deltalake", "sqlalchemy")
"""Packages that only the extra `platform` installs; one of each kind is enough to recognise a light install."""


def main() -> None:
    """Run one command, or say what to install."""
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
