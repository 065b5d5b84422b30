"""Work side by side in threads: fits and scores spend their time outside the interpreter."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_WORKERS = 8


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The function of each item, in their order, on as many threads as there are cores.

    Each thread does its sums alone: their order, and with it their last digits, must not depend on the machine.
    """
    with ThreadPoolExecutor(
        min(os.cpu_count() or 1, MAX_WORKERS), initializer=threadpool_limits, initargs=(1,)
    ) as pool:
        return list(pool.map(function, items))
