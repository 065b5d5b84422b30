"""Liquid for templates that marketers write, with limits: no files, no endless loop, no text without end.

python-liquid bounds loops, the output and local names by itself; filters are bounded here, as a range of a billion
numbers that is joined takes memory before any of these limits is checked.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from liquid import Environment, FalsyStrictUndefined, Mode
from liquid.exceptions import ResourceLimitError

MAX_CHARACTERS = 100_000
"""Of a text that a filter takes or returns."""
MAX_ITEMS = 1_000
"""Of a list or range that a filter takes."""
MAX_WORK = 20_000_000
"""Characters that the filters of one text take and make in all."""
MAX_NUMBER = 10**18
NOT_ALLOWED = ("include", "render")
"""Tags that read other templates."""


_work_left: ContextVar[list[int] | None] = ContextVar("patron_liquid_work_left", default=None)


class _Limited(Environment):
    context_depth_limit = 20
    loop_iteration_limit = 1_000
    local_namespace_limit = 1_000_000
    output_stream_limit = 500_000


def liquid_environment(*, is_html: bool) -> Environment:
    """An environment whose missing values are errors, but for `default` and `if`; HTML escapes every value."""
    environment = _Limited(undefined=FalsyStrictUndefined, tolerance=Mode.STRICT, autoescape=is_html)
    for name in NOT_ALLOWED:
        environment.tags.pop(name, None)
    environment.filters.pop("safe", None)  # why: a customer's name with a script in it is never safe
    if not is_html:
        environment.filters["escape"] = environment.filters["escape_once"] = _same_text
    for name, function in list(environment.filters.items()):
        environment.filters[name] = _bounded(name, function)
    return environment


@contextmanager
def limited_work() -> Iterator[None]:
    """Bound what the filters of all that is rendered in this block may take together."""
    before = _work_left.set([MAX_WORK])
    try:
        yield
    finally:
        _work_left.reset(before)


def _same_text(value: object) -> str:
    return str(value)


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*values: Any, **options: Any) -> Any:
        for value in values:
            _require_small(name, value)
        _use_work(name, *values)
        if name.startswith("replace") and len(values) > 1:  # why: each place found would grow by the new text
            text, old = str(values[0]), str(values[1])
            new = str(values[2]) if len(values) > 2 else ""
            places = text.count(old) if old else len(text) + 1
            _require(name, len(text) + places * len(new) <= MAX_CHARACTERS)
        if name == "join" and values and isinstance(values[0], list | tuple):
            between = len(str(values[1:2]))
            _require(name, sum(len(str(one)) + between for one in values[0]) <= MAX_CHARACTERS)
        result = function(*values, **options)
        _require_small(name, result)
        _use_work(name, result)
        return result

    return call


def _require_small(name: str, value: object) -> None:
    if isinstance(value, str):
        _require(name, len(value) <= MAX_CHARACTERS)
    elif isinstance(value, int | float):
        _require(name, -MAX_NUMBER <= value <= MAX_NUMBER)
    elif isinstance(value, list | tuple | range):
        _require(name, len(value) <= MAX_ITEMS)


def _use_work(name: str, *values: object) -> None:
    left = _work_left.get()
    if left is not None:
        left[0] -= 100 + sum(len(value) for value in values if isinstance(value, str | list | tuple | range))
        _require(name, left[0] >= 0)


def _require(name: str, is_small: bool) -> None:  # noqa: FBT001 - the condition is the argument
    if not is_small:
        raise ResourceLimitError(f"the filter {name!r} takes or makes too much", token=None)
