"""The command line: parse, call one action, print.

In a room, `..._commands` are the commands and `render_...` prints what they find.
Rooms: `data`, `insight`, `customers`, `segments`, `offers`, `outreach`, `recommendations`, `models`, `privacy`,
`access`. Every command: `app` lists them all, `options` are shared, `output` and `render` print.
"""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self, TextIO

import typer

from patron.interfaces.cli.app import app
from patron.interfaces.cli.output import as_json, say_error
from patron.schema.errors import PatronError

PRIVATE_UMASK = 0o077
"""Whatever a command writes, only its owner can read."""
REFUSED = 1
BROKEN = 70
INTERRUPTED = 130
"""Exit codes: 0 done, 1 refused for a reason a person can fix, 2 wrong usage, 3 an import that rejected too much,
70 a fault of Patron itself, 130 stopped by Ctrl-C."""
OUTPUT_TODO = "Free some space there, or write to another place."
WrongUsage = typer.BadParameter.__mro__[2]
"""What typer raises for any wrong usage."""


@dataclass(frozen=True)
class Refusal:
    """A refusal for programs, as HTTP has it."""

    error: str
    what: str
    where: str
    todo: str
    code: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    todo_code: str = ""
    todo_values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, refusal: PatronError) -> Self:
        """The object of a refusal."""
        return cls(type(refusal).__name__, **refusal.plain())


def main() -> None:
    """Run one command; a refusal is a sentence, never a traceback, and with --json also an object on stdout.

    Nobody reading on (`| head -1`) is no failure: the command ends with 0.
    """
    os.umask(PRIVATE_UMASK)
    code: int | str | None = 0
    try:
        _run_command()
    except BrokenPipeError:
        pass
    except SystemExit as end:
        # why: rich and typer turn a closed pipe into exit code 1
        code = 0 if isinstance(end.__context__, BrokenPipeError) else end.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        with suppress(BrokenPipeError):
            say_error("stopped; a command that had not finished can be run again")
    _flush(sys.stderr)
    problem = _flush(sys.stdout)
    if problem and not code:
        code = REFUSED
        say_error(f"the output cannot be written: {problem}. {OUTPUT_TODO}")
    sys.exit(code)


def _run_command() -> None:
    is_json = "--json" in sys.argv[1:]
    try:
        # why not standalone: typer would print what is wrong with the usage for people only
        sys.exit(app(standalone_mode=False) if is_json else app())
    except PatronError as refusal:
        _refuse(Refusal.of(refusal), str(refusal), is_json=is_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        from patron.storage.durable_files import FULL

        if error.filename is None and error.errno in FULL:
            what = f"the output cannot be written: {error.strerror}"
            _refuse(Refusal("OSError", what, "", OUTPUT_TODO), f"{what}. {OUTPUT_TODO}", is_json=False)
        if error.filename is None:
            _fault(error, is_json=is_json)
        # why: a path a person chose; the lake and the store turn their own errors into refusals
        todo = "Check the path, its permissions and the free space."
        what = str(error.strerror)
        text = f"{error.filename}: {what}. {todo}"
        _refuse(Refusal("OSError", what, str(error.filename), todo), text, is_json=is_json)
    except Exception as fault:  # noqa: BLE001 - our own faults are one sentence, too
        if isinstance(fault, WrongUsage):
            text = fault.format_message()
            _refuse(Refusal("WrongUsage", text, "", "See --help."), text, is_json=is_json, code=fault.exit_code)
        _fault(fault, is_json=is_json)


def _flush(stream: TextIO) -> str:
    """Write out what is buffered; why it cannot be, which is '' where nobody reads on.

    What cannot be written is thrown away, so that the interpreter does not try again when it ends.
    """
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return "" if isinstance(error, BrokenPipeError) else str(error.strerror)
    return ""


def _refuse(refusal: Refusal, text: str, *, is_json: bool, code: int = REFUSED) -> NoReturn:
    with suppress(BrokenPipeError):
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
