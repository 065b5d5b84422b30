"""Pages of lists by cursor: every row once, also where rows come in between, and nothing for a forged one."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from itertools import count, product
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from tests.support.direct_client import DirectClient
from tests.support.shops.workspace_copies import copy_workspace

from patron.answers.customers.customer_list import CustomerQuery, match_customers
from patron.commands.customers.customer_work import TaskDraft, close_task, create_tasks
from patron.commands.data.manage_webhooks import add_webhook
from patron.commands.privacy.privacy_requests import open_request, reject_request
from patron.commands.segments.save_segment import save_segment
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import Consent, iso_time, write_consents
from patron.schema.access.access_rights import Action, Actor, Area, Right
from patron.schema.list_pages import Cursor
from patron.storage.data.webhooks import WebhookMessage, webhook_endpoints, write_messages
from patron.storage.shop import Shop
from patron.storage.store.store import IMPORTS

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
BY = {"by": "Ada", "now": NOW}
EVERYTHING = frozenset(Right(action, area) for action, area in product(Action, Area))
TEAM = "paging team"
FORGED = [
    json.dumps(value).encode()
    for value in (
        None, [], {}, [1], ["x"], ["x", None], ["x", True], ["\ud800", "y"], ["x", "\0"], ["x", 10**30, "y"],
        ["tasks open", 0, 10**40, 0, 0, "x"], ["audit", "1"], ["audit", 1.5], ["runs", 10**18], ["consents", -(10**19)],
        ["privacy requests open", 10**18, "x"], ["privacy requests open", 0, "\ud800"],
    )
] + [b'["x", NaN, 1, "y"]', b"\xff\xfe", b"{", b"[" * 200]  # fmt: skip


class Workplace:
    """A copy of the shop with some rows in every list, and ways to add one more to each."""

    def __init__(self, shop):
        self.shop, self.numbers = shop, count()
        self.customers = match_customers(shop, CustomerQuery(is_at_risk=True)).customer_ids(20)
        self.webhook = add_webhook(
            RequestContext.from_name(shop, **BY), "https://shop.example/hook", ["run.finished"]
        ).endpoint_id
        for _ in range(5):
            for add in (self.add_task, self.close_task, self.add_request, self.reject_request, self.add_message):
                add()
            self.add_consent()
            self.add_import()

    def add_task(self):
        number = next(self.numbers)
        due_at = (None, NOW + timedelta(days=number % 3), NOW - timedelta(days=number))[number % 3]
        (task_id,) = create_tasks(
            RequestContext.from_name(self.shop, **BY), self.customers[:1], TaskDraft("call", "x", due_at=due_at)
        )
        return task_id

    def close_task(self):
        close_task(
            RequestContext.from_name(self.shop, "Ada", now=NOW + timedelta(seconds=next(self.numbers))),
            self.add_task(),
            "reached",
        )

    def add_request(self):
        received_at = NOW - timedelta(days=next(self.numbers))
        return open_request(
            RequestContext.from_name(self.shop, **BY), "access", "nobody@shop.example", received_at=received_at
        )

    def reject_request(self):
        now = NOW + timedelta(seconds=next(self.numbers))
        reject_request(RequestContext.from_name(self.shop, "Ada", now=now), self.add_request(), "unfounded")

    def add_message(self):
        number = next(self.numbers)
        message = WebhookMessage(f"msg_{number % 4}{number}", "run.finished", NOW + timedelta(hours=number % 3), {})
        with self.shop.store.begin() as connection:
            write_messages(connection, [message], webhook_endpoints(self.shop.store), NOW)

    def add_consent(self):
        at = iso_time(NOW + timedelta(hours=next(self.numbers)))
        words = dict.fromkeys(("wording", "wording_version", "policy_version", "locale", "channel"))
        consent = Consent(at, "u_1", "marketing", True, "consent", **words, occurred_at=at, known_at=at)
        write_consents(self.shop.store, [consent])

    def add_import(self):
        number = next(self.numbers)
        row = {"import_id": f"i{number}", "mapping": "orders", "source": "test", "files": ["orders.csv"]}
        row |= dict.fromkeys(("read_count", "stored_count", "duplicate_count", "rejected_count"), 0)
        with self.shop.store.begin() as connection:
            connection.execute(sa.insert(IMPORTS).values(**row, started_at=NOW + timedelta(days=number % 3)))


@pytest.fixture(scope="module")
def place(made_shop, tmp_path_factory):
    shop = Shop.open(copy_workspace(made_shop.folder, tmp_path_factory.mktemp("cursors") / "w"))
    rule = {"field": "lifecycle_stage", "op": "==", "value": "at_risk"}
    save_segment(RequestContext.from_name(shop, "Ada", now=NOW), {"name": TEAM, "rule": rule})
    yield Workplace(shop)
    shop.close()


@pytest.fixture(scope="module")
def client(place):
    return DirectClient(place.shop, Actor("Ada", EVERYTHING, user_id="0a"))


def lists(place):
    """Address of every list with a cursor, where its rows are, and how one more comes in."""
    return {
        "customers": ("/api/customers?sort=last_order", "rows", None),
        "timeline": (f"/api/customers/{place.customers[0]}/timeline?kind=", "entries", None),
        "watched": ("/api/watch-list?show=watched", "rows", None),
        "decisions": ("/api/decisions?run=", "rows", None),
        "scores": ("/api/scores?as_of=", "rows", None),
        "members": (f"/api/segments/{quote(TEAM)}/members?", "rows", None),
        "tasks": ("/api/tasks?view=open", "tasks", place.add_task),
        "closed": ("/api/tasks?view=closed", "tasks", place.close_task),
        "audit": ("/api/audit?by=Ada", "entries", place.add_task),
        "requests": ("/api/privacy/requests?state=open", "requests", place.add_request),
        "rejected": ("/api/privacy/requests?state=closed", "requests", place.reject_request),
        "consents": ("/api/privacy/consents?customer=", "entries", place.add_consent),
        "deliveries": (f"/api/webhooks/{place.webhook}?", "deliveries", place.add_message),
        "forecasts": ("/api/models/forecasts?question=", "entries", None),
        "imports": ("/api/imports?", "imports", place.add_import),
        "runs": ("/api/runs?", "history", None),
    }


LISTS = (
    "customers", "timeline", "watched", "decisions", "scores", "members", "tasks", "closed", "audit", "requests",
    "rejected", "consents", "deliveries", "forecasts",
    "imports", "runs",
)  # fmt: skip


def page(client, address, rows, cursor="", limit=2):
    answer = client.get(f"{address}&limit={limit}&cursor={cursor}")
    assert answer.status_code == 200, answer.text
    content = answer.json()
    listed = content[rows]["rows"] if rows == "history" else content[rows]
    return [json.dumps(row, sort_keys=True) for row in listed], content["next_cursor"]


def remaining(client, address, rows, cursor, limit=2):
    """Rows after a cursor, and how many pages they took."""
    listed, number = [], 0
    while cursor is not None:
        shown, cursor = page(client, address, rows, cursor, limit)
        listed, number = listed + shown, number + 1
    return listed, number


@pytest.mark.parametrize("name", LISTS)
def test_a_cursor_leads_through_every_row_once_also_while_rows_come_in(place, client, name):
    address, rows, add = lists(place)[name]
    whole, _ = page(client, address, rows, limit=1_000)
    size = max(1, len(whole) // 3)
    first, cursor = page(client, address, rows, limit=size)
    assert first == whole[:size]
    if add:
        add()
    others, number = remaining(client, address, rows, cursor, size)
    assert number > 0
    assert len(first + others) == len({*first, *others})
    new = [row for row in first + others if row not in whole]
    assert [row for row in first + others if row not in new] == whole
    assert len(new) <= 2, "only what came in"


def test_every_cursor_that_was_not_answered_is_refused(client):
    paths = client.app.openapi()["paths"]
    lists = [
        path for path, operations in paths.items()
        if any(one["name"] == "cursor" for one in operations.get("get", {}).get("parameters", ()))
    ]  # fmt: skip
    assert len(lists) > 10
    for path, forged in product(lists, FORGED):
        address = path.format(customer_id="0" * 32, endpoint_id="none", name=TEAM)
        answer = client.get(f"{address}?cursor={urlsafe_b64encode(forged).decode()}")
        assert answer.headers["content-type"] == "application/problem+json", (path, forged)
        assert answer.status_code in {404, 409, 422}, (path, forged, answer.text)
        assert answer.json()["where"] == "cursor" or answer.status_code == 404, (path, forged)


def test_a_cursor_is_of_its_list_and_run(client):
    _, tasks = page(client, "/api/tasks?view=closed", "tasks")
    assert client.get(f"/api/tasks?view=open&cursor={tasks}").json()["where"] == "cursor"
    old = Cursor("1999-01-01", ("0" * 32,))
    for path in ("/api/customers", "/api/watch-list", "/api/scores"):
        assert client.get(f"{path}?cursor={old}").status_code == 409


def test_a_cursor_tells_nothing_of_who_is_outside_the_team(place, client):
    team = DirectClient(place.shop, Actor("Tim", EVERYTHING, user_id="0b", segment=TEAM))
    outside = match_customers(place.shop, CustomerQuery(lifecycle_stage="active")).customer_ids(1)[0]
    run_id = client.get("/api/customers").json()["run_id"]
    for path in ("/api/customers", "/api/watch-list"):
        refused, unknown = (team.get(f"{path}?cursor={Cursor(run_id, (one,))}") for one in (outside, "f" * 32))
        assert (refused.status_code, refused.json()) == (422, unknown.json())
        shown, _ = remaining(team, f"{path}?", "rows", str(Cursor(run_id, (place.customers[0],))), 1_000)
        assert shown
        assert outside not in "".join(shown)


def test_every_list_in_pages_has_a_cursor(client):
    document = client.app.openapi()
    for path, operations in document["paths"].items():
        operation = operations.get("get", {})
        names = {one["name"] for one in operation.get("parameters", ())}
        if path.startswith("/api/") and {"page", "cursor"} & names:
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            fields = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
            assert "next_cursor" in fields, path
            assert {"cursor", "limit"} <= names, path
