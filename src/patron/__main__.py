"""The command `patron`, also `python -m patron`: a light install answers in one sentence, never with a traceback."""

import gc
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from threading import get_ident

PLATFORM = ("typer", "duckdb", "deltalake", "sqlalchemy")
"""Packages that only the extra `platform` installs; one of each kind is enough to recognise a light install."""


INTERRUPTED = 130
"""Exit code of Ctrl-C, as shells have it."""
COLLECTED_FROM = 50_000
"""New objects after which Python looks for garbage: imports make hundreds of thousands that all stay."""


LOOKS_FOR_PACKAGES = "lightgbm.compat"


class WithoutUnused(MetaPathFinder):
    """Does not find what libraries import by themselves where it is installed, and no command needs.

    Arrow imports pandas at the first array, which takes 60 MB. LightGBM imports scikit-learn for classes that wrap it,
    which takes longer than to score a small shop.
    """

    def __init__(self) -> None:
        self._loads_lightgbm: int | None = None
        """Thread that began to import the module by which LightGBM looks for other packages."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Leave every other module to the finders after this one. Raises ModuleNotFoundError."""
        if fullname == "pandas" and "torch" not in sys.modules:  # why: torch asks for many packages, and takes no error
            raise ModuleNotFoundError("no command of Patron uses pandas", name=fullname)
        if fullname == LOOKS_FOR_PACKAGES:
            self._loads_lightgbm = get_ident()
        elif (
            fullname == "sklearn"
            and self._loads_lightgbm == get_ident()
            and not hasattr(sys.modules.get(LOOKS_FOR_PACKAGES), "SKLEARN_INSTALLED")
        ):
            raise ModuleNotFoundError("Patron does not use LightGBM by way of scikit-learn", name=fullname)


def main() -> None:
    """Run one command, or say what to install."""
    open_closed_streams()
    import_sparingly()
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


def import_sparingly() -> None:
    """Spare a command what libraries import or search for by themselves and Patron does not need."""
    gc.set_threshold(COLLECTED_FROM)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # why: it reads the metadata of every package
    sys.meta_path.insert(0, WithoutUnused())


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
