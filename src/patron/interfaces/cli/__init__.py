"""The command line: parse, call one action, print."""

import os
import sys
from dataclasses import dataclass
from typing import NoReturn, Self

import typer

from patron.interfaces.cli.app import app
from patron.interfaces.cli.output import as_json, say_error
from patron.schema.errors import PatronError

PRIVATE_UMASK = 0o077
"""Whatever a command writes, only its owner can read."""
REFUSED = 1
BROKEN = 70
"""Exit codes: 0 done, 1 refused for a reason a person can fix, 2 wrong usage, 3 an import that rejected too much,
70 a fault of Patron itself."""
WrongUsage = typer.BadParameter.__mro__[2]
"""What typer raises for any wrong usage."""


@dataclass(frozen=True)
class Refusal:
    """A refusal for programs, as HTTP has it."""

    error: str
    what: str
    where: str
    todo: str

    @classmethod
    def of(cls, refusal: PatronError) -> Self:
        """The object of a refusal."""
        return cls(type(refusal).__name__, refusal.what, refusal.where, refusal.todo)


def main() -> None:
    """Run one command; a refusal is a sentence, never a traceback, and with --json also an object on stdout."""
    os.umask(PRIVATE_UMASK)
    is_json = "--json" in sys.argv[1:]
    try:
        # why not standalone: typer would print what is wrong with the usage for people only
        sys.exit(app(standalone_mode=False) if is_json else app())
    except PatronError as refusal:
        _refuse(Refusal.of(refusal), str(refusal), is_json=is_json)
    except OSError as error:
        if error.filename is None:
            _fault(error, is_json=is_json)
        # why: a path a person chose; the lake and the store turn their own errors into refusals
        todo = "Check the path, its permissions and the free space."
        what = str(error.strerror)
        text = f"{error.filename}: {what}. {todo}"
        _refuse(Refusal("OSError", what, str(error.filename), todo), text, is_json=is_json)
    except KeyboardInterrupt:
        say_error("stopped; run the command again to finish")
        sys.exit(130)
    except Exception as fault:  # noqa: BLE001 - our own faults are one sentence, too
        if isinstance(fault, WrongUsage):
            text = fault.format_message()
            _refuse(Refusal("WrongUsage", text, "", "See --help."), text, is_json=is_json, code=fault.exit_code)
        _fault(fault, is_json=is_json)


def _refuse(refusal: Refusal, text: str, *, is_json: bool, code: int = REFUSED) -> NoReturn:
    if is_json:
        as_json(refusal)
    say_error(text)
    sys.exit(code)


def _fault(fault: Exception, *, is_json: bool) -> NoReturn:
    if os.environ.get("PATRON_DEBUG"):
        raise fault
    what = f"an error in Patron: {type(fault).__name__}: {fault}"
    todo = "Set PATRON_DEBUG=1 for details, and please report it."
    _refuse(Refusal(type(fault).__name__, what, "", todo), f"{what}. {todo}", is_json=is_json, code=BROKEN)
