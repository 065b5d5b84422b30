"""What can be asked or ordered, declared once: its right, what restricted teams see, and its address for programs.

The function that does it is where it is declared: its name, first sentence and parameters with their bounds count for
every door. From it come the route of the API with its description, the row of the table of rights, idempotency, and the
action of the audit log.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Right
from patron.schema.access.audit_actions import AuditAction

Does = TypeVar("Does", bound=Callable[..., Any])


def _visible_rows(context: RequestContext) -> pa.Table | None:
    return context.visible.rows if context.visible is not None else None


GIVEN: Mapping[str, Callable[[RequestContext], object]] = {
    "context": lambda context: context,
    "shop": lambda context: context.shop,
    "cache": lambda context: context.cache,
    "actor": lambda context: context.actor,
    "now": lambda context: context.now,
    "clock": lambda context: context.time,
    "visible": lambda context: context.visible,
    "only": _visible_rows,
}
"""Parameters that a request gives; the others are asked for."""


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked or ordered."""

    does: Callable[..., Any]
    right: Right
    address: str
    """Method and path for programs, such as GET /api/segments; empty where the API has no door to it."""
    audit: AuditAction | None
    """What the audit log calls it; None for what only reads."""
    is_of_whole_shop: bool
    """Whether it counts all customers: who sees some of them only is refused."""
    name_field: str
    """Field in which whoever uses a key may give their name; empty where no name is kept."""
    needs_password: bool
    """Whether whoever signed in must have entered their password lately."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.does.__name__

    @property
    def sentence(self) -> str:
        """What it does, in one sentence: the first line of the function's text, without what it raises."""
        line = (inspect.getdoc(self.does) or "").partition("\n")[0]
        return line.partition(" Raises ")[0]

    @property
    def asked(self) -> tuple[inspect.Parameter, ...]:
        """Parameters that whoever asks names."""
        return tuple(one for one in inspect.signature(self.does).parameters.values() if one.name not in GIVEN)

    def carry_out(self, context: RequestContext, **asked: Any) -> Any:
        """Do it for a request. Raises what the function does."""
        parameters = inspect.signature(self.does).parameters
        given = {name: GIVEN[name](context) for name in parameters if name in GIVEN}
        return self.does(**given, **asked)


def operation(
    right: Right,
    address: str = "",
    *,
    audit: AuditAction | None = None,
    is_of_whole_shop: bool = False,
    name_field: str = "",
    needs_password: bool = False,
) -> Callable[[Does], Does]:
    """Declare that a function is an operation; it stays the function that it is."""

    def declare(does: Does) -> Does:
        declared = Operation(
            does,
            right,
            address=address,
            audit=audit,
            is_of_whole_shop=is_of_whole_shop,
            name_field=name_field,
            needs_password=needs_password,
        )
        does.__dict__["operation"] = declared
        return does

    return declare


def operation_of(does: Callable[..., Any]) -> Operation:
    """The declaration of a function. Raises KeyError for one that is not an operation."""
    return does.__dict__["operation"]
