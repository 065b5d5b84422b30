"""Functions that Numba compiles when they are first called: who imports a library and calls none does not wait.

Machine code is kept in a folder, NUMBA_CACHE_DIR, or else next to the source, or else in the user's cache where that
is read-only; a later process loads it from there. Where no folder can be written, each process compiles again.
"""

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


class Kernel:
    """A function of arrays and numbers, compiled for the types of its arguments when it is called with them."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self.function = function
        self.options = options

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function."""
        return self.compiled(*arguments)

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        """The function for Numba, as are the kernels that it calls by their names; machine code comes with a call."""
        import numba  # noqa: PLC0415 - half a second and 60 MB

        names = self.function.__globals__
        for name in self.function.__code__.co_names:
            called = names.get(name)
            if isinstance(called, Kernel) and called is not self:
                names[name] = called.compiled
        try:
            compiled = numba.njit(cache=True, **self.options)(self.function)
            _forget_unreadable(compiled)
        except RuntimeError:  # why: Numba found no folder for machine code that it may write
            compiled = numba.njit(**self.options)(self.function)
        names[self.function.__name__] = compiled
        return compiled


def _forget_unreadable(compiled: Any) -> None:
    """Forget machine code of another version of Patron, whose index names types that are gone; it is compiled again."""
    cache = compiled._cache  # noqa: SLF001 - Numba has no public name for it, and fails at each call otherwise
    try:
        cache._cache_file._load_index()  # noqa: SLF001 - as above
    except Exception:  # noqa: BLE001 - whatever a stale pickle raises
        cache.flush()


def kernel(*, nogil: bool = False, fastmath: bool | set[str] = False) -> Callable[[Function], Function]:
    """Let Numba compile a function when it is first called; `nogil` lets other threads work meanwhile."""

    def decorate(function: Function) -> Function:
        return cast("Function", Kernel(function, {"nogil": nogil, "fastmath": fastmath}))

    return decorate
