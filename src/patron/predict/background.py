"""Work of a stage that is done while other work of it is: fits, sorts and queries run outside the interpreter."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Argument = TypeVar("Argument")


@contextmanager
def in_background(
    functions: Sequence[Callable[[Argument], Any]], argument: Argument
) -> Iterator[tuple[Future[Any], ...]]:
    """Call functions one after the other in a thread while the block runs; their results, in order.

    The block's end waits for them. When it fails, those that have not begun are left out.
    """
    with ThreadPoolExecutor(1, "background") as thread:
        try:
            yield tuple(thread.submit(function, argument) for function in functions)
        except BaseException:
            thread.shutdown(wait=False, cancel_futures=True)
            raise
