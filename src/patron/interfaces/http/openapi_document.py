"""The OpenAPI document: API and collector, the keys that each path takes, and the one shape of every refusal."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from patron.interfaces.http.collector_protocol import BODY_KIND_BY_PATH, KEY_IN_ADDRESS, KINDS, SETTINGS_PATH
from patron.interfaces.http.refusals import Refusal
from patron.service.collector import BATCH, HISTORY, SENSORS

DESCRIPTION = (
    "Make a key with `patron keys create --kind write|secret|read`. Send it as `Authorization: Bearer KEY`, or as "
    "`Authorization: Basic` with the key as user name and no password. Every refusal has one shape."
)
KEYS: dict[str, dict[str, str]] = {
    "WriteKey": {"type": "http", "scheme": "basic", "description": "A write key as user name: it can send events."},
    "SecretKey": {"type": "http", "scheme": "bearer", "description": "A secret key, which stays on the shop's server."},
    "ReadKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A read key. Without a key this machine alone is answered.",
    },
    "Session": {"type": "apiKey", "in": "cookie", "name": "patron_session", "description": "A person who signed in."},
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
KEYS_OF_TAG: dict[str, list[dict[str, list[str]]]] = {
    "last run": [{}, {"ReadKey": []}],
    "one person": [{"SecretKey": []}],
    "scores": [{"SecretKey": []}],
    "segments": [{"SecretKey": []}],
    "campaigns": [{}, {"ReadKey": []}],
    "steps of campaigns": [{"SecretKey": []}],
    "journeys": [{}, {"ReadKey": []}],
    "steps of journeys": [{"SecretKey": []}],
    "messages": [{"SecretKey": []}],
    "recommendations": [{}, {"ReadKey": []}],
    "recommendations of shoppers": [{"WriteKey": []}, {"SecretKey": []}],
    "recommendations of many": [{"SecretKey": []}],
    "privacy": [{"Session": []}],
    "audit": [{"Session": []}],
    "policy": [{"Session": []}, {"ReadKey": []}],
    "collector": [{"WriteKey": []}, {"SecretKey": []}],
}
"""Keys of the endpoints of each tag, one of which is needed; {} is none."""
ADDRESS_KEYS = {"/beacon/v1/batch": "WriteKeyInAddress", "/sa": "TokenInAddress"}
SUMMARIES = {
    BATCH: "Accept a batch of messages",
    HISTORY: "Accept history: times stay as they were sent",
    SENSORS: "Accept events of Sensors Data's clients",
}
REFUSALS = {
    "400": "The body cannot be read.",
    "401": "The key is missing, unknown or revoked.",
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
    "operationId": "collect_settings",
    "security": [{}],
    "parameters": [{"name": "write_key", "in": "path", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "200": {"description": "Where to send.", "content": {"application/json": {"schema": {"type": "object"}}}},
        "404": {"description": "This is not a write key."},
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
        components["securitySchemes"] = KEYS
        for path in document["paths"].values():
            for operation in path.values():
                _describe_refusals(operation)
        document["paths"] |= {path: {"post": _collector_operation(path)} for path in BODY_KIND_BY_PATH}
        document["paths"]["{write_key}".join(SETTINGS_PATH)] = {"get": BROWSER_SETTINGS}
        app.openapi_schema = document
    return app.openapi_schema


def _describe_refusals(operation: dict[str, Any]) -> None:
    """Say which keys an endpoint of the API takes, and how it refuses."""
    operation["security"] = KEYS_OF_TAG[operation["tags"][0]]
    answers = operation["responses"]
    answers |= {
        "401": _refusal_schema("The key is missing, unknown or revoked."),
        "403": _refusal_schema("The key is of another kind."),
    }
    if "422" in answers:
        answers["422"] = _refusal_schema("A parameter or the body is not what is taken here.")
    answers["default"] = _refusal_schema("Any other refusal.")


def _collector_operation(path: str) -> dict[str, Any]:
    kind = BODY_KIND_BY_PATH[path]
    in_address = [{ADDRESS_KEYS[path]: []}] if path in ADDRESS_KEYS else []
    body = "Messages" if kind in {BATCH, HISTORY} else "Message"
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
    if kind == SENSORS:
        content = {"application/x-www-form-urlencoded": {"schema": {"type": "object", "additionalProperties": True}}}
    return {
        "tags": ["collector"],
        "summary": SUMMARIES.get(kind, f"Accept one message of type {kind}"),
        "operationId": f"collect{path.replace('/', '_')}",
        "security": [*KEYS_OF_TAG["collector"], *in_address],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {
                "description": "Every message is on disk, and counted as stored, duplicate or rejected.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}},
            },
            **{status: _refusal_schema(what) for status, what in REFUSALS.items()},
        },
    }


def _refusal_schema(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Refusal"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
