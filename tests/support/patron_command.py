"""One `patron` command in this process: its exit code, and what it prints."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from functools import cache

import pytest
import typer.main

from patron.interfaces.cli import main

made_command = cache(typer.main.get_command)
"""What typer makes of an application, once a process instead of once a call: a tenth of a second for all of ours."""


@dataclass(frozen=True)
class CommandResult:
    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """Error as one line, without the box around a usage error."""
        return " ".join(self.err.replace("│", " ").split())

    @property
    def json(self):
        return json.loads(self.out)


def run_patron(*args: object) -> CommandResult:
    """Run one command of `patron`, and catch its exit code and what it prints."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["patron", *map(str, args)])
        patch.setattr(typer.main, "get_command", made_command)
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    return CommandResult(code, out.getvalue(), err.getvalue())
