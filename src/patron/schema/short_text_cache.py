"""A cache of what a function says of short texts; texts from outside may be long, and many of them fill the memory."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

MAX_LENGTH = 300
"""Characters, of all arguments together."""

P = ParamSpec("P")
T = TypeVar("T")


def cache_short_texts(size: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Remember the last `size` results for texts of at most MAX_LENGTH characters; longer ones are computed anew."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        remembered = lru_cache(size)(function)

        @wraps(function)
        def computed_once(*texts: P.args, **none: P.kwargs) -> T:
            is_short = sum(map(len, texts)) <= MAX_LENGTH  # pyright: ignore[reportArgumentType] - they are texts
            return remembered(*texts, **none) if is_short else function(*texts, **none)

        return computed_once

    return decorate
