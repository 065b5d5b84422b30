"""Looking back: an address that names a past run is answered as of it, leads on to it, and changes nothing."""

import re

import pytest
from tests.support.shops.made_shop import BEFORE, LAST

from direct_client import DirectClient
from patron.interfaces.http.access.access_control import LOOKUPS
from patron.schema.access.access_rights import Action, Actor, Area, Right

RIGHTS = frozenset(Right(action, area) for action in Action for area in Area)
ANN = Actor("Ann (user a1)", RIGHTS, user_id="a1", email="ann@example.org")
BACK = "Back to today"


@pytest.fixture(scope="module")
def client(made_shop):
    return DirectClient(made_shop, ANN)


def test_a_page_says_of_which_run_it_is_and_leads_on_to_it(client):
    page = client.get(f"/overview?as_of={BEFORE.run_id}").text
    assert "You see the shop as known on 1 Jul 2017" in page
    links = re.findall(r'<a\b[^>]*href="(/[^"]*)"', page)
    ours = [one for one in links if not one.startswith("/account")]
    back = re.findall(r'<a data-present href="([^"]*)"', page)
    assert back
    assert set(back) == {"/overview"}
    assert all(f"as_of={BEFORE.run_id}" in one for one in ours if one not in back)
    assert f'href="/api/overview/period?as_of={BEFORE.run_id}"' in page or f"as_of={BEFORE.run_id}" in page


def test_pages_that_no_run_keeps_say_that_they_are_of_today(client):
    assert "This page is not kept by run" in client.get(f"/tasks?as_of={BEFORE.run_id}").text
    assert "This page is not kept by run" not in client.get(f"/decisions?as_of={BEFORE.run_id}").text


def test_the_chinese_page_says_it_too(client):
    page = client.get(f"/overview?lang=zh_CN&as_of={BEFORE.run_id}").text
    assert "您正在查看截至 2017年7月1日 的店铺数据" in page
    assert "返回今天" in page


def test_the_last_run_by_its_name_is_today(client):
    page = client.get(f"/overview?as_of={LAST.run_id}").text
    assert BACK not in page
    assert client.get(f"/api/overview?as_of={LAST.run_id}").content == client.get("/api/overview").content


def test_a_run_is_named_by_its_cutoff_too(client):
    by_name = client.get(f"/api/overview?as_of={BEFORE.run_id}")
    assert by_name.json()["run_id"] == BEFORE.run_id
    assert client.get("/api/overview?as_of=2017-07-01T02:00:00%2B02:00").content == by_name.content


@pytest.mark.parametrize("as_of", ["2016-01-01", "yesterday", "2017-07-01'", "../x"])
def test_a_run_that_there_is_not_is_refused_by_name(client, as_of):
    answer = client.get(f"/api/overview?as_of={as_of}")
    assert answer.status_code == 404
    assert BEFORE.run_id in answer.json()["todo"]
    assert client.get(f"/overview?as_of={as_of}").status_code == 404


def test_a_mistyped_parameter_is_still_refused(client):
    assert client.get(f"/api/overview?as_of={BEFORE.run_id}&peroid=month").status_code == 422


def test_whatever_would_change_something_is_refused(client):
    checked = 0
    for route in client.routes:
        right = getattr(route, "right", None)
        is_lookup = isinstance(right, Right) and right.action is Action.READ and route.path.endswith(LOOKUPS)
        if right is None or is_lookup or "GET" in route.methods:
            continue
        path = re.sub(r"\{[^}]*\}", "1", route.path)
        for method in route.methods:
            answer = client.request(method, f"{path}?as_of={BEFORE.run_id}", headers={"Content-Type": "text/plain"})
            assert answer.status_code == 409, (method, path, answer.text)
            checked += 1
    assert checked > 60


def test_no_page_of_the_past_has_a_form_that_changes_something(client):
    for path in (
        "/",
        "/customers",
        "/watch-list",
        "/segments",
        "/campaigns",
        "/runs",
        "/offers",
        "/data-quality",
        "/tasks",
    ):
        page = client.get(f"{path}?as_of={BEFORE.run_id}").text
        posts = re.findall(r'<form[^>]*method="post"[^>]*action="([^"?]*)', page)
        assert set(posts) <= {"/customers/lookup", "/sign-out"}, path


def test_without_the_parameter_forms_are_there(client):
    assert 'action="/runs/start"' in client.get("/runs").text


def test_later_runs_are_not_known_in_the_past(client):
    listed = client.get(f"/api/runs?as_of={BEFORE.run_id}").json()
    assert [row["run_id"] for row in listed["history"]["rows"]] == [BEFORE.run_id]
    assert client.get(f"/api/runs/{LAST.run_id}?as_of={BEFORE.run_id}").status_code == 404
    assert client.get(f"/api/decisions?run={LAST.run_id}&as_of={BEFORE.run_id}").status_code == 404


def test_sql_reads_the_past_too(client):
    ask = "/api/questions/ask?sql=select+max(run_id)+as+run+from+segments"
    assert client.get(ask).json()["rows"] == [[LAST.run_id]]
    assert client.get(f"{ask}&as_of={BEFORE.run_id}").json()["rows"] == [[BEFORE.run_id]]


def test_the_document_has_the_parameter(client):
    operations = client.get("/openapi.json").json()["paths"]
    parameters = [one["name"] for one in operations["/api/customers"]["get"]["parameters"]]
    assert parameters.count("as_of") == 1
    scores = [one["name"] for one in operations["/api/scores"]["get"]["parameters"]]
    assert scores.count("as_of") == 1
    assert "as_of" not in [one["name"] for one in operations["/api/keys"]["post"].get("parameters", [])]
