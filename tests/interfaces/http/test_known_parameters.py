"""A parameter or a value that there is not is refused by the API and the pages, with those that there are."""

import httpx
import pytest

from patron.interfaces.console.screenshots import served


@pytest.fixture(scope="module")
def client(made_shop):
    with served(made_shop) as address, httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


@pytest.mark.parametrize(
    ("query", "where", "todo"),
    [
        ("stage=foo", "stage", "Did you mean lifecycle_stage?"),
        ("lifecycle_stag=new", "lifecycle_stag", "Did you mean lifecycle_stage?"),
        ("colour=red", "colour", "Did you mean country?"),
        ("lifecycle_stage=foo", "lifecycle_stage", "It is one of new, active, at_risk, lapsed, reactivated."),
    ],
)
def test_the_api_refuses_what_it_does_not_know(client, query, where, todo):
    answer = client.get(f"/api/customers?{query}")
    assert answer.status_code == 422
    assert (answer.json()["error"], answer.json()["where"], answer.json()["todo"]) == ("BadQuery", where, todo)
    page = client.get(f"/customers?{query}")
    assert page.status_code == 422
    assert where in page.text


def test_an_address_without_parameters_takes_none(client):
    assert client.get("/api/overview").status_code == 200
    refused = client.get("/api/overview?run=yesterday")
    assert (refused.status_code, refused.json()["todo"]) == (422, "Leave it out.")
    assert client.get("/customers?lang=zh_CN&sort=paid").status_code == 200
