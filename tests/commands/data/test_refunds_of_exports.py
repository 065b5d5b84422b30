"""What the order exports of Shopify and WooCommerce say of refunds, from the file to the booked lines."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from patron.collect.files.file_import import FileOptions, import_files
from patron.collect.files.mapping import MAPPINGS, load_mapping
from patron.schema.errors import BadMapping
from patron.schema.tables import EVENTS
from patron.storage.duck_engine import DuckEngine
from patron.storage.settings import EngineSettings
from patron.storage.shop import SETTINGS_FILE, Shop
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
def bring(shop, tmp_path):
    def bring(mapping: str, content: str, received_at: datetime = RECEIVED_AT, **options):
        path = tmp_path / "export.csv"
        path.write_text(content)
        return import_files(shop, [str(path)], mapping=mapping, received_at=received_at, options=FileOptions(**options))

    return bring


def facts(shop: Shop, *names: str, as_of: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> list[dict]:
    """Rows of the last of these facts, known before a time."""
    scope = Scope(as_of)
    engine = DuckEngine(EngineSettings(threads=1))
    tables = {"events": shop.lake.read(EVENTS)}
    tables |= lookups(scope, {}, lambda sql: engine.query(sql, {"events": tables["events"]}), LEDGER.empty_table())
    for name in ("token_pairs", "identities", "traits", "products", "order_lines", *names):
        tables[name] = engine.query(FACTS[name](scope), tables)
    return tables[names[-1] if names else "order_lines"].to_pylist()


def cleaned(shop: Shop) -> dict[str, int]:
    """Rows that each check of cleaning counts."""
    return {row["check_code"]: row["row_count"] for row in facts(shop, "cleaning")}


def booked(shop: Shop, as_of: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> list[tuple[str, bool, int, int]]:
    """Order lines known before a time: product, whether it is a refund, units and cents."""
    lines = facts(shop, as_of=as_of)
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
    known = datetime(2024, 6, 1, 12, 30, 4, 999999, tzinfo=UTC)
    assert [(event["occurred_at"], event["known_at"]) for event in refunds] == [(known, known)] * 2
    assert {event["received_at"] for event in refunds} == {RECEIVED_AT}
    assert [line for line in booked(shop, as_of=known) if line[1]] == []


def test_a_run_as_of_now_right_after_the_import_sees_its_undated_refunds_and_one_before_does_not(shop, bring):
    bring("shopify", SHOPIFY + SHOPIFY_ROW.format("refunded", "25.00"))
    now = RECEIVED_AT.replace(microsecond=0)  # as --as-of now does
    as_of_times = (RECEIVED_AT.replace(second=0, microsecond=0), now - timedelta(seconds=1), now)
    assert [sum(line[3] for line in booked(shop, as_of=as_of)) for as_of in as_of_times] == [2500, 2500, 0]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_a_run_of_the_day_before_does_not_see_undated_refunds_of_an_import_just_after_midnight(tmp_path, shop, zone):
    (tmp_path / "w" / SETTINGS_FILE).write_text(f'[shop]\ntime_zone = "{zone}"\n', encoding="utf-8")
    shop.reload_settings()
    midnight = datetime(2024, 6, 1, tzinfo=ZoneInfo(zone))
    export = tmp_path / "midnight.csv"
    export.write_text(SHOPIFY + SHOPIFY_ROW.format("refunded", "25.00"))
    received_at = (midnight + timedelta(microseconds=300_000)).astimezone(UTC)
    import_files(shop, [str(export)], mapping="shopify", received_at=received_at)
    as_of_times = (midnight, midnight + timedelta(seconds=1))
    assert [sum(line[3] for line in booked(shop, as_of=as_of)) for as_of in as_of_times] == [2500, 0]


def test_refunds_that_count_from_their_order_are_booked_there_also_after_an_import_that_dated_them_later(shop, bring):
    woo = WOO.format("") + "1,Refunded,2023-01-02 10:00,a@x.org,Cup,CUP,10,0,1\n"
    shopify = SHOPIFY + SHOPIFY_ROW.format("partially_refunded", "5.00")
    for mapping, export in (("woocommerce", woo), ("shopify", shopify)):
        assert bring(mapping, export).stored == 2
        again = bring(mapping, export, refunds_known_at="order")
        assert (again.stored, again.duplicate) == (1, 1)
        assert bring(mapping, export, refunds_known_at="order").stored == 0
    soon = booked(shop, as_of=datetime(2023, 1, 3, tzinfo=UTC))
    assert soon == booked(shop)
    assert sum(line[3] for line in soon) == 2000


def test_a_mapping_may_say_that_refunds_count_from_their_order(shop, bring, tmp_path):
    text = (MAPPINGS / "shopify.toml").read_text(encoding="utf-8")
    mapping = tmp_path / "mine.toml"
    mapping.write_text('refunds_known_at = "order"\n' + text)
    bring(mapping, SHOPIFY + SHOPIFY_ROW.format("refunded", "25.00"))
    assert sum(line[3] for line in booked(shop, as_of=datetime(2023, 1, 3, tzinfo=UTC))) == 0
    mapping.write_text('refunds_known_at = "never"\n' + text)
    with pytest.raises(BadMapping, match=r"refunds_known_at is never.*import.*order"):
        load_mapping(mapping)


def test_a_dated_refund_is_the_same_event_wherever_undated_ones_are_known(bring):
    row = "1,Refunded,2023-01-02 10:00,a@x.org,Cup,CUP,10,0,1,2023-01-09 08:00\n"
    export = WOO.format(",Modification Date") + row
    assert bring("woocommerce", export).stored == 2
    assert bring("woocommerce", export, refunds_known_at="order").stored == 0


REFUNDS_OF_ORDERS = (
    ("25.00", "4.90", "0", "29.90", "29.90", 2500),
    ("25.00", "4.90", "3.99", "29.90", "10.00", 1000),  # prices with tax
    ("20.00", "5.00", "1.60", "26.60", "26.60", 2000),
    ("20.00", "5.00", "1.60", "26.60", "10.80", 1000),  # tax on top
    ("20.00", "5.00", "1.60", "26.60", "24.00", 2000),
)
"""Subtotal, shipping, taxes, total and refund, and what of it was revenue, cents."""


def test_a_shopify_refund_of_shipping_and_taxes_takes_no_revenue_back(shop, bring):
    rows = [
        f"#{number},a{number}@x.org,refunded,USD,{subtotal},{shipping},{taxes},{total},,0,2023-01-01 10:00:00 -0500,"
        f"1,Cup,{subtotal},CUP,,{refunded},web\n"
        for number, (subtotal, shipping, taxes, total, refunded, _) in enumerate(REFUNDS_OF_ORDERS)
    ]
    assert bring("shopify", SHOPIFY + "".join(rows)).rejected == 0
    returned = sorted((line["order_id"], line["paid_cents"]) for line in facts(shop) if line["is_refund"])
    assert returned == [(f"#{number}", -cents) for number, (*_, cents) in enumerate(REFUNDS_OF_ORDERS)]
    assert cleaned(shop)["refund_above_what_was_paid"] == 0


def test_a_shopify_discount_on_shipping_is_none_on_the_goods(shop, bring):
    row = "#1,a@x.org,refunded,USD,25.00,0,0,25.00,FREESHIP,4.90,2023-01-01 10:00:00 -0500,1,Cup,25.00,CUP,,25.00,web\n"
    bring("shopify", SHOPIFY + row)
    assert sorted(line[3] for line in booked(shop)) == [-2500, 2500]
    assert cleaned(shop)["refund_above_what_was_paid"] == 0


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
