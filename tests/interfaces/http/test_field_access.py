"""Reader x address x field: no answer holds a value that its reader may not see, however it is written.

Values of each kind are planted for a customer inside a team's segment and for one outside of it. Addresses are those
that the application's routes, links and ids in answers lead to, so that a new one is asked for without an edit here.
"""

import base64
import hashlib
import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from io import BytesIO
from itertools import pairwise, product
from urllib.parse import quote, quote_plus, unquote, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from known_people import OPAQUE_ID, TEAM, KnownPerson, add_known_people
from markupsafe import escape
from tests.support.shops.furnished_shop import POLICY, add_staff, add_work, engage

from direct_client import DirectClient
from patron.commands.customers.customer_contacts import RevealReason, reveal_contacts
from patron.commands.customers.customer_work import TaskDraft, add_tag, close_task, create_tasks, write_note
from patron.commands.data.manage_webhooks import add_webhook
from patron.commands.data.report_webhook_events import report_webhook_events
from patron.commands.data.send_webhooks import webhook_body
from patron.commands.data.uploaded_files import save_upload
from patron.commands.offers.propose_policy import propose_policy
from patron.commands.privacy.privacy_requests import open_request
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.interfaces.console.page_walk import PAGES
from patron.schema.access.access_rights import KEY_RIGHTS, Action, Actor, Area, Grant, Right, Role, rights_of_user
from patron.schema.data.webhook_events import EVENT_NAMES, WEBHOOK_EVENTS
from patron.storage.access.access_tables import USERS
from patron.storage.data.webhook_tables import WEBHOOK_MESSAGES
from patron.storage.shop import POLICY_FILE, Shop

NOW = datetime.now(UTC)
AUTHOR = "Ann (user 00000000000a)"
EVERYTHING = frozenset(Right(action, area) for action, area in product(Action, Area))
READ_ANYTHING = frozenset(Right(Action.READ, area) for area in Area)
READ_CUSTOMERS, READ_PRIVACY, READ_ACCESS = (
    Right(Action.READ, area) for area in (Area.CUSTOMERS, Area.PRIVACY, Area.ACCESS)
)
OWN_IDS = {Right(Action.EXPORT, Area.CUSTOMERS), Right(Action.EXPORT, Area.SEGMENTS)}
"""Rights to files that have the shop's own ids."""
READERS: dict[str, Actor | None] = {
    "nobody": None,
    **{role: Actor(role, rights_of_user([role]), user_id="0c") for role in Role},
    **{f"{kind} key": Actor(kind, rights, key_id="0e") for kind, rights in KEY_RIGHTS.items()},
    "a team's member with every role": Actor("Tim", rights_of_user(Role, Grant), user_id="0f", segment=TEAM),
    "a team's service agent": Actor("Tom", rights_of_user([Role.SERVICE_AGENT]), user_id="10", segment=TEAM),
}
ADA = Actor("Ada (user 0a)", EVERYTHING, user_id="0a")
URL_SAFE = str.maketrans("-_", "+/")
PARAMETER = re.compile(r"([\w-]*)/\{(\w+)\}")
"""What stands in a path, after the word before it."""
LINK = re.compile(r"""["'](/[^"'<>\s]*)["']""")
CHOICES = re.compile("(lang|theme)=")
KEPT = {
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
}
"""Headers of every answer."""
MAX_TRIES = 6
ABOUT_CUSTOMERS = (
    "/customers?search=", "/api/customers?search=", "/customers/act?do=tag&id=", "/recommendations?customer=",
    "/api/recommendations?customer_id=", "/api/recommendations/preview?customer=", "/privacy/consents?customer=",
    "/api/privacy/consents?customer=",
)  # fmt: skip
UNANSWERED = {
    *("/account", "/account/confirm", "/account/digest", "/account/passkeys/new", "/account/second-factor"),
    *("/api/account", "/api/account/digest", "/sign-in/code", "/sign-in/sso/callback"),
    *("/privacy/requests/{request_id}/certificate", "/api/privacy/requests/{request_id}/certificate"),
    *("/settings", "/settings/channels", "/api/webhooks/{endpoint_id}/deliveries/{message_id}"),
    *("/ingestion/upload/{upload_id}", "/decisions/runs/{run_id}/file"),
    "/u/{token}", "/p/{token}", "/digest/{token}", "/set-up/{link}", "/join/{link}", "/reset/{link}"
}  # fmt: skip
"""Routes that only a session, or a secret link, opens; and what this workspace has not."""


@dataclass(frozen=True)
class Planted:
    """A value, and the rights each of which shows it to GET."""

    text: str
    kind: str
    shown_by: frozenset[Right] = frozenset()
    is_hidden: bool = False
    """Whether it is of the customer outside the team's segment."""

    def may_be_seen(self, actor: Actor | None) -> bool:
        if actor is None or (self.is_hidden and actor.segment):
            return False
        return any(actor.may(*right) for right in self.shown_by)

    @property
    def forms(self) -> frozenset[str]:
        """How it reads as HTML, in an address and in JSON, and its hashes, of which a guess finds the value."""
        forms = {self.text, html.escape(self.text), str(escape(self.text)), quote(self.text), quote_plus(self.text)}
        forms |= {json.dumps(self.text, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
        plain = self.text.lower().encode()
        forms |= {hashlib.new(name, plain, usedforsecurity=False).hexdigest() for name in ("md5", "sha1", "sha256")}
        return frozenset(form.lower() for form in forms)


@dataclass(frozen=True)
class World:
    """A workspace in which values are planted, and what is asked of it."""

    shop: Shop
    planted: tuple[Planted, ...]
    hidden_ids: frozenset[str]
    """Customers outside the team's segment."""
    walk: "AddressWalk"


@pytest.fixture(scope="module")
def world(made_shop, tmp_path_factory):
    known = add_known_people(made_shop, tmp_path_factory.mktemp("fields") / "w")
    known.shop.close()
    (known.shop.folder / POLICY_FILE).write_text(POLICY, encoding="utf-8")
    shop = Shop.open(known.shop.folder)
    context = RequestContext.from_name(shop, AUTHOR, now=NOW)
    add_webhook(replace(context, now=NOW - timedelta(days=1)), "https://receiver.example/", EVENT_NAMES)
    add_staff(shop)
    with shop.store.begin() as connection:
        emails = connection.scalars(sa.select(USERS.c.email)).all()
    planted = [Planted(email, "e-mail of staff", frozenset({READ_ACCESS})) for email in emails]
    add_work(shop, known.visible.customer_id)
    engage(shop)
    propose_policy(context, POLICY.replace("100000", "200000"), note="More in winter")
    people, marks = (known.visible, known.hidden), list[str]()
    for person in people:
        planted += plant(context, person, marks, is_hidden=person is known.hidden)
    walk = AddressWalk(DirectClient(shop, ADA), [one.customer_id for one in people], marks)
    walk.walk()
    yield World(shop, tuple(planted), known.hidden_ids, walk)
    shop.close()


def plant(context: RequestContext, person: KnownPerson, marks: list[str], *, is_hidden: bool) -> list[Planted]:
    """What staff wrote about somebody and what they sent, and what the vault knows of them; ids of it join `marks`."""
    shop, who, planted = context.shop, [person.customer_id], list[Planted]()
    own = "outside" if is_hidden else "inside"

    def add(text: str, kind: str, shown_by: Iterable[Right] = ()) -> str:
        planted.append(Planted(text, kind, frozenset(shown_by), is_hidden))
        return text

    def words(kind: str, *shown_by: Right) -> str:
        return add(f'Zö {kind} <{own}> & "so on"', kind, shown_by)

    write_note(context, person.customer_id, words("note"))
    create_tasks(context, who, TaskDraft("call", words("task")))
    [closed] = create_tasks(context, who, TaskDraft("write", words("closed task")))
    close_task(context, closed, "reached", words("result of a task"))
    add_tag(context, who, add(f"tag of the one {own}", "tag", READ_ANYTHING))
    reason = RevealReason("complaint", words("line with a reason"))
    reveal_contacts(shop, person.customer_id, actor=ADA, reason=reason, now=NOW)
    request = words("request", READ_PRIVACY)
    marks.append(open_request(context, "access", person.email, words=request, received_at=NOW))
    line = words("line of an upload").replace('"', '""')
    file = BytesIO(f'Email,Total,Note\n{person.email},12.00,"{line}"\n'.encode())
    marks.append(save_upload(shop, f"{own}.csv", file, now=NOW))
    for secret in person.secrets:
        is_requested = secret.lower() in person.email
        add(secret, "contact", [READ_PRIVACY] if is_requested else OWN_IDS if secret == person.user_id else ())
    vault = Vault.open(shop)
    add(vault.token("user_id", person.user_id), "token", [READ_CUSTOMERS])  # why: the page of identities names it
    add(vault.token("email", person.email), "token")
    add(vault.token("phone", person.phone), "token")
    return planted


@dataclass
class AddressWalk:
    """Finds addresses of every route that answers GET: of links, and of what answers call an id or a name."""

    client: DirectClient
    people: list[str]
    """Customers about each of whom every route is asked that is about one."""
    marks: list[str]
    """Ids of what each of them sent: a route about one is asked for each."""
    values: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """What may stand in a path, by the word before it or by its own name."""
    waiting: list[str] = field(default_factory=list)
    answered: dict[str, list[str]] = field(default_factory=dict)
    """Addresses that were answered, by the path of their route."""
    addresses: dict[str, None] = field(default_factory=dict)
    """All that were asked for."""
    seen: list[str] = field(default_factory=list)
    """What the answers say."""

    def walk(self) -> None:
        """Ask for an address of each route, for one of each mark, and for the file of a list."""
        self.answered = {route.path: [] for route in self.client.routes if "GET" in route.methods}
        self.values |= {"upload_id": dict.fromkeys(self.marks), "other": {TEAM: None}}
        self.waiting = [*PAGES.values(), *(path for path in self.answered if "{" not in path)]
        self.waiting += ["/api/questions/ask?sql=select+*+from+customers"]
        self.waiting += [f"{query}{customer_id}" for query in ABOUT_CUSTOMERS for customer_id in self.people]
        routes = [(route.path_regex, route.path) for route in self.client.routes if route.path in self.answered]
        while self.waiting or self.fill():
            address = self.waiting.pop(0)
            path = next((path for regex, path in routes if regex.fullmatch(urlsplit(address).path)), None)
            if path is not None and address not in self.addresses and self.says_more(path, address):
                self.addresses[address] = None
                self.read(address, path)
        unanswered = [path for path, found in self.answered.items() if not found]
        self.addresses |= dict.fromkeys(re.sub(r"\{[^}]*\}", "none", path) for path in unanswered)

    def says_more(self, path: str, address: str) -> bool:
        """Whether an address is the first of its route, or the first that has a mark."""
        marks = [mark for mark in (*self.people, *self.marks, "format=csv") if mark in address]
        is_new = not self.answered[path] or any(not any(mark in one for one in self.answered[path]) for mark in marks)
        return is_new and not CHOICES.search(address)

    def read(self, address: str, path: str) -> None:
        """Ask for an address, and note what it leads to."""
        answer = self.client.get(address)
        if answer.status_code != HTTPStatus.OK:
            return
        self.answered[path].append(address)
        self.seen.append(readable(answer))
        if answer.headers["content-type"].startswith("application/json"):
            self.collect(answer.json())
            return
        links = [html.unescape(link).partition("#")[0] for link in LINK.findall(answer.text)]
        self.waiting += links
        for link in links:
            for word, following in pairwise(unquote(urlsplit(link).path).split("/")):
                self.values[word][following] = None

    def collect(self, content: object) -> None:
        """Note what an answer of JSON calls something."""
        if isinstance(content, list):
            for one in content:
                self.collect(one)
        elif isinstance(content, dict):
            for key, value in content.items():
                if isinstance(value, str | int) and value:
                    self.values[key][str(value)] = None
                self.collect(value)

    def fill(self) -> bool:
        """Let addresses wait of routes that no link led to; whether there are any."""
        for path, answered in self.answered.items():
            parts = PARAMETER.findall(path) if len(answered) < len(self.people) else []
            choices = [
                self.people if name == "customer_id" else [*self.values[word], *self.values[name]][:MAX_TRIES]
                for word, name in parts
            ]
            for chosen in product(*choices) if parts else ():
                named = dict(zip((name for _, name in parts), chosen, strict=True))
                address = re.sub(r"\{(\w+)\}", lambda match, named=named: quote(named[match[1]], safe=""), path)
                if address not in self.addresses and self.says_more(path, address):
                    self.waiting.append(address)
        return bool(self.waiting)


def readable(answer: httpx.Response) -> str:
    """What an answer says, in small letters, and what its cursors hold."""
    text = f"{answer.headers}\n{answer.text}"
    encoded = {part.translate(URL_SAFE)[: len(part) // 4 * 4] for part in re.findall(r"[\w-]{24,}", text, re.ASCII)}
    return "\n".join([text, *(base64.b64decode(part).decode("utf-8", "ignore") for part in encoded)]).lower()


def wrong_headers(address: str, answer: httpx.Response) -> Iterator[str]:
    """What lets a browser do more with an answer than it should."""
    headers, kind = answer.headers, answer.headers.get("content-type", "")
    policy = headers.get("content-security-policy", "")
    kept = KEPT if not address.startswith("/explore/vega.js") else KEPT - {("cache-control", "no-store")}
    yield from (name for name, value in kept if headers.get(name) != value)
    if "default-src 'none'" not in policy or "script" in policy.replace("script-src 'self'", ""):
        yield "content-security-policy"
    if not re.search("frame-ancestors '(none|self)'", policy):
        yield "frame-ancestors"
    if not (kind or answer.is_redirect):
        yield "content-type"
    if address.startswith("/api/") and answer.is_error and kind != "application/problem+json":
        yield "content-type of a refusal"


def seen_by(world: World, reader: Actor | None) -> Iterator[tuple[str, str]]:
    """What a reader sees though no right shows it, and where."""
    client = DirectClient(world.shop, reader)
    hidden = [(one, one.forms) for one in world.planted if not one.may_be_seen(reader)]
    for address in world.walk.addresses:
        answer = client.get(address)
        text = readable(answer)
        if answer.is_server_error:
            yield address, f"an answer of {answer.status_code}"
        yield from ((address, name) for name in wrong_headers(address, answer))
        for one, forms in hidden:
            if one.text not in unquote(address) and any(form in text for form in forms):
                yield address, f"{one.kind}: {one.text}"
        if reader and reader.segment:
            others = set(OPAQUE_ID.findall(text)) & world.hidden_ids
            yield from ((address, f"customer {one}") for one in others if one not in address)


def test_webhooks_have_the_fields_that_are_declared_and_say_of_nobody_who_they_are(world):
    report_webhook_events(world.shop, now=NOW + timedelta(days=2))
    with world.shop.store.begin() as connection:
        ids = connection.scalars(sa.select(WEBHOOK_MESSAGES.c.message_id)).all()
    bodies = [json.loads(webhook_body(world.shop, one)) for one in ids]
    assert {body["type"] for body in bodies} >= {"campaign.started", "policy.proposed", "privacy.request_received"}
    declared = {event.name: set(event.data) for event in WEBHOOK_EVENTS}
    assert [body for body in bodies if not body["data"].keys() <= declared[body["type"]]] == []
    text = json.dumps(bodies, ensure_ascii=False).lower()
    assert [one.kind for one in world.planted if any(form in text for form in one.forms)] == []


@pytest.mark.parametrize("name", READERS)
def test_a_reader_sees_the_values_that_the_table_of_rights_shows_and_no_other(world, name, caplog):
    assert list(seen_by(world, READERS[name])) == []
    assert [one.kind for one in world.planted if one.text in caplog.text] == []
    assert name == "nobody" or "refused " in caplog.text, "who lacked which right"


def test_every_route_is_asked_for_and_what_a_right_shows_is_there_to_be_seen(world):
    unanswered = {path for path, addresses in world.walk.answered.items() if not addresses}
    assert unanswered == UNANSWERED, "tell this test where an id of it is found"
    text = "\n".join(world.walk.seen)
    shown = {one.kind for one in world.planted if any(form in text for form in one.forms)}
    assert shown == {one.kind for one in world.planted if one.shown_by}
