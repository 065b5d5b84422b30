"""A page that carries out an operation needs the right that the operation names."""

from collections.abc import Callable, Iterator
from types import CodeType, FunctionType

from fastapi.routing import APIRoute

from patron.govern.access.operations import Operation
from patron.interfaces.console.mount import ROUTERS
from patron.schema.access.access_rights import Action

READING = {Action.READ, Action.EXPORT}


def names_used(code: CodeType) -> Iterator[str]:
    """Names that a function and those written within it look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_used(constant)


def operations_of(page: Callable, seen: frozenset[Callable] = frozenset()) -> set[Operation]:
    """Operations that a page names, itself or in functions of its module."""
    found: set[Operation] = set()
    if not isinstance(page, FunctionType) or page in seen:
        return found
    for name in names_used(page.__code__):
        value = page.__globals__.get(name)
        if isinstance(value, FunctionType) and "operation" in value.__dict__:
            found.add(value.__dict__["operation"])
        elif isinstance(value, FunctionType) and value.__module__ == page.__module__:
            found |= operations_of(value, seen | {page})
    return found


def test_a_page_that_changes_something_needs_the_right_of_the_operation_that_it_carries_out():
    pages = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    pairs = {
        (page.path, operation.name, str(page.endpoint.__dict__["right"]), str(operation.right))
        for page in pages
        for operation in operations_of(page.endpoint)
        if operation.right.action not in READING
    }
    assert len(pairs) > 15
    assert {pair for pair in pairs if pair[2] != pair[3]} == set()
