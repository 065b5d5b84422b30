"""What staff wrote about somebody is in no byte of the workspace once they are forgotten; the audit log is whole."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import product
from urllib.parse import urlencode, urlsplit

import pyarrow.compute as pc
import pytest
import sqlalchemy as sa
from made_shop import customer_id
from tests.support.shops.team_shop import hire, with_addresses
from tests.support.workspace_bytes import mentions
from workspace_copies import copy_workspace

from direct_client import DirectClient
from patron.commands.access.export_audit_log import export_audit_log
from patron.commands.customers.customer_work import TaskDraft, add_tag, create_tasks, remove_tag, write_note
from patron.commands.data.doctor import doctor
from patron.commands.privacy.forget import forget
from patron.commands.privacy.privacy_requests import open_request
from patron.govern.access import audit_log, audit_texts
from patron.govern.access.audit_entries import AuditQuery, find_entries
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault, initial_customer_id
from patron.interfaces.console.customers.customer_actions import ACTIONS, RIGHTS
from patron.schema.access.access_rights import Action, Actor, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.tables import BY_NAME, TABLES
from patron.storage.shop import Shop
from patron.storage.store.store import AUDIT, RUNS

NOW = datetime.now(UTC)
OTHER = customer_id(4)
ADA = Actor("Ada (user 0a)", frozenset(Right(*pair) for pair in product(Action, Area)), user_id="0a")
ROOMS = ("/customers", "/tasks", "/watch-list", "/privacy")
"""How addresses begin at which something is written about customers, or they are searched for."""
SEARCHED_BY = ("customer", "search", "tag", "owner", "reason", "view", "state", "run", "by", "q")
"""Parameters of pages that take a word; an address that does not know one refuses it."""
NOT_SENT = {
    "/privacy/requests/{request_id}/erasure": "it is what comes afterwards",
    "/privacy/requests/{request_id}/files": "it belongs to an erasure",
    "/tasks/effect/proposals": "it is about the shop's rules, and about nobody",
}


@dataclass
class Form(HTMLParser):
    """Forms of a page that are posted: their addresses, and the fields of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, list[dict[str, object]]]] = []
        self._select: dict[str, object] = {}
        self._is_open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_open = given.get("method") == "post"
            if self._is_open:
                self.forms.append((given["action"], []))
        fields = self.forms[-1][1] if self.forms else []
        if not (self._is_open or given.get("form")):
            return
        if tag in {"input", "textarea", "select", "button"} and given.get("name"):
            fields.append({"kind": given.get("type", tag), "options": [], **given})
        if tag == "select":
            self._select = fields[-1] if fields else {}
        if tag == "option" and self._select:
            self._select["options"].append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False
        if tag == "select":
            self._select = {}


@dataclass
class Writer:
    """Fills whatever takes a text with a word that is nowhere else."""

    client: DirectClient
    who: str
    """Whom all of it is about."""
    words: list[str] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    """Routes that were posted to."""
    accepted: set[str] = field(default_factory=set)
    ways: set[tuple[object, ...]] = field(default_factory=set)

    def word(self) -> str:
        self.words.append(f"quixotry{len(self.words):05}zeal")
        return self.words[-1]

    def submit(self, action: str, fields: list[dict[str, object]]) -> None:
        """Send a form, in each way that no page before has offered."""
        path = urlsplit(action).path
        route = next(one for one in self.client.routes if "POST" in one.methods and one.path_regex.fullmatch(path))
        self.reached.add(route.path)
        for chosen, values in self.fill(action, fields) if route.path not in NOT_SENT else ():
            way = (route.path, *sorted(values), *chosen)
            if way in self.ways:
                continue
            self.ways.add(way)
            answer = self.client.post(action, data=values)
            assert answer.status_code < 500, (action, values)
            if answer.status_code < 400:
                self.accepted.add(route.path)

    def fill(
        self, action: str, fields: list[dict[str, object]]
    ) -> Iterator[tuple[tuple[object, ...], dict[str, object]]]:
        """The form once as it is, and once with every other choice of each of its fields."""
        choices = [(one["name"], value) for one in fields for value in one["options"] if one["kind"] == "select"]
        choices += [
            (one["name"], one.get("value", "")) for one in fields if one["kind"] in {"radio", "button", "submit"}
        ]
        about = {"id", "customer_id"} if action.startswith("/customers") else set()
        for chosen in [(), *choices]:
            values: dict[str, object] = {}
            for one in fields:
                kind, name, value = one["kind"], str(one["name"]), str(one.get("value", ""))
                if kind in {"input", "text", "search", "textarea"}:
                    values[name] = self.who if name in about else self.word()
                elif kind == "date":
                    values[name] = f"{NOW + timedelta(days=0 if 'received' in name else 3):%Y-%m-%d}"
                elif kind == "select":
                    values[name] = next(filter(None, one["options"]), "")
                elif kind == "number":
                    values[name] = value or "1"
                elif kind in {"hidden", "checkbox", "radio"}:
                    values[name] = self.who if name in about else value
            if chosen:
                values[chosen[0]] = chosen[1]
            yield chosen, values


@pytest.fixture(scope="module")
def shop(made_shop, tmp_path_factory):
    copied = Shop.open(copy_workspace(made_shop.folder, tmp_path_factory.mktemp("texts") / "w"))
    with_addresses(copied)
    give_her_id(copied)
    hire(copied, ADA)
    copied.close()
    shop = Shop.open(copied.folder)
    yield shop
    shop.close()


def give_her_id(shop):
    """Let a customer of the made shop have the id that her token gives, as a run would."""
    for table in TABLES:
        if "customer_id" in table.names and shop.lake.exists(table):
            rows = shop.lake.read(table)
            ids = pc.replace_substring(rows["customer_id"], customer_id(3), her(shop))
            shop.lake.replace(table, rows.set_column(rows.schema.get_field_index("customer_id"), "customer_id", ids))
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        newest = sa.select(sa.func.max(RUNS.c.run_id)).scalar_subquery()
        connection.execute(sa.update(RUNS).where(RUNS.c.run_id == newest).values(table_versions=versions))


def her(shop):
    return initial_customer_id(Vault.open(shop).token("user_id", "u3"))


def context(shop):
    return RequestContext(shop, ADA, now=NOW)


def pages(client: DirectClient, who: str, request_ids: list[str], task_ids: list[str]) -> list[str]:
    """Addresses of every page of these rooms, about her where it is about somebody."""
    values = {"customer_id": [who], "request_id": request_ids, "task_id": task_ids}
    found = []
    for route in client.routes:
        if "GET" not in route.methods or not route.path.startswith(ROOMS):
            continue
        name = (re.findall(r"{(\w+)}", route.path) or [""])[0]
        found += [route.path.replace(f"{{{name}}}", value) for value in (values.get(name, []) if name else [""])]
    found += [f"/customers/act?{urlencode({'do': action, 'id': who})}" for action in ACTIONS if action not in RIGHTS]
    return [*found, f"/customers/{who}/identity?merge={OTHER}", "/tasks?view=open", "/tasks?view=mine"]


def search_everywhere(writer: Writer) -> None:
    """Ask every list, and every file of one, for a word by each of the parameters that an address names."""
    for path, methods in writer.client.app.openapi()["paths"].items():
        for one in methods.get("get", {}).get("parameters", []) if "{" not in path else ():
            if one["in"] == "query" and "string" in json.dumps(one["schema"]):
                writer.client.get(f"{path}?{urlencode({one['name']: writer.word(), 'format': 'csv'})}")
    # why: the page for questions records the question alone, and starts a process
    pages = {
        one.path for one in writer.client.routes if "GET" in one.methods and not re.search("/api|/explore|{", one.path)
    }
    with_files = [path for path in sorted(pages) if "format=csv" in writer.client.get(path).text]
    assert len(with_files) > 10
    for path in with_files:
        for name in SEARCHED_BY:
            writer.client.get(f"{path}?{urlencode({'format': 'csv', name: writer.word()})}")


def test_whatever_staff_wrote_or_searched_goes_with_the_person(shop, caplog):
    caplog.set_level("DEBUG", "patron")
    client = DirectClient(shop, ADA)
    who = her(shop)
    writer = Writer(client, who)
    kinds = ("access", "rectification", "objection", "erasure", "access")
    write_note(RequestContext.from_name(shop, "Ben (user 0b)", now=NOW), who, writer.word())
    requests = [open_request(context(shop), "access", "nobody-4711", received_at=NOW)]
    requests += [open_request(context(shop), kind, "u3", words=writer.word(), received_at=NOW) for kind in kinds]
    tasks = create_tasks(context(shop), [who], TaskDraft("call", writer.word(), owner=ADA.user_id))
    for path in pages(client, who, requests, list(tasks)):
        for action, fields in Form(client.get(path).text).forms:
            if action.startswith(ROOMS):
                writer.submit(action, fields)
    document = client.app.openapi()["paths"]
    for path in [one for one in document if "{customer_id}" in one and "post" in document[one]]:
        client.post(path.replace("{customer_id}", who), json={"reason": "other", "note": writer.word()})
    client.post("/api/customers/search", json={"text": writer.word()}, headers={"Idempotency-Key": writer.word()})
    search_everywhere(writer)
    posted = {route.path for route in client.routes if "POST" in route.methods and route.path.startswith(ROOMS)}
    assert posted - writer.reached - NOT_SENT.keys() == set(), "a form that no page of these has"
    assert {f"/customers/{{customer_id}}/{one}" for one in ("act", "notes", "reveal")} <= writer.accepted
    assert {"/customers/act", "/tasks", "/tasks/{task_id}", "/privacy/new"} <= writer.accepted
    kept = mentions(shop, writer.words)
    assert kept.keys() <= set(writer.words)
    assert not any("audit" in place for places in kept.values() for place in places), "not even before"

    forget(context(shop), customer_id=who)
    assert mentions(shop, writer.words) == {}
    log = "\n".join(",".join(row) for row in export_audit_log(context(shop), AuditQuery()))
    twin = client.get("/api/audit?limit=1000").text + client.get("/audit").text
    assert [word for word in writer.words if word in log + twin + caplog.text] == []
    assert audit_log.log_problem(shop) == ""
    assert not [finding for finding in doctor(shop.folder) if finding.level == "problem"]


def test_a_tag_can_be_read_in_the_log_while_somebody_has_it(shop):
    add_tag(context(shop), [OTHER, customer_id(5)], "zealous quilting")
    remove_tag(context(shop), [OTHER], "zealous quilting")
    removed, added = find_entries(shop, AuditQuery(), 2)
    assert (added.details, removed.details) == (
        {"customer_count": 2, "tag": "zealous quilting"},
        {"customer_id": OTHER, "tag": "zealous quilting"},
    )
    remove_tag(context(shop), [customer_id(5)], "zealous quilting")
    [entry] = find_entries(shop, AuditQuery(), 1)
    assert entry.details["tag"] == audit_texts.text_token(shop, "zealous quilting")


SEARCH = "customer=Anna%40old.example&format=csv&Anna+Oldish=1"
OLD = [
    (AuditAction.CUSTOMERS_TAGGED, {"customer_id": OTHER, "tag": "old and cranky"}),
    (AuditAction.KEY_CREATED, {"key_id": "k1"}),
    (AuditAction.TAG_REMOVED, {"customer_count": 2, "tag": "old and cranky"}),
    (AuditAction.LIST_EXPORTED, {"list": "consents", "row_count": 1, "query": SEARCH}),
    (AuditAction.LIST_EXPORTED, {"list": "question", "row_count": 1, "query": "q-0a1b"}),
]


@pytest.fixture
def old_log(new_workspace):
    """A workspace whose log has entries as earlier versions wrote them."""
    shop = Shop.open(new_workspace)
    with shop.store.begin() as connection:
        for action, details in OLD:
            audit_log.append(shop, connection, action, details, at=NOW, by="Ada")
    yield shop
    shop.close()


def audit_findings(shop):
    return [(finding.level, str(finding.what)) for finding in doctor(shop.folder) if finding.check == "audit log"]


def test_texts_of_earlier_versions_are_replaced_once_and_an_entry_says_so(old_log):
    before = audit_log.entries(old_log.store)
    old = "3 entries of an earlier version hold tags or search words in clear"
    assert audit_findings(old_log) == [("ok", "5 entries, none damaged"), ("warning", old)]
    assert audit_texts.replace_old_texts(old_log, at=NOW, by="Olga") == 3
    old_log.store.scrub()
    assert mentions(old_log, ["old and cranky", "Anna%40old.example", "Anna@old.example", "Oldish"]) == {}
    *after, seam = audit_log.entries(old_log.store)
    assert [(one.entry, one.at, one.action) for one in after] == [(one.entry, one.at, one.action) for one in before]
    assert [json.loads(one.details).get("query") for one in after[3:]] == ["customer,format", "q-0a1b"]
    facts = {"entry_count": 3, "first_entry": 1, "last_entry": 5, "last_hash": before[-1].hash}
    assert (seam.action, json.loads(seam.details)) == ("texts replaced", facts | {"by": "Olga"})
    assert audit_findings(old_log) == [("ok", "6 entries, none damaged")]
    assert audit_texts.replace_old_texts(old_log, at=NOW, by="Olga") == 0
    with old_log.store.begin() as connection:
        audit_log.append(old_log, connection, AuditAction.KEY_CREATED, {"key_id": "k2"}, at=NOW)
    assert audit_log.log_problem(old_log) == ""


def test_a_head_that_was_not_moved_after_the_replacement_is_the_one_that_the_entry_names(old_log):
    left = old_log.audit_head.path.read_bytes()
    audit_texts.replace_old_texts(old_log, at=NOW, by="Olga")
    old_log.audit_head.path.write_bytes(left)  # why: as if the power had gone between the store and the file
    assert audit_log.log_problem(old_log) == ""
    with old_log.store.begin() as connection:
        audit_log.append(old_log, connection, AuditAction.KEY_CREATED, {"key_id": "k2"}, at=NOW)
    assert (old_log.audit_head.read().entry, audit_log.log_problem(old_log)) == (7, "")


DAMAGES = {
    "details": sa.update(AUDIT).where(AUDIT.c.entry == 2).values(details="{}"),
    "cut": sa.delete(AUDIT).where(AUDIT.c.entry == 5),
    "seam": sa.update(AUDIT).where(AUDIT.c.entry == 6).values(details='{"last_entry": 5, "last_hash": ""}'),
    "seam cut": sa.delete(AUDIT).where(AUDIT.c.entry == 6),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_replacement_hides_no_damage(old_log, damage):
    if damage.startswith("seam"):
        audit_texts.replace_old_texts(old_log, at=NOW, by="Olga")
    with old_log.store.begin() as connection:
        connection.execute(DAMAGES[damage])
    assert audit_log.log_problem(old_log)
    assert audit_texts.replace_old_texts(old_log, at=NOW, by="Olga") == 0
    assert audit_log.log_problem(old_log)


def test_entries_of_workspace_layout_1_are_chained_anew_under_the_key(old_log):
    previous = audit_log.BEFORE_THE_FIRST
    with old_log.store.begin() as connection:
        for one in audit_log.entries(old_log.store):
            code = audit_log._plain_hash((one.entry, one.at, one.action, one.details, previous))
            written = sa.update(AUDIT).where(AUDIT.c.entry == one.entry)
            connection.execute(written.values(previous=previous, hash=code))
            previous = code
    audit_log.renew_head(old_log)
    assert old_log.audit_head.read().keyed_from == 6
    assert audit_texts.replace_old_texts(old_log, at=NOW, by="Olga") == 3
    assert (old_log.audit_head.read().keyed_from, audit_log.log_problem(old_log)) == (1, "")
