"""What is declared plain stays queryable; identifiers that are personal become tokens by which rows still join."""

import json
from datetime import UTC, datetime

import pytest

from patron.answers.sql_query import sql
from patron.collect.file_import import import_files
from patron.collect.request import source_rules, validate_batch
from patron.collect.segment_message import raw_event_of
from patron.collect.tracking_plan import FOLDER, load_tracking_plan
from patron.collect.workspace_inbox import open_inbox
from patron.commands.export import export_customer
from patron.commands.forget import forget
from patron.commands.trace import trace
from patron.govern.vault import Vault
from patron.run import drain_inbox
from patron.schema.errors import SettingsError
from patron.schema.tables import EVENTS
from patron.storage.store import WORDINGS

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
    send(shop, message(1, product_id="p1", shelf="A 7", is_gift=True, level=3, share=0.125, phone_digits=4915112345678))
    assert json.loads(events(shop)["m1"]["properties"]) == {"is_gift": True, "level": 3, "share": 0.125}
    [text] = Vault.open(shop).texts([Vault.open(shop).token("user_id", "u1")])
    assert json.loads(text["text"]) == {"shelf": "A 7", "phone_digits": 4915112345678}


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
    exported = json.dumps(export_customer(shop, user_id="u1", now=NOW), default=str)
    assert f"order {ADDRESS}" in exported


def test_a_message_id_with_an_address_is_stored_once_traced_and_forgotten(shop):
    sent = message(1) | {"messageId": f"view {ADDRESS}"}
    assert (send(shop, sent).stored, send(shop, sent).duplicate) == (1, 1)
    assert {"seen", "events"} <= {step.place for step in trace(shop, f"view {ADDRESS}").steps}
    file = shop.folder.parent / "again.jsonl"
    file.write_text(json.dumps(sent))
    (shop.folder.parent / "web.toml").write_text('name = "web"\nformat = "segment"\n')
    again = import_files(shop, [str(file)], mapping=shop.folder.parent / "web.toml", received_at=NOW)
    assert (again.stored, again.duplicate) == (0, 1)
    forget(shop, user_id="u1", now=NOW)
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
    [entry] = export_customer(shop, user_id="u1", now=NOW)["tables"]["ledger of consents"]
    assert (entry["words"], entry["wording_version"]) == (words, "3")
    forget(shop, user_id="u1", now=NOW)
    with shop.store.begin() as connection:
        assert connection.execute(WORDINGS.select()).all() == []


def test_the_message_of_a_dead_letter_names_no_order_that_is_personal(shop):
    send(shop, message(1, "Order Completed", order_id=ADDRESS, revenue=10, currency="XXX"))
    with shop.store.begin() as connection:
        [[said]] = connection.exec_driver_sql("select message from dead_letters").all()
    assert ADDRESS not in said
    assert said.startswith("order i_")


def test_an_object_where_a_text_belongs_goes_to_the_vault():
    row = raw_event_of(message(1, product_id="p1", brand={"name": "Zyann"}, name=["Zyann"]))
    assert (row.get("brand"), row.get("product_name"), row["properties"]) == (None, None, None)
    assert json.loads(row["texts"]) == {"brand": {"name": "Zyann"}, "name": ["Zyann"]}
