"""What the order exports of Shopify and WooCommerce say of refunds, from the file to the booked lines."""

from datetime import UTC, datetime, timedelta

import pytest

from patron.collect.file_import import import_files
from patron.schema.tables import EVENTS
from patron.storage.engine import DuckEngine
from patron.storage.settings import EngineSettings
from patron.storage.shop import Shop
from patron.understand.facts import FACTS, lookups
from patron.understand.facts.customer_consents import LEDGER
from patron.understand.facts.usable_events import Scope

RECEIVED_AT = datetime(2024, 6, 1, 12, 30, 5, 250000, tzinfo=UTC)
SHOPIFY = (
    "Name,Email,Financial Status,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Refunded Amount,Source\n"
)
SHOPIFY_ROW = "#1,a@x.org,{},USD,25.00,0,0,25.00,,0,2023-01-01 10:00:00 -0500,1,Cup,25.00,CUP,,{},web\n"
WOO = 'Order Number,Order Status,Order Date,Email (Billing),Item Name,SKU,Item Cost,"Quantity (- Refund)",Item #{}\n'


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop = Shop.create(tmp_path / "w")
    yield shop
    shop.close()


@pytest.fixture
def bring(shop, tmp_path):
    def bring(mapping: str, content: str, received_at: datetime = RECEIVED_AT):
        path = tmp_path / "export.csv"
        path.write_text(content)
        return import_files(shop, [str(path)], mapping=mapping, received_at=received_at)

    return bring


def booked(shop: Shop, as_of: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> list[tuple[str, bool, int, int]]:
    """Order lines known before a time: product, whether it is a refund, units and cents."""
    scope = Scope(as_of)
    engine = DuckEngine(EngineSettings(threads=1))
    tables = {"events": shop.lake.read(EVENTS)}
    tables |= lookups(scope, {}, lambda sql: engine.query(sql, {"events": tables["events"]}), LEDGER.empty_table())
    for name in ("token_pairs", "identities", "traits", "products", "order_lines"):
        tables[name] = engine.query(FACTS[name](scope), tables)
    lines = tables["order_lines"].to_pylist()
    return sorted((line["product_id"] or "", line["is_refund"], line["quantity"], line["paid_cents"]) for line in lines)


def test_a_woocommerce_line_that_was_refunded_whole_is_a_sale_and_a_refund_with_its_money(shop, bring):
    bring("woocommerce", WOO.format("") + "1,Refunded,2023-01-02 10:00,a@x.org,Cup,CUP,10,0,1\n")
    assert booked(shop) == [("CUP", False, 1, 1000), ("CUP", True, -1, -1000)]


def test_a_refunded_line_of_a_woocommerce_order_that_stands_is_refunded_alone(shop, bring):
    rows = "1,Completed,2023-01-02 10:00,a@x.org,Cup,CUP,10,0,1\n1,Completed,2023-01-02 10:00,a@x.org,Pot,POT,7,2,2\n"
    bring("woocommerce", WOO.format("") + rows)
    assert booked(shop) == [("CUP", False, 1, 1000), ("CUP", True, -1, -1000), ("POT", False, 2, 1400)]


def test_a_later_woocommerce_export_with_the_line_refunded_refunds_all_that_was_sold(shop, bring):
    bring("woocommerce", WOO.format("") + "1,Completed,2023-01-02 10:00,a@x.org,Cup,CUP,10,3,1\n")
    again = bring("woocommerce", WOO.format("") + "1,Refunded,2023-01-02 10:00,a@x.org,Cup,CUP,10,0,1\n")
    assert (again.stored, again.duplicate) == (1, 1)
    assert booked(shop) == [("CUP", False, 3, 3000), ("CUP", True, -3, -3000)]


def test_an_undated_refund_is_known_when_the_export_is_imported(shop, bring):
    bring("woocommerce", WOO.format("") + "1,Refunded,2023-01-02 10:00,a@x.org,Cup,CUP,10,0,1\n")
    bring("shopify", SHOPIFY + SHOPIFY_ROW.format("refunded", "25.00"))
    refunds = [event for event in shop.lake.read(EVENTS).to_pylist() if "Refunded" in event["name"]]
    assert [(event["occurred_at"], event["known_at"]) for event in refunds] == [(RECEIVED_AT, RECEIVED_AT)] * 2
    assert [line for line in booked(shop, as_of=RECEIVED_AT) if line[1]] == []


def test_a_woocommerce_export_with_modification_dates_dates_its_refunds_by_them(shop, bring):
    row = "1,Refunded,2023-01-02 10:00,a@x.org,Cup,CUP,10,0,1,2023-01-09 08:00\n"
    bring("woocommerce", WOO.format(",Modification Date") + row)
    known = {event["name"]: event["known_at"] for event in shop.lake.read(EVENTS).to_pylist()}
    assert known["Order Line Completed"] == datetime(2023, 1, 2, 10, tzinfo=UTC)
    assert known["Order Line Refunded"] == datetime(2023, 1, 9, 8, tzinfo=UTC)


def test_a_shopify_refund_that_has_grown_books_the_growth_once(shop, bring):
    for day, refunded in enumerate(["0", "5.00", "5.00", "12.50", "12.50", "25.00"]):
        bring(
            "shopify", SHOPIFY + SHOPIFY_ROW.format("partially_refunded", refunded), RECEIVED_AT + timedelta(days=day)
        )
    given_back = [line[3] for line in booked(shop) if line[1]]
    assert sorted(given_back) == [-1250, -750, -500]
    by_then = booked(shop, as_of=RECEIVED_AT + timedelta(days=3, seconds=1))
    assert sum(line[3] for line in by_then) == 2500 - 1250


def test_an_older_shopify_export_imported_later_refunds_nothing_again(shop, bring):
    bring("shopify", SHOPIFY + SHOPIFY_ROW.format("partially_refunded", "12.50"))
    bring("shopify", SHOPIFY + SHOPIFY_ROW.format("partially_refunded", "5.00"), RECEIVED_AT + timedelta(days=1))
    assert [line for line in booked(shop) if line[1]] == [("", True, 0, -1250)]
