"""Every integer that an address may carry has bounds, and no value at or beyond them ends in a fault."""

from datetime import UTC, datetime

import httpx
import pytest

from patron.answers.customers.customer_filters import MAX_PERSONA_ID
from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user
from patron.schema.list_pages import MAX_COUNT, MAX_PAGE

INT64 = 2**63
EVERYTHING = Actor("Ada", rights_of_user(Role, Grant))
PAGES = {
    "/customers?persona={}": MAX_PERSONA_ID,
    "/customers?page={}": MAX_PAGE,
    "/ingestion?replayed=0-0-0-{}": MAX_COUNT,
}


def integer_schemas(schema) -> list[dict]:
    """Schemas of an integer within the schema of a parameter, which may be one of several kinds."""
    choices = schema.get("anyOf", [schema])
    return [choice for choice in choices if choice.get("type") == "integer"]


def integer_parameters(document) -> list[tuple[str, str, dict]]:
    """Address, name and schema of every integer parameter of the API."""
    return [
        (path, parameter["name"], schema)
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        for schema in integer_schemas(parameter["schema"])
        if "enum" not in schema and parameter["in"] == "query"
    ]


@pytest.fixture(scope="module")
def client(made_shop):
    with served(made_shop, EVERYTHING) as address, httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def parameters(client):
    return integer_parameters(client.get("/openapi.json").json())


def test_every_integer_parameter_of_the_api_has_bounds(parameters):
    assert {(path, name) for path, name, _ in parameters} >= {("/api/customers", "persona"), ("/api/customers", "page")}
    assert [(path, name) for path, name, schema in parameters if not {"minimum", "maximum"} <= schema.keys()] == []
    assert all(-INT64 <= schema["minimum"] <= schema["maximum"] < INT64 for _, _, schema in parameters)


def test_the_bounds_themselves_are_answered_and_what_lies_beyond_is_refused(client, parameters, made_shop):
    created = create_key(RequestContext.from_name(made_shop, now=datetime.now(UTC)), "bounds", "secret")
    secret = {"authorization": f"Bearer {created.key}"}
    everybody = {"rule": {"all": []}, "saved_by": "Lee"}
    assert client.put("/api/segments/everybody", json=everybody, headers=secret).status_code == 200
    somebody = client.get("/api/customers").json()["rows"][0]["customer_id"]
    for template, name, schema in parameters:
        if "{question_id}" in template or "{endpoint_id}" in template:  # why: there must be one first
            continue
        low, high = schema["minimum"], schema["maximum"]
        path = template.format(name="everybody", customer_id=somebody)
        headers = secret if path.startswith(("/api/scores", "/api/segments")) else {}
        for value in (low, low + 1, high - 1, high):
            assert client.get(path, params={name: value}, headers=headers).status_code == 200, (path, name, value)
        for value in (low - 1, high + 1, -INT64 - 1, -INT64, INT64 - 1, INT64, 10**400, "", "1.5", "x"):
            assert client.get(path, params={name: value}, headers=headers).status_code == 422, (path, name, value)


@pytest.mark.parametrize("address", PAGES)
def test_a_page_takes_its_default_for_an_integer_beyond_its_bounds(client, address):
    high = PAGES[address]
    for value in (-INT64, -1, 0, 1, high - 1, high, high + 1, INT64 - 1, INT64, "9" * 400, "", "1.5", "x", "٣"):
        assert client.get(address.format(value)).status_code == 200, value


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", None), ("1", 1), ("99", 99), ("100", 100), ("101", None), ("-1", None), ("٣", None), ("", None)],
)
def test_an_integer_is_read_only_within_its_bounds(text, number):
    assert bounded_integer(text, 1, 100) == number
