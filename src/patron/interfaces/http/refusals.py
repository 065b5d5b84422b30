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
from patron.schema.common_sentences import (
    DISK_FULL,
    ENDED_EARLY,
    FREE_AND_RUN_AGAIN,
    METHOD_NOT_SERVED,
    NOTHING_HERE,
)
from patron.schema.errors import BadRequest, NoSpace, NotFound, PatronError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import is_disk_full

REQUEST_UNREADABLE = Sentence("request_unreadable", "the request cannot be read")
REQUEST_FAILED = Sentence("request_failed", "the request failed")
SEE_SERVER_LOG = Sentence("see_server_log", "See the log of the server.")

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
SEE = Sentence("see_openapi", "See /openapi.json.")


PROBLEM_JSON = "application/problem+json"
"""Type of every refusal (RFC 9457)."""
TYPE = "urn:patron:refusal:"


class Refusal(BaseModel):
    """A refusal (RFC 9457), with where it was and what to do."""

    type: str
    """urn:patron:refusal: and the name of the kind of refusal."""
    title: str
    """What kind of refusal it is."""
    status: int
    """The status of the answer."""
    detail: str
    """What was wrong."""
    instance: str
    """Address that refused; empty where none was read."""
    error: str
    """Name of the kind of refusal, as in the reference of errors."""
    what: str
    """The same as the detail."""
    where: str
    """Field, parameter or part that was wrong."""
    todo: str
    """What to do."""
    code: str
    """Code of the sentence that says what was wrong; empty where it is not one of Patron's."""
    values: dict[str, Any]
    """What fills the places of that sentence."""
    todo_code: str
    """Code of the sentence that says what to do."""
    todo_values: dict[str, Any]
    """What fills the places of that sentence."""


def is_for_programs(path: str) -> bool:
    """Whether an address is answered in JSON, not by a page."""
    return f"{_plain(path)}/".startswith(API)


def is_collector_path(path: str) -> bool:
    """Whether an address belongs to the wire protocol, misspelt or not."""
    return path.startswith(COLLECTOR) or f"{_plain(path)}/".startswith(COLLECTOR)


def _plain(path: str) -> str:
    """An address without what programs get wrong: doubled slashes and capitals."""
    return SLASHES.sub("/", path).lower()


def refusal_content(error: PatronError, path: str = "", *, status: int | None = None) -> dict[str, Any]:
    """A refusal as JSON, of a path."""
    return {
        "type": f"{TYPE}{type(error).__name__}",
        "title": (type(error).__doc__ or "").partition("\n")[0].rstrip("."),
        "status": status or status_of(error),
        "detail": str(error.what),
        "instance": path,
        "error": type(error).__name__,
        **error.plain(),
    }


def refusal(error: PatronError, path: str) -> JSONResponse:
    """Answer of a refusal."""
    return JSONResponse(refusal_content(error, path), status_of(error), media_type=PROBLEM_JSON)


async def refuse_invalid(request: Request, error: Exception) -> Response:
    """Refuse a request whose parameters or body are not what the endpoint takes."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = dict.fromkeys(f"{_name(one['loc'])} {_words(one)}" for one in error.errors())
    path = request.url.path
    return refusal(BadRequest(422, "; ".join(problems), where=path, todo=SEE), path)


async def refuse_unfinished(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler
    """Give up a request that ended before its body did: nobody reads the answer, and nothing failed."""
    path = request.url.path
    return refusal(BadRequest(400, ENDED_EARLY, where=path), path)


async def refuse_fault(request: Request, error: Exception) -> Response:
    """Answer for a fault of ours, which the log has; the reader learns nothing of our inside."""
    path = request.url.path
    if is_disk_full(error):
        full = NoSpace(DISK_FULL, where=path, todo=FREE_AND_RUN_AGAIN)
        return refusal(full, path) if is_for_programs(path) else Response(str(full), status_of(full))
    if is_for_programs(path):
        return refusal(PatronError(REQUEST_FAILED, where=path, todo=SEE_SERVER_LOG), path)
    return Response("Internal Server Error", 500, media_type="text/plain")


def http_refusal(request: Request, error: Exception) -> PatronError:
    """Refusal that the framework made: an unknown address, a method that is not served, a body that is not read."""
    where, status = request.url.path, error.status_code if isinstance(error, HTTPException) else 404
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(NOTHING_HERE, where=where, todo=SEE)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return BadRequest(status, METHOD_NOT_SERVED(method=request.method), where=where, todo=SEE)
    return BadRequest(status, str(getattr(error, "detail", "")) or REQUEST_UNREADABLE, where=where, todo=SEE)


def _name(location: Sequence[Any]) -> str:
    inner = [str(part) for part in location[1:] if not isinstance(part, int)]
    return ".".join(inner) or "the body"


def _words(problem: Mapping[str, Any]) -> str:
    kind, context = str(problem["type"]), problem.get("ctx", {})
    if kind.startswith(("date", "time")) and kind not in WORDS:
        return DATE
    return WORDS.get(kind, "is not valid").format_map({name: str(value) for name, value in context.items()})
