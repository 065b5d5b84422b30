"""What is declared plain stays queryable; identifiers that are personal become tokens by which rows still join."""

import json
from datetime import UTC, datetime

import pytest

from patron.answers.data.sql_query import sql
from patron.collect.files.file_import import import_files
from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.raw_objects import split_objects
from patron.collect.request import source_rules, validate_batch
from patron.collect.segment_message import raw_event_of
from patron.collect.tracking_plan import FOLDER, load_tracking_plan
from patron.commands.data.trace import trace
from patron.commands.privacy.export import export_customer
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.schema.data.raw_events import raw_events_table
from patron.schema.errors import SettingsError
from patron.schema.tables import EVENTS
from patron.storage.store.store import WORDINGS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESS = "zyann@example.org"
PLAN = {
    "type": "object",
    "properties": {
        "shelf": {"type": "string", "x-patron": "plain"},
        "quiz": {"properties": {"answer": {"x-patron": "plain"}}},
        "products": {"type": "array", "items": {"properties": {"rack": {"x-patron": "plain"}}}},
    },
}


def message(number, event="Product Viewed", **properties):
    at = "2026-03-01T11:59:00Z"
    return {
        "type": "track",
        "event": event,
        "messageId": f"m{number}",
        "userId": "u1",
        "timestamp": at,
        "properties": properties,
    }


def send(shop, *messages, is_secret=True):
    plan = load_tracking_plan(shop.folder, is_strict=False)
    rules = source_rules(shop, "web", plan, is_secret=is_secret, is_history=False)
    with open_inbox(shop) as inbox:
        counts = inbox.append([validate_batch(json.dumps({"batch": messages}).encode(), "web", NOW, rules)])
    drain_inbox(shop)
    return counts[0]


def write_plan(shop, name="Product Viewed", plan=PLAN):
    (shop.folder / FOLDER).mkdir(exist_ok=True)
    (shop.folder / FOLDER / f"{name}.json").write_text(json.dumps(plan))


def events(shop):
    return {row["event_id"]: row for row in shop.lake.read(EVENTS).to_pylist()}


def test_words_under_undeclared_keys_go_to_the_vault_flags_and_short_numbers_stay(shop):
    send(shop, message(1, product_id="p1", shelf="A 7", is_gift=True, level=3, share=0.125, digits=4915112345678))
    assert json.loads(events(shop)["m1"]["properties"]) == {"is_gift": True, "level": 3, "share": 0.125}
    [text] = Vault.open(shop).texts([Vault.open(shop).token("user_id", "u1")])
    assert json.loads(text["text"]) == {"shelf": "A 7", "digits": 4915112345678}


def test_what_the_tracking_plan_declares_plain_is_queryable_except_for_personal_data(shop):
    write_plan(shop)
    items = [{"sku": "a", "rack": "R 5", "note": "for Zyann"}]
    send(shop, message(1, shelf="A 7", quiz={"answer": "tea", "name": "Zyann"}, products=items))
    send(shop, message(2, shelf=f"ask {ADDRESS}", quiz={"answer": "0171 2345678"}))
    query = """select event_id, properties->>'$.shelf' as shelf, properties->>'$.quiz.answer' as answer
        from events order by event_id"""
    assert [tuple(row.values()) for row in sql(shop, query).to_pylist()] == [("m1", "A 7", "tea"), ("m2", None, None)]
    assert json.loads(events(shop)["m1"]["properties"]) == {
        "shelf": "A 7",
        "quiz": {"answer": "tea"},
        "products": [{"rack": "R 5"}],
    }


@pytest.mark.parametrize("mark", ["clear", True])
def test_a_mark_of_the_plan_that_means_nothing_is_refused(shop, mark):
    write_plan(shop, plan={"properties": {"shelf": {"x-patron": mark}}})
    with pytest.raises(SettingsError, match="x-patron of shelf"):
        load_tracking_plan(shop.folder, is_strict=False)


def test_an_order_named_by_an_address_still_joins_its_refund_and_its_product(shop):
    bought = [{"product_id": ADDRESS, "price": 10, "quantity": 1}]
    send(
        shop,
        message(1, "Order Completed", order_id=f"order {ADDRESS}", revenue=10, products=bought),
        message(2, "Order Refunded", order_id=f"order {ADDRESS}", total=4),
        message(3, "Product Updated", product_id=ADDRESS, name="Engraved ring", category="Rings"),
    )
    of = events(shop)
    assert of["m1"]["order_id"] == of["m2"]["order_id"] == Vault.open(shop).token("identifier", f"order {ADDRESS}")
    assert (
        of["m1"]["products"][0]["product_id"] == of["m3"]["product_id"] == Vault.open(shop).token("identifier", ADDRESS)
    )
    assert of["m1"]["order_id"].startswith("i_")
    assert Vault.open(shop).reveal_identifiers([of["m3"]["product_id"], "p1"]) == [ADDRESS, "p1"]
    assert of["m1"]["flags"] == ["personal_value"]
    exported = json.dumps(export_customer(RequestContext.from_name(shop, now=NOW), user_id="u1"), default=str)
    assert f"order {ADDRESS}" in exported
    send(shop, message(4, "Product Viewed", product_id=ADDRESS) | {"userId": "u2"})
    assert forget(RequestContext.from_name(shop, now=NOW), user_id="u1").erased["keys of orders and products"] == 1
    order, product = of["m1"]["order_id"], of["m3"]["product_id"]
    assert Vault.open(shop).reveal_identifiers([order, product]) == [order, ADDRESS]


def test_a_message_id_with_an_address_is_stored_once_traced_and_forgotten(shop):
    sent = message(1) | {"messageId": f"view {ADDRESS}"}
    assert (send(shop, sent).stored, send(shop, sent).duplicate) == (1, 1)
    assert {"seen", "events"} <= {step.place for step in trace(shop, f"view {ADDRESS}").steps}
    file = shop.folder.parent / "again.jsonl"
    file.write_text(json.dumps(sent))
    (shop.folder.parent / "web.toml").write_text('name = "web"\nformat = "segment"\n')
    again = import_files(shop, [str(file)], mapping=shop.folder.parent / "web.toml", received_at=NOW)
    assert (again.stored, again.duplicate) == (0, 1)
    forget(RequestContext.from_name(shop, now=NOW), user_id="u1")
    assert events(shop) == {}


def test_an_unknown_event_named_by_an_address_becomes_a_token_others_keep_their_names(shop):
    send(shop, message(1, f"Mail to {ADDRESS}"), message(2, "Quiz Finished"))
    assert events(shop)["m1"]["name"].startswith("i_")
    assert events(shop)["m2"]["name"] == "Quiz Finished"


def test_words_of_a_consent_are_sealed_proven_and_forgotten(shop):
    words = "I, Zyann Zylberg, agree."
    send(shop, message(1, "Consent Given", purpose="marketing", wording=words, wording_version="3"))
    with shop.store.begin() as connection:
        [[stored]] = connection.execute(WORDINGS.select().with_only_columns(WORDINGS.c.words)).all()
    assert "Zyann" not in stored
    assert "Zyann" not in str(events(shop))
    [entry] = export_customer(RequestContext.from_name(shop, now=NOW), user_id="u1")["tables"]["ledger of consents"]
    assert (entry["words"], entry["wording_version"]) == (words, "3")
    forget(RequestContext.from_name(shop, now=NOW), user_id="u1")
    with shop.store.begin() as connection:
        assert connection.execute(WORDINGS.select()).all() == []


def test_the_message_of_a_dead_letter_names_no_order_that_is_personal(shop):
    send(shop, message(1, "Order Completed", order_id=ADDRESS, revenue=10, currency="XXX"))
    with shop.store.begin() as connection:
        [[said]] = connection.exec_driver_sql("select message from dead_letters").all()
    assert ADDRESS not in said
    assert said.startswith("order i_")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"filters": [{"type": "size", "value": {"note": "Zyann"}}]}, {"filters": [{"type": "size"}]}),
        ({"filters": [{"type": "price", "value": [10, 20]}]}, {"filters": [{"type": "price", "value": [10, 20]}]}),
        ({"sorts": [{"type": "price", "value": 13912345678}]}, {"sorts": [{"type": "price"}]}),
        ({"here": [52.520008, 13.404954], "at": [52.52, 13.4], "sizes": [41, 42]}, {"sizes": [41, 42]}),
        (dict.fromkeys(("birthYear", "dob_1", "gps", "zip4", "plz", "pin", "cvv", "otp", "isPregnant"), 7), None),
        (
            dict.fromkeys(("hiv_status", "home_phone_1", "tel", "mobile2", "pincode", "cvc"), 7) | {"archive": 1},
            {"archive": 1},
        ),
    ],
    ids=str,
)
def test_under_undeclared_keys_only_what_says_nothing_stays(sent, kept):
    for row in (raw_event_of(message(1, "Product List Filtered", **sent)), as_file(sent, "Product List Filtered")):
        assert json.loads(row["properties"] or "null") == kept


def as_file(properties, event):
    rows = raw_events_table([{"event_id": "1", "name": event, "properties": json.dumps(properties)}])
    return split_objects(rows).to_pylist()[0]


def test_a_large_declared_amount_stays():
    for amount, kept in ((2_500_000, {"subtotal": 2_500_000.0}), (2_500_000.5, {"subtotal": 2_500_000.5})):
        row = raw_event_of(message(1, "Order Completed", order_id="o", revenue=1, subtotal=amount))
        assert json.loads(row["properties"]) == kept
        assert json.loads(as_file({"subtotal": amount}, "Order Completed")["properties"]) == kept


@pytest.mark.parametrize(("locale", "zone"), [("zh-Hans-CN", "America/Argentina/Buenos_Aires"), ("es-419", "UTC")])
def test_locales_and_time_zones_stay_nothing_else_does(locale, zone):
    clear = {"locale": locale, "timezone": zone}
    row = raw_event_of(message(1) | {"context": clear})
    assert json.loads(row["properties"]) == {"context": clear}
    personal = {"locale": "de-Zyann", "timezone": "Zyann/Zylberg"}
    row = raw_event_of(message(1) | {"context": personal})
    assert (row["properties"], json.loads(row["personal"])) == (None, {"context": personal})
    assert as_file({"context": personal}, "Page")["properties"] is None


def test_a_number_that_is_declared_plain_is_searched_and_the_event_flagged(shop):
    write_plan(shop)
    send(shop, message(1, shelf=13912345678), message(2, shelf=1234567), message(3, shelf=4111111111111111))
    beside = (f"https://x.de{mark}+4917012345678" for mark in (",", " ", "\t", "\u3000", "/a "))
    send(shop, *(message(f"b{n}", shelf=one) for n, one in enumerate(beside)))
    send(shop, message("e", "Anna +49 170 1234567 https://shop.de"))
    of = events(shop)
    assert [of[one]["properties"] for one in ("m1", "m2", "m3")] == [None, '{"shelf":1234567}', None]
    assert {of[f"mb{n}"]["properties"] for n in range(5)} == {None}
    assert of["me"]["name"].startswith("i_")
    assert [("personal_value" in (of[one]["flags"] or ())) for one in ("m1", "m2", "m3")] == [True, False, True]


def test_an_object_where_a_text_belongs_goes_to_the_vault():
    row = raw_event_of(message(1, product_id="p1", brand={"name": "Zyann"}, name=["Zyann"]))
    assert (row.get("brand"), row.get("product_name"), row["properties"]) == (None, None, None)
    assert json.loads(row["texts"]) == {"brand": {"name": "Zyann"}, "name": ["Zyann"]}
