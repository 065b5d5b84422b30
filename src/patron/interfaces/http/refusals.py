"""How every refusal reads as JSON: one shape for the API and the collector, whoever refuses."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from patron.interfaces.http.error_status import status_of
from patron.schema.errors import BadRequest, NotFound, PatronError

API = ("/api/", "/health", "/version", "/metrics", "/openapi.json")
"""How the addresses of programs begin; others are pages."""
COLLECTOR = ("/v1/", "/beacon/", "/sa/")
"""How the addresses of the collector begin."""
SLASHES = re.compile("//+")
WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": "is not JSON",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "is shorter than {min_length} characters",
    "string_type": "is not a text",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_type": "is not a whole number",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "list_type": "is not a list",
    "too_long": "has more than {max_length} entries",
    "greater_than_equal": "is below {ge}",
    "less_than_equal": "is above {le}",
    "literal_error": "is not one of {expected}",
    "enum": "is not one of {expected}",
    "bool_parsing": "is not true or false",
    "timezone_aware": "has no time zone",
    "model_attributes_type": "is not a JSON object",
    "dict_type": "is not a JSON object",
    "value_error": "{error}",
}
"""What is wrong, by pydantic's kind of error; any kind of date is told below."""
DATE = "is not a time with its zone, such as 2024-06-30T00:00:00Z"
SEE = "See /openapi.json."


class Refusal(BaseModel):
    """What was wrong, where, and what to do."""

    error: str
    """Name of the kind of refusal, as in the reference of errors."""
    what: str
    where: str = ""
    todo: str = ""


def is_for_programs(path: str) -> bool:
    """Whether an address is answered in JSON, not by a page."""
    return f"{_plain(path)}/".startswith(API)


def is_collector_path(path: str) -> bool:
    """Whether an address belongs to the wire protocol, misspelt or not."""
    return path.startswith(COLLECTOR) or f"{_plain(path)}/".startswith(COLLECTOR)


def _plain(path: str) -> str:
    """An address without what programs get wrong: doubled slashes and capitals."""
    return SLASHES.sub("/", path).lower()


def refusal_content(error: PatronError) -> dict[str, str]:
    """A refusal as JSON."""
    return {"error": type(error).__name__, "what": error.what, "where": error.where, "todo": error.todo}


def refusal(error: PatronError) -> JSONResponse:
    """Answer of a refusal."""
    return JSONResponse(refusal_content(error), status_of(error))


async def refuse_invalid(request: Request, error: Exception) -> Response:
    """Refuse a request whose parameters or body are not what the endpoint takes."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = dict.fromkeys(f"{_name(one['loc'])} {_words(one)}" for one in error.errors())
    return refusal(BadRequest(422, "; ".join(problems), where=request.url.path, todo=SEE))


async def refuse_unfinished(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler
    """Give up a request that ended before its body did: nobody reads the answer, and nothing failed."""
    return refusal(BadRequest(400, "the request ended early", where=request.url.path))


async def refuse_fault(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler
    """Answer for a fault of ours, which the log has; the reader learns nothing of our inside."""
    if is_for_programs(request.url.path):
        return refusal(PatronError("the request failed", where=request.url.path, todo="See the log of the server."))
    return Response("Internal Server Error", 500, media_type="text/plain")


def http_refusal(request: Request, error: Exception) -> PatronError:
    """Refusal that the framework made: an unknown address, a method that is not served, a body that is not read."""
    where, status = request.url.path, error.status_code if isinstance(error, HTTPException) else 404
    if status == HTTPStatus.NOT_FOUND:
        return NotFound("nothing is here", where=where, todo=SEE)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return BadRequest(status, f"{request.method} is not served here", where=where, todo=SEE)
    return BadRequest(status, str(getattr(error, "detail", "")) or "the request cannot be read", where=where, todo=SEE)


def _name(location: Sequence[Any]) -> str:
    inner = [str(part) for part in location[1:] if not isinstance(part, int)]
    return ".".join(inner) or "the body"


def _words(problem: Mapping[str, Any]) -> str:
    kind, context = str(problem["type"]), problem.get("ctx", {})
    if kind.startswith(("date", "time")) and kind not in WORDS:
        return DATE
    return WORDS.get(kind, "is not valid").format_map({name: str(value) for name, value in context.items()})
