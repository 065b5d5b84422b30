"""The matrix: everybody who can ask x every endpoint, from the OpenAPI document, the pages and the table of rights.

Whatever is not granted is 401, 403 or a way to the sign-in, reveals nothing, and reads the same whether or not there is
such a thing; whatever is granted is not refused.
"""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from patron.commands.access.manage_keys import create_key, revoke_key
from patron.govern.access import users
from patron.govern.access.request_context import RequestContext
from patron.govern.access.user_sessions import Browser, create_session, csrf_token, end_sessions
from patron.govern.access.users import Access
from patron.interfaces.console.mount import ROUTERS
from patron.interfaces.http.access.access_control import OPEN, SESSION_COOKIE, SIGNED_IN, GuardedRoute
from patron.interfaces.http.application import create_app
from patron.interfaces.http.openapi.openapi_document import security_of
from patron.interfaces.http.refusals import is_collector_path
from patron.schema.access.access_rights import KEY_RIGHTS, VISITOR, Grant, Right, Role, rights_of_user
from patron.storage.shop import Shop

NOW = datetime.now(UTC)
REFUSAL = {"type", "title", "status", "detail", "instance", "error", "what", "where", "todo"}
REFUSAL |= {"code", "values", "todo_code", "todo_values"}
OF_ONESELF = re.compile(r"/(api/)?(account|sign-out).*")
"""What people do with their own session and account: not of keys."""
NARROW = "read:segments"
NOBODY = "0" * 12


@dataclass(frozen=True)
class Operation:
    """A method of a path, and the right that it needs: None is none, `SIGNED_IN` anybody who is known."""

    method: str
    path: str
    right: Right | str | None

    @property
    def is_page(self) -> bool:
        return not self.path.startswith(("/api/", "/version", "/health", "/metrics"))

    def at(self, name: str) -> str:
        """Its address, for an object of this name."""
        return re.sub(r"\{\w+\}", name, self.path)


@dataclass(frozen=True)
class Asker:
    """Somebody who asks: what they send, and what they may do; None for nobody known."""

    rights: frozenset[Right] | None
    headers: dict[str, str] = field(default_factory=dict)
    is_person: bool = False

    def may(self, operation: Operation) -> bool:
        if operation.right is None:
            return True
        if self.rights is None:
            return False
        return operation.right == SIGNED_IN or operation.right in self.rights


def operations(app) -> list[Operation]:
    """Every operation of the document and every page."""
    described = []
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            text = operation["x-right"]
            assert operation["security"] == security_of(text) or is_collector_path(path)
            right = text if text == SIGNED_IN else Right.parse(text) if text else None
            described += [] if is_collector_path(path) else [Operation(method.upper(), path, right)]
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, GuardedRoute)]
    pages = [Operation(method, route.path, route.right) for route in routes for method in route.methods]
    return described + pages


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A shop without customers, whose pages are quick, with a user of each role and keys of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", "ab" * 32)
        shop = Shop.create(tmp_path_factory.mktemp("access") / "shop")
        app = create_app(shop)
        yield World(shop, app, operations(app), askers(shop))
        shop.close()


@dataclass(frozen=True)
class World:
    shop: Shop
    app: FastAPI
    operations: list[Operation]
    people: dict[str, Asker]


def askers(shop) -> dict[str, Asker]:
    """Everybody who can ask, by what they are."""
    everybody = {"nobody": Asker(None), "a wrong key": Asker(None, bearer("pk_secret_wrong"))}
    for kind, rights in KEY_RIGHTS.items():
        everybody[f"a {kind} key"] = Asker(
            rights, bearer(create_key(RequestContext.from_name(shop, now=NOW), "matrix", kind).key)
        )
    narrowed = create_key(RequestContext.from_name(shop, now=NOW), "matrix", "secret", scopes=[NARROW])
    everybody["a narrowed key"] = Asker(frozenset({Right.parse(NARROW)}), bearer(narrowed.key))
    expired = create_key(RequestContext.from_name(shop, now=NOW - timedelta(days=1)), "matrix", "secret", days=1)
    everybody["an expired key"] = Asker(None, bearer(expired.key))
    revoked = create_key(RequestContext.from_name(shop, now=NOW), "matrix", "secret")
    revoke_key(RequestContext.from_name(shop, now=NOW), revoked.key_id)
    everybody["a revoked key"] = Asker(None, bearer(revoked.key))
    for role in reversed(tuple(Role)):  # why: the first user administers
        everybody[role] = person(shop, role.value, [role], [])
    everybody["a service agent with grants"] = person(shop, "agent2", [Role.SERVICE_AGENT], list(Grant))
    everybody["somebody with every role"] = person(shop, "every", list(Role), list(Grant))
    everybody["somebody who was disabled"] = Asker(None, person(shop, "disabled", [Role.ADMIN], [], "disabled").headers)
    everybody["somebody who signed out"] = Asker(None, person(shop, "out", [Role.ADMIN], [], "out").headers)
    everybody["an old session"] = Asker(
        None, person(shop, "old", [Role.ADMIN], [], at=NOW - timedelta(days=30)).headers
    )
    return everybody


def bearer(key):
    return {"authorization": f"Bearer {key}"}


def person(shop, name, roles, grants, state="active", *, at=None):
    """Somebody whose session begins at this time, else now: `NOW` is long past where the tests before took long."""
    at = at or datetime.now(UTC)
    with shop.store.begin() as connection:
        access = Access(tuple(roles), tuple(grants))
        user_id = users.add_user(connection, f"{name}@example.com", name, access, by="test", at=at)
        users.change_user(connection, user_id, state="disabled" if state == "disabled" else "active")
        secret = create_session(connection, user_id, Browser("", ""), has_second_factor=False, at=at)
        if state == "out":
            end_sessions(connection, user_id, at=at)
    headers = {"cookie": f"{SESSION_COOKIE}={secret}", "x-csrf-token": csrf_token(secret)}
    return Asker(rights_of_user(roles, grants), headers, is_person=True)


async def answer_of(client, operation, name, headers):
    body = {} if operation.method == "GET" else {"data": {"x": "y"}} if operation.is_page else {"json": {}}
    return await client.request(operation.method, operation.at(name), headers=headers, **body)


def is_refused(answer) -> bool:
    leads_away = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
    return answer.status_code in {401, 403} or leads_away


def text_without(answer, name) -> str:
    return re.sub(rf"{name}|csrf\" value=\"\w*", "", answer.text + answer.headers.get("location", ""))


async def problems_of(app, operations, asker, existing) -> list[str]:
    """What is wrong with the answers that somebody gets."""
    problems = []
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for operation in operations:
            if operation.right is None or (OF_ONESELF.fullmatch(operation.path) and asker.rights is not None):
                continue
            answer = await answer_of(client, operation, NOBODY, asker.headers)
            who = f"{operation.method} {operation.path}: {answer.status_code}"
            if asker.may(operation) and is_refused(answer):
                problems.append(f"{who}, though it is granted: {answer.text[:200]}")
            elif not asker.may(operation):
                problems += [f"{who}: {problem}" for problem in leaks(operation, answer)]
                if "{" not in operation.path:
                    continue
                other = await answer_of(client, operation, existing, asker.headers)
                if text_without(answer, NOBODY) != text_without(other, existing):
                    problems.append(f"{who}, and another answer where there is such a thing")
    return problems


def leaks(operation, answer):
    if not is_refused(answer):
        yield "is answered"
    elif answer.status_code == 303:
        return
    elif not operation.is_page and answer.json().keys() != REFUSAL:
        yield "says more than the refusal"
    elif operation.is_page and answer.headers["content-type"].startswith("text/html") and "<table" in answer.text:
        yield "shows a table"


NAMES = (
    "nobody", "a wrong key", "a write key", "a read key", "a secret key", "a narrowed key", "an expired key",
    "a revoked key", *Role, "a service agent with grants", "somebody with every role", "somebody who was disabled",
    "somebody who signed out", "an old session",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_everybody_gets_what_the_table_of_rights_grants_and_nothing_else(world, name):
    with world.shop.store.begin() as connection:
        existing = users.list_users(connection)[0].user_id
    assert asyncio.run(problems_of(world.app, world.operations, world.people[name], existing)) == []


def test_a_visitor_of_a_demo_reads_and_changes_nothing(world):
    app = create_app(world.shop, visitor=VISITOR)
    assert asyncio.run(problems_of(app, world.operations, Asker(VISITOR.rights), NOBODY)) == []
    assert {right.action for right in VISITOR.rights} == {"read"}


def test_every_person_and_key_of_the_matrix_is_asked_for(world):
    assert set(world.people) == set(NAMES)


def test_who_is_unknown_learns_no_address_method_or_parameter(world):
    unknown = [
        ("GET", "/api/nothing"), ("PUT", "/api/overview"), ("GET", "/api/customers?page=x"), ("GET", "/nothing"),
        ("DELETE", "/customers"), ("GET", "/customers/nobody"), ("POST", "/api/people/forget"), ("TRACE", "/api/keys"),
        ("GET", "/api/../openapi"), ("GET", "//api//overview"), ("GET", "/API/overview"), ("GET", "/static/../x"),
    ]  # fmt: skip

    async def ask():
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [(method, path, await client.request(method, path)) for method, path in unknown]

    refused = asyncio.run(ask())
    assert [(method, path) for method, path, answer in refused if not is_refused(answer)] == []


def test_a_page_of_another_site_changes_nothing(world):
    everybody = world.people["somebody with every role"]
    headers, admin = everybody.headers, world.people[Role.ADMIN]
    forgeries = {
        "no token": {"cookie": headers["cookie"]},
        "a token of another session": headers | {"x-csrf-token": admin.headers["x-csrf-token"]},
        "another origin": headers | {"origin": "https://elsewhere.example"},
        "a site of the same domain": headers | {"sec-fetch-site": "same-site"},
    }

    async def ask():
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            unsafe = [
                operation for operation in world.operations if operation.method != "GET" and operation.right is not None
            ]
            return [
                (what, operation, (await answer_of(client, operation, NOBODY, sent)).status_code)
                for operation in unsafe
                for what, sent in forgeries.items()
                if everybody.may(operation)
            ]

    answered = asyncio.run(ask())
    assert len(answered) > 50
    assert [one for one in answered if one[2] != 403] == []


def test_only_these_addresses_are_open(world):
    free = {operation.path for operation in world.operations if operation.right is None}
    assert {path for path in free if not OPEN.fullmatch(path.replace("{", "").replace("}", ""))} == {"/metrics"}
    entrances = ("/sign-in", "/set-up", "/join", "/reset")
    assert {path for path in free if not path.startswith(entrances)} == {"/health", "/metrics"}
