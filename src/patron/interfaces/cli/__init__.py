"""The command line: parse, call one action, print."""

import os
import sys
from typing import NoReturn

from patron.interfaces.cli.app import app
from patron.interfaces.cli.output import say_error
from patron.schema.errors import PatronError

REFUSED = 1
BROKEN = 70
"""Exit codes: 0 done, 1 refused for a reason a person can fix, 2 wrong usage, 3 an import that rejected too much,
70 a fault of Patron itself."""


def main() -> None:
    """Run one command; a refusal is a sentence, never a traceback."""
    try:
        app()
    except PatronError as refusal:
        say_error(str(refusal))
        sys.exit(REFUSED)
    except OSError as error:
        if error.filename is None:
            _fault(error)
        # why: a path a person chose; the lake and the store turn their own errors into refusals
        say_error(f"{error.filename}: {error.strerror}. Check the path, its permissions and the free space.")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        say_error("stopped; run the command again to finish")
        sys.exit(130)
    except Exception as fault:  # noqa: BLE001 - our own faults are one sentence, too
        _fault(fault)


def _fault(fault: Exception) -> NoReturn:
    if os.environ.get("PATRON_DEBUG"):
        raise fault
    say_error(
        f"an error in Patron: {type(fault).__name__}: {fault}. Set PATRON_DEBUG=1 for details, and please report it."
    )
    sys.exit(BROKEN)
