"""Webhooks and web push from the example's section of patron.toml to messages of a campaign that people got."""

import json
import stat
from datetime import UTC, datetime, timedelta

import http_ece
import pyarrow as pa
import pytest
from campaign_shop import AT, Person, add_people, approve, customer_of, load, messages, with_policy
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from http_server import Answer, http_server
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.commands.outreach.messages.subscriptions import find_subscription, unsubscribe
from patron.engage.channels.web_push import load_push_key, public_push_key
from patron.engage.providers.standard_webhooks import is_signed, keys_of
from patron.govern.access.request_context import RequestContext
from patron.govern.outreach.suppression_list import ALL_TOPICS, COMPLAINT, suppress
from patron.govern.vault import Vault
from patron.schema.outreach.channels import CONFIGURABLE
from patron.schema.tables import IDENTITIES
from patron.storage.shop import SETTINGS_FILE, Shop
from patron_command import run_patron

ANN, BEN, CAI = Person("ann", has_address=False), Person("ben", has_address=False), Person("cai", consent=False)


@pytest.fixture
def server():
    with http_server() as running:
        yield running


def run(shop, *words):
    return run_patron("channels", *words, "--workspace", shop.folder)


def configure(shop, section: str) -> Shop:
    path = shop.folder / SETTINGS_FILE
    path.write_text(f"{path.read_text('utf-8')}\n{section}\n", encoding="utf-8")
    return Shop.open(shop.folder)


def example(name: str) -> str:
    ran = run_patron("channels", "--example", "--channel", name)
    assert ran.code == 0
    return ran.out


def test_every_example_is_a_section_that_loads(shop):
    for name in CONFIGURABLE:
        assert not getattr(shop.settings.channels, name).is_configured
        shop = configure(shop, example(name))
        assert getattr(shop.settings.channels, name).is_configured
    ran = run_patron("channels", "--example", "--channel", "pigeon")
    assert (ran.code, "no example" in ran.err) == (1, True)


def test_what_is_missing_is_listed_with_what_to_do(shop):
    states = {one["name"]: one for one in run(shop, "list", "--json").json}
    assert set(states) == set(CONFIGURABLE)
    assert not any(state["is_configured"] or state["is_reachable"] for state in states.values())
    assert all("--example" in state["problems"][0] for state in states.values())
    shop = configure(configure(shop, example("webhook")), example("web_push"))
    text = run(shop, "list").out
    assert "patron channels webhook-secret" in text
    assert "patron channels push-key" in text
    assert run(shop, "webhook-secret").code == run(shop, "push-key").code == 0
    states = {one["name"]: one for one in run(shop, "list", "--json").json}
    assert (states["webhook"]["is_signed"], states["webhook"]["is_reachable"]) == (True, False)
    assert "nothing listens there" in states["webhook"]["problems"][0]
    assert (states["web_push"]["is_signed"], states["web_push"]["is_reachable"]) == (True, None)
    assert "web_push  ready  signed" in run(shop, "list").out


def test_keys_are_private_and_made_once(shop):
    for words, name in ((("push-key",), "push.pem"), (("webhook-secret",), "webhook.secret")):
        first = run(shop, *words, "--json").json
        content = (shop.folder / name).read_bytes()
        again = run(shop, *words, "--json").json
        assert (first["is_new"], again["is_new"]) == (True, False)
        assert (shop.folder / name).read_bytes() == content
        assert stat.S_IMODE((shop.folder / name).stat().st_mode) == 0o600
        assert content.decode().split("\n")[0] not in run(shop, *words).out
    public_key = public_push_key(load_push_key(shop.folder / "push.pem"))
    printed = run(shop, "push-key").out
    assert f'applicationServerKey: "{public_key}"' in printed
    (shop.folder / "webhook.secret").write_text("hunter2")
    assert run(shop, "webhook-secret").code == 1


def test_a_campaign_by_webhook_reaches_those_who_agreed_by_the_shops_own_ids(shop, server):
    section = example("webhook").replace("http://127.0.0.1:9000", server.url)
    shop = with_policy(configure(shop, section))
    run(shop, "webhook-secret")
    tried = run(shop, "test", "1042", "--channel", "webhook")
    assert (tried.code, tried.out.strip()) == (0, "sent: HTTP 200")
    add_people(shop, [ANN, BEN, CAI])
    approve(shop, [ANN, BEN, CAI], channel="webhook")
    summary = send_campaign(RequestContext.from_name(shop, now=AT), "win back")
    assert (summary.sent_count, summary.skipped_count) == (2, 1)
    keys = keys_of((shop.folder / "webhook.secret").read_text())
    first, *others = server.requests
    assert json.loads(first.body)["data"]["user_id"] == "1042"
    assert {json.loads(other.body)["data"]["user_id"] for other in others} == {"ann", "ben"}
    for other in others:
        at = datetime.fromtimestamp(int(other.headers["webhook-timestamp"]), UTC)
        assert is_signed(keys, other.headers, other.body, now=at)
        data = json.loads(other.body)["data"]
        assert data["unsubscribe_url"] in data["html"]
    assert send_campaign(RequestContext.from_name(shop, now=AT), "win back").sent_count == 2
    assert len(server.requests) == 3
    data = next(one for one in map(json.loads, (other.body for other in others)) if one["data"]["user_id"] == "ann")[
        "data"
    ]
    unsubscribe(shop, find_subscription(shop, data["unsubscribe_url"].rpartition("/")[2]), now=AT)
    approve(shop, [ANN, BEN], channel="webhook", name="again")
    send_campaign(RequestContext.from_name(shop, now=AT), "again")
    assert messages(shop, "again") == {
        customer_of(shop, ANN): ("skipped", "suppressed"),
        customer_of(shop, BEN): ("sent", ""),
    }
    vault = Vault.open(shop)
    tokens = [vault.token("user_id", one.name) for one in (BEN, ANN)]
    with shop.store.begin() as connection:
        suppress(connection, tokens[1], "webhook", ALL_TOPICS, COMPLAINT, AT)
    row = {"customer_id": customer_of(shop, BEN), "is_user": True, "known_at": AT}
    one_person = [row | {"token": token, "known_at": AT + timedelta(n)} for n, token in enumerate(tokens)]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(one_person, schema=IDENTITIES.schema()))
    approve(shop, [BEN], channel="webhook", name="merged", topic="news")
    send_campaign(RequestContext.from_name(shop, now=AT), "merged")
    assert messages(shop, "merged") == {customer_of(shop, BEN): ("skipped", "suppressed")}, "of any of their ids"


def test_a_browser_that_is_gone_is_notified_no_more(shop, server):
    server.answer = lambda request: Answer(410 if request.path == "/ben" else 201)
    shop = with_policy(configure(shop, example("web_push") + 'local_hosts = ["127.0.0.1"]'))
    run(shop, "push-key")
    key, people = generate_private_key(SECP256R1()), [ANN, BEN, CAI]
    add_people(shop, people)
    texts = {person.name: subscription(server.url, key, person.name) for person in people}
    subscribed = [
        {
            "event_id": f"push-{name}",
            "name": "Identify",
            "user_id": name,
            "occurred_at": AT,
            "personal": json.dumps({"web_push_subscription": text}),
        }
        for name, text in texts.items()
    ]
    load(shop, subscribed)
    for name in ("first", "second"):
        approve(shop, people, channel="web_push", name=name)
        send_campaign(RequestContext.from_name(shop, now=AT), name)
    assert [messages(shop, "first")[customer_of(shop, person)] for person in people] == [
        ("sent", ""),
        ("failed", "rejected"),
        ("skipped", "no_consent"),
    ]
    assert messages(shop, "second")[customer_of(shop, BEN)] == ("skipped", "suppressed")
    assert sorted(one.path for one in server.requests) == ["/ann", "/ann", "/ben"]
    request = next(one for one in server.requests if one.path == "/ann")
    content = json.loads(http_ece.decrypt(request.body, private_key=key, auth_secret=bytes(16)))
    assert (content["title"], content["body"]) == ("Hello", "Hello Ann, no more")
    tried = run(shop, "test", texts["ben"], "--channel", "web_push")
    assert (tried.code, tried.out.strip()) == (1, "rejected: HTTP 410")


def subscription(url: str, key, name: str) -> str:
    keys = {"p256dh": public_push_key(key), "auth": "AAAAAAAAAAAAAAAAAAAAAA"}
    return json.dumps({"endpoint": f"{url}/{name}", "keys": keys})
