"""The OpenAPI document: API and collector, the right that each path needs and who has it, one shape of refusals."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from patron.interfaces.console.as_of_addresses import PARAMETER
from patron.interfaces.http.access.access_control import CSRF_HEADER, READING, SESSION_COOKIE, SIGNED_IN
from patron.interfaces.http.access.idempotency_keys import takes_key
from patron.interfaces.http.openapi.openapi_examples import ANSWERS, BODIES, COLLECTOR_BODIES
from patron.interfaces.http.openapi.openapi_webhooks import webhook_operations
from patron.interfaces.http.openapi.operation_names import NAMES, READS_A_PAGE, operation_name, operation_tag
from patron.interfaces.http.refusals import PROBLEM_JSON, Refusal
from patron.interfaces.http.server.collector_protocol import BODY_KIND_BY_PATH, KEY_IN_ADDRESS, KINDS, SETTINGS_PATH
from patron.schema.access.access_rights import KEY_RIGHTS, Action, Area, Grant, Right, Role, rights_of_user
from patron.service.collector import BATCH, HISTORY, SENSORS

DESCRIPTION = (
    "Make a key with `patron keys create --source NAME --kind write|secret|read`, or in Settings. Send it as "
    "`Authorization: Bearer KEY`, or as `Authorization: Basic` with the key as user name and no password. `x-right` is "
    "the right that an operation needs: a key has those of its kind, or the scopes among them that it was made with. "
    "Every refusal has one shape (RFC 9457). Without a key or a session the answer is 401, whatever the address."
)
SECRET = "SecretKey"  # noqa: S105 - the name of a scheme
READ = "ReadKey"
WRITE = "WriteKey"
SESSION = "Session"
SCHEMES: dict[str, dict[str, str]] = {
    SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": (
            f"The session of a person who signed in; over HTTPS the cookie is __Host-{SESSION_COOKIE}. What changes "
            f"something needs the token of the session's pages in {CSRF_HEADER}."
        ),
    },
    WRITE: {
        "type": "http",
        "scheme": "basic",
        "description": "A write key as user name: public, it can send events and get lists for visitors.",
    },
    SECRET: {"type": "http", "scheme": "bearer", "description": "A secret key, which stays on the shop's server."},
    READ: {"type": "http", "scheme": "bearer", "description": "A read key: results without personal data."},
    "WriteKeyInAddress": {
        "type": "apiKey",
        "in": "query",
        "name": KEY_IN_ADDRESS["/beacon/v1/batch"],
        "description": "A write key, of clients that can set no header.",
    },
    "TokenInAddress": {
        "type": "apiKey",
        "in": "query",
        "name": KEY_IN_ADDRESS["/sa"],
        "description": "A write or secret key, of Sensors Data's clients.",
    },
}
SCHEME_OF_KIND = {"read": READ, "secret": SECRET, "write": WRITE}
IDEMPOTENCY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A random id; the same request with the same id is answered as the first was, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
AS_OF_PARAMETER = {
    "name": PARAMETER,
    "in": "query",
    "required": False,
    "description": (
        "Name of a completed run, such as 2026-07-03, or its cutoff with a time zone: the answer is what was known "
        "then. What no run keeps (tasks, notes, campaigns, settings, live lists) is as of today. Whatever changes "
        "something is refused with 409."
    ),
    "schema": {"type": "string", "maxLength": 40},
}
RIGHTS_OF_PEOPLE = rights_of_user(Role, Grant)
"""Rights that some person can have."""
SEND = Right(Action.ACT, Area.STOREFRONT)
ADDRESS_KEYS = {"/beacon/v1/batch": "WriteKeyInAddress", "/sa": "TokenInAddress"}
SUMMARIES = {
    BATCH: "Accept a batch of messages",
    HISTORY: "Accept history: times stay as they were sent",
    SENSORS: "Accept events of Sensors Data's clients",
}
REFUSALS = {
    "400": "The body cannot be read.",
    "401": "The key is missing, unknown, revoked or expired, or may not send events.",
    "408": "The request did not arrive in time; try again.",
    "413": "The body is larger than 4 MB, or has more than 20,000 messages.",
    "415": "The Content-Encoding is not read here.",
    "429": "The key sends more requests than it may; try again later.",
    "503": "Events cannot be accepted now; keep them and try again.",
}
"""Refusals of the collector."""
MESSAGE = {
    "type": "object",
    "description": "A message as Segment's clients send it; further fields are stored as they are.",
    "properties": {
        "type": {"type": "string", "enum": [*KINDS], "description": "In a batch; elsewhere the path says it."},
        "messageId": {"type": "string", "description": "What a retry repeats; derived where it is missing."},
        "userId": {"type": "string"},
        "anonymousId": {"type": "string"},
        "event": {"type": "string", "description": "Name of a tracked event, such as Order Completed."},
        "timestamp": {"type": "string", "format": "date-time"},
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "context": {"type": "object"},
    },
    "additionalProperties": True,
}
MESSAGES = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "items": {"$ref": "#/components/schemas/Message"}, "maxItems": 20_000},
        "sentAt": {"type": "string", "format": "date-time", "description": "Corrects the clock of the sender."},
        "writeKey": {"type": "string", "description": "The key, of clients that can set no header."},
    },
    "additionalProperties": True,
}
ACCEPTED = {
    "type": "object",
    "required": ["success", "stored", "duplicate", "rejected", "errors"],
    "properties": {
        "success": {"type": "boolean"},
        "messageId": {"type": "string", "description": "Of a single message."},
        "stored": {"type": "integer", "minimum": 0},
        "duplicate": {"type": "integer", "minimum": 0},
        "rejected": {"type": "integer", "minimum": 0},
        "errors": {
            "type": "array",
            "description": "The first messages that were rejected.",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer"},
                    "messageId": {"type": ["string", "null"]},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
BROWSER_SETTINGS = {
    "tags": ["collector"],
    "summary": "Settings that Segment's browser client asks for before it starts",
    "operationId": "get_browser_settings",
    "security": [{}],
    "x-right": "",
    "parameters": [{"name": "write_key", "in": "path", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "200": {"description": "Where to send.", "content": {"application/json": {"schema": {"type": "object"}}}},
        "404": {
            "description": "This is not a write key.",
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        },
    },
}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The document of an application, kept once it is made."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas |= {"Refusal": Refusal.model_json_schema(), "Message": MESSAGE, "Messages": MESSAGES}
        schemas |= {"Accepted": ACCEPTED}
        components["securitySchemes"] = SCHEMES
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _describe(operation, f"{method.upper()} {path}")
        document["paths"] |= {path: {"post": _collector_operation(path)} for path in BODY_KIND_BY_PATH}
        document["paths"]["{write_key}".join(SETTINGS_PATH)] = {"get": BROWSER_SETTINGS}
        document["webhooks"] = webhook_operations()
        app.openapi_schema = document
    return app.openapi_schema


def security_of(right: str) -> list[dict[str, list[str]]]:
    """Credentials of which one is needed for a right, as x-right names it; an empty one is none at all."""
    if not right:
        return [{}]
    is_for_people = right == SIGNED_IN or Right.parse(right) in RIGHTS_OF_PEOPLE
    kinds = [kind for kind, rights in KEY_RIGHTS.items() if right == SIGNED_IN or Right.parse(right) in rights]
    return [{name: []} for name in ([SESSION] if is_for_people else []) + [SCHEME_OF_KIND[kind] for kind in kinds]]


def _describe(operation: dict[str, Any], name: str) -> None:
    """Say who can have the right that an endpoint needs, how it refuses, and what it looks like."""
    right, answers = operation["x-right"], operation["responses"]
    method, _, path = name.partition(" ")
    operation["tags"] = [operation_tag(path)]
    operation["operationId"] = operation_name(method, path, is_list=_is_list(operation))
    operation["security"] = security_of(right)
    if right:
        answers["401"] = _refusal_schema("No session and no key, or a key that is unknown, revoked or expired.")
        answers["403"] = _refusal_schema(f"Whoever asks has not the right {right}.")
    if "422" in answers:
        answers["422"] = _refusal_schema("A parameter or the body is not what is taken here.")
    answers["default"] = _refusal_schema("Any other refusal.")
    if takes_key(None if right in {"", SIGNED_IN} else Right.parse(right), method):
        operation.setdefault("parameters", []).append(IDEMPOTENCY_PARAMETER)
        answers["409"] = _refusal_schema("The first request with this Idempotency-Key is being answered.")
    is_read = right not in {"", SIGNED_IN} and Right.parse(right).action in READING
    parameters = operation.setdefault("parameters", [])
    if is_read and all(parameter["name"] != PARAMETER for parameter in parameters):
        parameters.append(AS_OF_PARAMETER)
    _add_example(operation, name)


def _is_list(operation: dict[str, Any]) -> bool:
    """Whether an operation answers with a list, or a page of one."""
    schema = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
    return schema.get("type") == "array" or bool(parameters & READS_A_PAGE)


def _add_example(operation: dict[str, Any], name: str) -> None:
    """Show a request and its answer, of the operations that have them."""
    if name in BODIES:
        operation["requestBody"]["content"]["application/json"]["example"] = BODIES[name]
    if name in ANSWERS:
        operation["responses"]["200"]["content"]["application/json"]["example"] = ANSWERS[name]


def _collector_operation(path: str) -> dict[str, Any]:
    kind = BODY_KIND_BY_PATH[path]
    in_address = [{ADDRESS_KEYS[path]: []}] if path in ADDRESS_KEYS else []
    body = "Messages" if kind in {BATCH, HISTORY} else "Message"
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
    if kind == SENSORS:
        content = {"application/x-www-form-urlencoded": {"schema": {"type": "object", "additionalProperties": True}}}
    content = {media: {**shape, "example": COLLECTOR_BODIES[kind]} for media, shape in content.items()}
    operation = {
        "tags": ["collector"],
        "summary": SUMMARIES.get(kind, f"Accept one message of type {kind}"),
        "operationId": NAMES.get(f"POST {path}", f"collect{path.replace('/', '_')}"),
        "security": [*security_of(str(SEND)), *in_address],
        "x-right": str(SEND),
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {
                "description": "Every message is on disk, and counted as stored, duplicate or rejected.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}},
            },
            **{status: _refusal_schema(what) for status, what in REFUSALS.items()},
        },
    }
    _add_example(operation, f"POST {path}")
    return operation


def _refusal_schema(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Refusal"}
    return {"description": description, "content": {PROBLEM_JSON: {"schema": schema}}}
