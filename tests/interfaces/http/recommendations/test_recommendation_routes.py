"""Recommendations over HTTP: whose key gets whose list, what is refused, and that an event changes the next answer."""

import threading
import time
from datetime import UTC, datetime
from socket import create_server

import httpx
import pytest
import uvicorn
from recommending_shop import CUSTOMERS, PRODUCT_COUNT, recommending_shop

from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import CONTENT, Consent, iso_time, write_consents
from patron.govern.vault import Vault
from patron.interfaces.http.application import create_app
from patron.interfaces.http.server.collector_protocol import CollectorProtocol
from patron.schema.access.access_rights import VISITOR
from patron.service.collector import Collector
from patron.storage.shop import POLICY_FILE

PATH = "/api/recommendations"
KINDS = ("secret", "write", "read")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    stock = [float(n % 7) for n in range(PRODUCT_COUNT)]
    shop = recommending_shop(tmp_path_factory.mktemp("recommending") / "shop", stock=stock)
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def client(shop):
    collector = Collector(shop)
    collector.start()
    application = CollectorProtocol(collector, create_app(shop, collector, visitor=VISITOR))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", ws="none"))
    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as opened:
            yield opened
        server.should_exit = True
        thread.join(20)
    collector.stop()


@pytest.fixture(scope="module")
def keys(shop):
    made = {
        kind: create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), f"of-{kind}", kind).key
        for kind in KINDS
    }
    return {kind: {"authorization": f"Bearer {key}"} for kind, key in made.items()} | {"none": {}}


@pytest.fixture
def ask(client, keys):
    def post(key="secret", path=PATH, **body):
        return client.post(path, json=body, headers=keys[key])

    return post


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [product["product_id"] for product in answer.json()["products"]]


def best(answer):
    """The first two of a list: the third place may try another product."""
    return ids(answer)[:2]


@pytest.mark.parametrize(
    ("key", "body", "status"),
    [
        ("none", {}, 401),
        ("read", {}, 403),
        ("write", {}, 200),
        ("write", {"anonymous_id": "v"}, 200),
        ("write", {"user_id": "u8"}, 403),
        ("write", {"user_id": "u8", "anonymous_id": "v"}, 403),
        ("write", {"customer_id": "0" * 32}, 403),
        ("secret", {"user_id": "u8"}, 200),
        ("secret", {"customer_id": "0" * 32}, 200),
    ],
)
def test_each_key_gets_the_lists_it_may_have(ask, key, body, status):
    answer = ask(key, **body)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["error"] == ("BadKey" if key == "write" else "NotAllowed")
        assert answer.json()["todo"]


def test_a_batch_needs_a_secret_key_and_a_list_for_staff_a_key_that_reads(client, keys, ask):
    statuses = {key: ask(key, f"{PATH}/batch", user_ids=["u1"]).status_code for key in ("none", *KINDS)}
    assert statuses == {"none": 401, "secret": 200, "write": 403, "read": 403}
    statuses = {key: client.get(PATH, headers=keys[key]).status_code for key in ("none", *KINDS)}
    assert statuses == {"none": 200, "secret": 200, "write": 403, "read": 200}


def test_a_key_that_was_never_made_is_refused(client):
    for path in (PATH, f"{PATH}/batch"):
        assert client.post(path, json={}, headers={"authorization": "Bearer pk_write_no"}).status_code == 401
    assert client.get(PATH, headers={"authorization": "Bearer pk_read_no"}).status_code == 401


def test_an_answer_has_products_with_reasons_in_both_languages_and_what_to_send_back(ask):
    made = ask(user_id="u8").json()
    assert made["scenario"] == "home"
    assert made["is_personal"]
    assert made["model_version"] == "2026-03-01"
    first = made["products"][0]
    assert first["product_id"] in {"p8", "p9", "p10", "p11"}
    assert first["reason"]["texts"]["en"].startswith("You buy this about every ")
    assert first["reason"]["texts"]["zh-CN"].startswith("您大约每 ")
    assert {"decision_id", "list_id", "product_id", "position", "propensity"} <= first["event"].keys()
    assert first["event"]["list_id"] == made["list_id"]


def test_a_customer_by_our_own_id_gets_the_list_of_their_user_id(client, ask):
    customer_id = client.post("/api/customers/lookup", json={"shop_id": "u8"}).json()["customer_id"]
    by_id = client.get(PATH, params={"customer_id": customer_id})
    assert by_id.json()["is_personal"]
    assert best(by_id) == best(ask(user_id="u8"))


def test_unknown_people_and_products_get_what_is_popular(client, ask):
    stranger = best(ask("write"))
    assert best(ask(user_id="nobody")) == stranger
    assert best(ask("write", anonymous_id="nobody", product_ids=["no such product"])) == stranger
    by_id = client.get(PATH, params={"customer_id": "zzz", "product_id": ["nothing", "p30"], "k": 3})
    assert len(ids(by_id)) == 3
    assert not by_id.json()["is_personal"]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"k": 0}, "k is below 1"),
        ({"k": 101}, "k is above 100"),
        ({"k": "many"}, "k is not a whole number"),
        ({"min_relevance": 1.5}, "min_relevance is above 1"),
        ({"min_relevance": "high"}, "min_relevance is not a number"),
        ({"scenario": "checkout"}, "there is no scenario 'checkout'"),
        ({"scenario": ["home"]}, "scenario is not a text"),
        ({"user_id": 7}, "user_id is not a text"),
        ({"user_id": ""}, "user_id is shorter than 1"),
        ({"product_ids": "p1"}, "product_ids is not a list"),
        ({"product_ids": ["p1"] * 101}, "product_ids has more than 100"),
        ({"only": ["p1"] * 10_001}, "only has more than 10000"),
        ({"only": [None]}, "only is not a text"),
        ({"user": "u1"}, "user is not known here"),
        ({"customer_id": "a", "user_id": "b"}, "identify the shopper by customer_id, or by"),
    ],
)
def test_what_is_wrong_is_named(ask, body, what):
    answer = ask(**body)
    assert answer.status_code == 422
    assert what in answer.json()["what"]


def test_addresses_and_bodies_that_are_not_what_is_taken_are_refused(client, keys):
    assert client.get(PATH, params={"k": 0}).status_code == 422
    assert client.get(PATH, params={"user_id": "u8"}).status_code == 422, "an address is in logs"
    for content in (b"", b"[]", b"{", b"\xff"):
        answer = client.post(PATH, content=content, headers=keys["secret"] | {"content-type": "application/json"})
        assert 400 <= answer.status_code < 500
        assert answer.json()["what"]
    many = {"user_ids": [f"u{n}" for n in range(1_001)]}
    assert client.post(f"{PATH}/batch", json=many, headers=keys["secret"]).status_code == 422


def test_ten_thousand_products_may_be_allowed(ask):
    allowed = [f"nobody-sells-this-{n}" for n in range(9_998)] + ["p8", "p7"]
    answer = ask(user_id="u8", only=allowed)
    assert ids(answer) == ["p8"]
    assert answer.json()["why_short"] == {"out_of_stock": 1, "no_candidate": 8}
    assert answer.json()["next"] is None
    assert ids(ask(user_id="u8", only=[])) == []


def test_the_next_page_goes_on_and_an_unknown_list_is_not_found(ask):
    first = ask("write", anonymous_id="v", k=6)
    second = ask("write", next=first.json()["next"], k=6)
    assert len({*ids(first), *ids(second)}) == 12
    assert [product["position"] for product in second.json()["products"]] == list(range(7, 13))
    assert second.json()["list_id"] == first.json()["list_id"]
    gone = ask(next="never was")
    assert gone.status_code == 404
    assert gone.json()["todo"] == "Request a new list."


def test_a_page_of_another_site_may_ask_and_reads_refusals(client, keys):
    origin = {"Origin": "https://shop.example"}
    wishes = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    preflight = client.options(PATH, headers=origin | wishes)
    assert preflight.status_code == 204
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    for key, body in (("write", {}), ("none", {}), ("write", {"user_id": "u8"}), ("write", {"k": 0})):
        answer = client.post(PATH, json=body, headers=keys[key] | origin)
        assert answer.headers["access-control-allow-origin"] == "*"
    for answer in (client.get(PATH, headers=origin), client.options(f"{PATH}/batch", headers=origin | wishes)):
        assert "access-control-allow-origin" not in answer.headers


def answers_consent(shop, user_id, *, is_granted):
    at = datetime(2026, 2, 1, tzinfo=UTC)
    token, rest = Vault.open(shop).token("user_id", user_id), dict.fromkeys(CONTENT)
    entry = {"event": user_id, "token": token, "purpose": "marketing", "is_granted": is_granted, "basis": "consent"}
    write_consents(shop.store, [Consent(**rest | entry | {"occurred_at": iso_time(at), "known_at": iso_time(at)})])


def test_lists_for_messages_are_only_of_those_who_may_be_written_to(ask, shop):
    answers_consent(shop, "u1", is_granted=True)
    answers_consent(shop, "u2", is_granted=False)
    people = ["u1", "u2", "u3", "u1", "nobody"]
    policy = shop.folder / POLICY_FILE
    before = policy.read_text()
    try:
        made = ask(path=f"{PATH}/batch", user_ids=people).json()
        assert [list_["user_id"] for list_ in made["lists"]] == ["u1"]
        assert made["refused_count"] == 3
        assert made["lists"][0]["recommendation"]["scenario"] == "message"
        assert len(made["lists"][0]["recommendation"]["products"]) == 10
        policy.write_text(before.replace('unknown = "refuse"', 'unknown = "allow"'))
        shop.reload_settings()
        made = ask(path=f"{PATH}/batch", user_ids=people).json()
        assert [list_["user_id"] for list_ in made["lists"]] == ["u1", "u3", "nobody"]
        assert made["refused_count"] == 1
        on_page = ask(path=f"{PATH}/batch", user_ids=people, scenario="home").json()
        assert len(on_page["lists"]) == 4, "only messages need consent"
    finally:
        policy.write_text(before)
        shop.reload_settings()


def test_a_batch_of_everybody_is_one_answer(ask):
    made = ask(path=f"{PATH}/batch", user_ids=[f"u{n}" for n in range(CUSTOMERS)], scenario="home", k=3).json()
    assert len(made["lists"]) == CUSTOMERS
    assert all(len(list_["recommendation"]["products"]) == 3 for list_ in made["lists"])


def test_an_event_changes_the_next_answer(client, ask, keys):
    before = best(ask("write", anonymous_id="v9"))
    view = {"event": "Product Viewed", "anonymousId": "v9", "properties": {"product_id": "p20"}}
    sent = client.post("/v1/track", json=view, headers=keys["write"])
    assert sent.json()["success"]
    after = ask("write", anonymous_id="v9")
    reasons = {product["reason"]["texts"]["en"] for product in after.json()["products"]}
    assert "Goes with Product 20, which you looked at" in reasons
    assert best(after) != before
    assert best(ask("write", anonymous_id="v10")) == before


def test_what_the_shopper_hides_goes_and_forged_feedback_teaches_nothing(client, ask, keys):
    first, second = ask("write", anonymous_id="v11").json()["products"][:2]
    forged = {**second["event"], "position": 1}
    for name, properties in (("Hidden", first["event"]), ("Clicked", forged)):
        event = {"event": f"Recommendation {name}", "anonymousId": "v11", "properties": properties}
        assert client.post("/v1/track", json=event, headers=keys["write"]).json()["success"]
    assert first["product_id"] not in ids(ask("write", anonymous_id="v11"))
    assert first["product_id"] in ids(ask("write", anonymous_id="v12"))


def test_the_schema_says_which_key_each_path_takes(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert paths[PATH]["get"]["security"] == [{"Session": []}, {"ReadKey": []}, {"SecretKey": []}]
    assert paths[PATH]["post"]["security"] == [{"WriteKey": []}, {"SecretKey": []}]
    assert paths[f"{PATH}/batch"]["post"]["security"] == [{"Session": []}, {"SecretKey": []}]
