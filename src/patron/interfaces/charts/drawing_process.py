"""A process that draws charts, for a server: a drawing would stop all else in it for 20 ms."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from patron.interfaces.charts.chart import draw, draw_with
from patron.storage.sandbox.sandbox import STOPPED_CALLS, Sandbox, Stopped
from patron.storage.sandbox.sandbox_process import Bounds

DRAWING = Bounds(processes=1, seconds=10.0, threads=4, memory_bytes=2 << 30, is_confined=False)
"""Of the process that draws: it reads the system's fonts, and reserves far more memory than it takes."""


@contextmanager
def draw_in_own_process() -> Iterator[None]:
    """Draw charts in a separate process within a block."""
    with closing(Sandbox(DRAWING)) as sandbox:

        def draw_there(spec: str) -> str:
            before = STOPPED_CALLS.set(None)  # why: nobody sent what is drawn
            try:
                return sandbox.call(draw, spec)
            except Stopped:  # why: it may have been killed, and a page is shown nevertheless
                return draw(spec)
            finally:
                STOPPED_CALLS.reset(before)

        with draw_with(draw_there):
            yield
