"""Routes of operations: the door of each to programs follows from its declaration.

Parameters of the path stay there; of others, a reading operation takes them from the address, and one that changes
something from a JSON body, in which whoever uses a key may also give their name.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from patron.govern.access.operations import Operation, operation_of
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    context_of,
    needs,
    of_whole_shop,
    require_confirmed,
)
from patron.interfaces.http.known_parameters import require_known_parameters

NAME = Annotated[str, Field(max_length=100, description="Name of whoever uses the key; kept with the key.")]
WITH_BODY = ("POST", "PUT", "PATCH")


def operation_routes(*operations: Callable[..., Any]) -> APIRouter:
    """Routes of operations, in their order; of two that match an address the first answers."""
    router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])
    for declared in map(operation_of, operations):
        method, _, path = declared.address.partition(" ")
        answer = inspect.signature(declared.does).return_annotation
        router.add_api_route(
            path,
            _endpoint(declared, method),
            methods=[method],
            response_model=answer,
            status_code=204 if answer is None else 200,
            dependencies=[Depends(require_confirmed)] if declared.needs_password else [],
        )
    return router


def _endpoint(declared: Operation, method: str) -> Callable[..., Any]:
    """A function that FastAPI can call, with the parameters that are asked for."""
    in_body = {one.name for one in _body_parameters(declared)} if method in WITH_BODY else set()
    whole = _whole_body(declared) if in_body else None
    body = whole or (_body(declared) if in_body or declared.name_field else None)

    def endpoint(request: Request, **asked: Any) -> Any:
        sent: BaseModel | None = asked.pop("body", None)
        values = {name: sent if whole else getattr(sent, name) for name in in_body}
        by = getattr(sent, declared.name_field) if declared.name_field else ""
        return declared.carry_out(context_of(request, by), **asked, **values)

    endpoint.__name__, endpoint.__doc__ = declared.name, declared.sentence
    endpoint.__dict__["__signature__"] = inspect.Signature([*_parameters(declared, in_body, body)])
    endpoint = needs(declared.right.action, declared.right.area)(endpoint)
    return of_whole_shop(endpoint) if declared.is_of_whole_shop else endpoint


def _parameters(declared: Operation, in_body: set[str], body: type[BaseModel] | None) -> Iterator[inspect.Parameter]:
    """The request, then what the address names, then the body."""
    kind = inspect.Parameter.KEYWORD_ONLY
    yield inspect.Parameter("request", kind, annotation=Request)
    for one in declared.asked:
        if f"{{{one.name}}}" in declared.address:
            yield one.replace(kind=kind)
        elif one.name not in in_body:
            # why: FastAPI would look for a list in a body
            query = Query(description=_description(one.annotation))
            yield one.replace(kind=kind, annotation=Annotated[one.annotation, query])
    if body is not None:
        yield inspect.Parameter("body", kind, annotation=body)


def _description(annotation: Any) -> str | None:
    return next((one.description for one in get_args(annotation) if isinstance(one, FieldInfo)), None)


def _body_parameters(declared: Operation) -> list[inspect.Parameter]:
    return [one for one in declared.asked if f"{{{one.name}}}" not in declared.address]


def _is_model(parameter: inspect.Parameter) -> bool:
    """Whether a parameter stands for several fields."""
    return isinstance(parameter.annotation, type) and issubclass(parameter.annotation, BaseModel)


def _whole_body(declared: Operation) -> type[BaseModel] | None:
    """The one parameter that is a body by itself."""
    parameters = _body_parameters(declared)
    return parameters[0].annotation if len(parameters) == 1 and _is_model(parameters[0]) else None


def _body(declared: Operation) -> type[BaseModel]:
    """The body of an operation: its parameters, and who asks."""
    empty = inspect.Parameter.empty
    fields: dict[str, Any] = {
        one.name: (one.annotation, ... if one.default is empty else one.default) for one in _body_parameters(declared)
    }
    if declared.name_field:
        fields[declared.name_field] = (NAME, "")
    name = "".join(word.title() for word in declared.name.split("_"))
    return create_model(f"{name}Body", __config__=ConfigDict(extra="forbid"), **fields)
