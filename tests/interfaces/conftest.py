import contextlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from patron.interfaces.cli import main


@dataclass(frozen=True)
class Ran:
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


def ran(*args: object) -> Ran:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["patron", *map(str, args)])
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def patron() -> Callable[..., Ran]:
    """Run one command of `patron` in this process, and catch its exit code and what it prints."""
    return ran
