"""torch, where it is installed: the extra `deep`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from typing import Any

from patron.schema.errors import MissingExtra


def import_torch(where: str) -> Any:
    """The module. Raises MissingExtra where it is not installed, or cannot be loaded."""
    todo = "pip install 'patron[deep]'"
    try:
        return import_module("torch")
    except ModuleNotFoundError:
        raise MissingExtra("torch is not installed", where=where, todo=todo) from None
    except (ImportError, OSError) as error:
        raise MissingExtra(f"torch cannot be loaded: {error}", where=where, todo=todo) from error


DRAWING = Lock()
"""Torch has one state of draws for all threads, and a run fits networks in two of them."""


@contextmanager
def reproducible_draws(torch: Any, seed: int) -> Iterator[None]:
    """Random numbers of a seed, and one thread; both are as before afterwards. One block at a time."""
    with DRAWING:
        thread_count = torch.get_num_threads()
        torch.set_num_threads(1)  # why: sums must not depend on the machine; and small steps are slower on several
        try:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                yield
        finally:
            torch.set_num_threads(thread_count)
