"""One side of a comparison: does one job again and again, once for each line it reads, and answers in JSON.

The sides run in environments of their own, so this needs nothing but Python. What is timed is processor time of the
whole process; the caller sees to it that there is one thread.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """Something to time; data are read and models built before."""

    work: Callable[[], Any]
    """What is timed."""
    results: Callable[[Any], Mapping[str, float]] = lambda _: {}
    """The numbers of its result, to compare the sides by."""
    done: Callable[[Any], float] = lambda _: 1.0
    """How much was done, in the unit that the sides are compared in."""
    warm: Callable[[], Any] | None = None
    """What is done first and not counted, when it is not the work itself."""
    aside_seconds: Callable[[], float] = lambda: 0.0
    """Seconds of the last work that were spent on compiling."""


def serve(jobs: Mapping[str, Callable[[Path], Job]], *packages: str) -> None:
    """Do the job that the command line names with the files of its folder, until there are no more lines."""
    answers, sys.stdout = sys.stdout, sys.stderr  # why: libraries print too
    job = jobs[sys.argv[1]](Path(sys.argv[2]))
    (job.warm or job.work)()
    print(json.dumps({name: version(name) for name in packages}), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(timed(job)), file=answers, flush=True)


def timed(job: Job) -> dict[str, Any]:
    """Processor milliseconds for one unit of what is to be done, those of compiling among them, and what was found."""
    gc.collect()
    since = time.process_time()
    result = job.work()
    seconds = time.process_time() - since
    done = job.done(result)
    return {
        "ms": seconds * 1000 / done,
        "aside_ms": job.aside_seconds() * 1000 / done,
        "found": {name: float(value) for name, value in job.results(result).items()},
    }
