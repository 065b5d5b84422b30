"""Each operation that has an address is served there, as it is declared."""

import importlib
import pkgutil
from typing import Annotated

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

import patron.answers
import patron.commands
import patron.service
from patron.govern.access.operations import Operation, operation
from patron.interfaces import http
from patron.interfaces.http.application import create_app
from patron.interfaces.http.operation_routes import operation_routes
from patron.schema.access.access_rights import Action, Area, Right
from patron.storage.shop import Shop

READ, ACT = Right(Action.READ, Area.SEGMENTS), Right(Action.ACT, Area.SEGMENTS)
PACKAGES = (patron.answers, patron.commands, patron.service, http)


def declared() -> dict[str, Operation]:
    """Operations with an address, of every module that may declare one."""
    names = [
        found.name
        for package in PACKAGES
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not found.ispkg
    ]
    values = [value for name in names for value in vars(importlib.import_module(name)).values() if callable(value)]
    found = [value.__dict__["operation"] for value in values if "operation" in getattr(value, "__dict__", {})]
    return {one.address: one for one in found if one.address}


def test_every_operation_with_an_address_is_served_under_its_right(tmp_path, monkeypatch):
    monkeypatch.setenv("PATRON_MASTER_KEY", "ab" * 32)
    shop = Shop.create(tmp_path / "shop")
    paths = create_app(shop).openapi()["paths"]
    shop.close()
    served = {
        f"{method.upper()} {path}": (described["x-right"], described["description"])
        for path, methods in paths.items()
        for method, described in methods.items()
        if "description" in described
    }
    wanted = {address: (str(one.right), one.sentence) for address, one in declared().items()}
    assert len(wanted) > 60
    assert {address: served.get(address) for address in wanted} == wanted


UNAUDITED = {
    "PUT /api/segments/{name}",
    "POST /api/webhooks/{endpoint_id}/test",
    "POST /api/webhooks/{endpoint_id}/deliveries/{message_id}/resend",
}
"""Who changed a segment stands with its versions, and what was sent to a webhook in its own log."""


def test_every_operation_that_changes_something_says_what_the_audit_log_calls_it():
    changing = {
        address: one
        for address, one in declared().items()
        if not address.startswith("GET ") and one.right.action is not Action.READ
    }
    assert len(changing) > 20
    assert {address for address, one in changing.items() if one.audit is None} == UNAUDITED


class Choice(BaseModel):
    color: str = "red"


@operation(READ, "GET /api/things")
def list_things(shop: Shop, chosen: Choice, first: Annotated[int, Field(ge=1, alias="from")] = 1) -> list[str]:
    """Things."""
    return [shop.settings.shop.name, chosen.color, str(first)]


@operation(ACT, "POST /api/things", name_field="by")
def add_thing(name: Annotated[str, Field(max_length=9)]) -> dict[str, str]:
    """Add a thing."""
    return {"name": name}


@operation(ACT, "POST /api/things/{name}/paint", needs_password=True)
def paint_thing(name: str, choice: Choice) -> None:
    """Paint a thing."""


@pytest.fixture(scope="module")
def described():
    app = FastAPI()
    app.include_router(operation_routes(list_things, add_thing, paint_thing))
    return app.openapi()


def test_a_reading_operation_takes_its_parameters_from_the_address_and_a_model_stands_for_its_fields(described):
    names = [one["name"] for one in described["paths"]["/api/things"]["get"]["parameters"]]
    assert names == ["color", "from"]


def test_one_that_changes_something_takes_a_body_that_has_nothing_else(described):
    assert "parameters" not in described["paths"]["/api/things"]["post"]
    body = described["components"]["schemas"]["AddThingBody"]
    assert (set(body["properties"]), body["additionalProperties"]) == ({"name", "by"}, False)


def test_a_model_alone_is_the_body_and_who_answers_nothing_says_so(described):
    paint = described["paths"]["/api/things/{name}/paint"]["post"]
    assert paint["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Choice"}
    assert "204" in paint["responses"]


def test_an_operation_whose_password_is_needed_asks_for_it():
    router = operation_routes(add_thing, paint_thing)
    routes = {route.name: len(route.dependencies) for route in router.routes if isinstance(route, APIRoute)}
    assert routes["paint_thing"] == routes["add_thing"] + 1
