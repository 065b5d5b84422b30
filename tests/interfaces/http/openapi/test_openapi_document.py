"""The OpenAPI document: valid, whole, and with names that clients are generated from."""

import keyword

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from patron.interfaces.http.application import create_app
from patron.interfaces.http.openapi.operation_names import NAMES, operation_name
from patron.interfaces.http.server.collector_protocol import BODY_KIND_BY_PATH
from patron.schema.data.webhook_events import EVENT_NAMES, TEST_EVENT


@pytest.fixture(scope="module")
def document(made_shop):
    return create_app(made_shop).openapi()


@pytest.fixture(scope="module")
def operations(document):
    return {f"{method.upper()} {path}": one for path, of in document["paths"].items() for method, one in of.items()}


def test_the_document_is_valid(document):
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_operation_has_a_name_of_its_own_that_a_method_can_have(operations):
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    assert [name for name in names if not name.isidentifier() or keyword.iskeyword(name) or name.count("_") > 5] == []
    assert NAMES.keys() <= operations.keys(), "a name of an operation that is gone"


def test_every_operation_says_what_it_is_and_how_it_refuses(operations):
    for name, one in operations.items():
        assert one["tags"], name
        assert one["summary"], name
        if one["x-right"]:
            assert {"401"} <= one["responses"].keys(), name


def test_no_schema_is_called_after_a_module(document):
    assert [name for name in document["components"]["schemas"] if "__" in name] == [], "two classes have one name"


def test_the_collector_is_in_it_with_an_example_of_every_kind(operations):
    assert {f"POST {path}" for path in BODY_KIND_BY_PATH} <= operations.keys()
    for path in BODY_KIND_BY_PATH:
        (content,) = operations[f"POST {path}"]["requestBody"]["content"].values()
        assert "example" in content, path


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (("GET", "/api/customers/{customer_id}"), "get_customer"),
        (("GET", "/api/privacy/requests/{request_id}/certificate"), "get_privacy_request_certificate"),
        (("POST", "/api/keys"), "create_key"),
        (("POST", "/api/keys/{key_id}/rotate"), "rotate_key"),
        (("PUT", "/api/segments/{name}"), "save_segment"),
    ],
)
def test_names_follow_from_method_and_path(operation, name):
    assert operation_name(*operation, is_list=False) == name


def test_webhooks_are_in_it_with_examples_that_their_schemas_allow(document):
    assert {*EVENT_NAMES, TEST_EVENT} == document["webhooks"].keys()
    for name, operations in document["webhooks"].items():
        content = operations["post"]["requestBody"]["content"]["application/json"]
        jsonschema.validate(content["example"], content["schema"])
        assert content["example"]["type"] == name
