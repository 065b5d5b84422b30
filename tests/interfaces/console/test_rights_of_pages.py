"""A page that carries out an operation needs the right that the operation names.

Looked at are operations that a page or a function of its module calls, and those whose address for programs is that of
the form. A page that reaches one by another way, as an approval does, is not seen here.
"""

from collections.abc import Callable, Iterator
from types import CodeType, FunctionType

from fastapi.routing import APIRoute
from tests.interfaces.http.test_operation_routes import declared

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
    called = [
        (page, operation)
        for page in pages
        for operation in operations_of(page.endpoint)
        if operation.right.action not in READING
    ]
    addressed = declared()
    of_the_same_address = [
        (page, addressed[address])
        for page in pages
        if "POST" in (page.methods or ()) and (address := f"POST /api{page.path}") in addressed
    ]
    assert (len(called) > 15, len(of_the_same_address) > 5) == (True, True)
    pairs = {
        (page.path, one.name, str(page.endpoint.__dict__["right"]), str(one.right))
        for page, one in (*called, *of_the_same_address)
    }
    assert {pair for pair in pairs if pair[2] != pair[3]} == set()
