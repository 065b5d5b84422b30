"""A parameter that an address does not take is refused: a mistyped filter would filter nothing."""

from collections.abc import Iterable

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence
from patron.schema.spelling import did_you_mean

NOT_A_PARAMETER = Sentence("not_a_parameter", "is not a parameter here")


def require_known(parameters: Iterable[str], known: Iterable[str]) -> None:
    """Check the names of parameters. Raises BadQuery with the name that was probably meant, or those that are known."""
    names = sorted(known)
    for name in parameters:
        if name not in names:
            listed = f"Parameters are {', '.join(names)}." if names else "Leave it out."
            raise BadQuery(NOT_A_PARAMETER, where=name, todo=did_you_mean(name, names) or listed)


async def require_known_parameters(request: Request) -> None:
    """Check the parameters in the address of an API request. Raises BadQuery.

    It waits for nothing; as a coroutine it needs no thread, of which other requests may hold all.
    """
    route = request.scope.get("route")
    if isinstance(route, APIRoute):
        require_known(request.query_params, _names(route))


def _names(route: APIRoute) -> list[str]:
    """Names that a route takes; a model stands for those of its fields."""
    names: list[str] = []
    for field in route.dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += kind.model_fields
        else:
            names.append(field.alias)
    return names
