"""Each built-in mapping on a small file of its kind; whole data sets where PATRON_TEST_DATA names their folder."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from patron.collect.files.file_import import import_files
from patron.collect.files.mapping import BUILT_IN, MAPPINGS, load_mapping
from patron.govern.privacy.consent_ledger import history, latest_answers
from patron.govern.vault import Vault
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS


@pytest.fixture
def priced(shop, monkeypatch):
    """Open the shop with the currency that a mapping states, as its first import would have it."""

    def priced(mapping: str) -> Shop:
        monkeypatch.setenv("PATRON_SHOP__CURRENCY", load_mapping(mapping).currency or "USD")
        return Shop.open(shop.folder)

    return priced


@pytest.fixture
def bring(priced, tmp_path, received_at):
    def bring(mapping: str, **files: str):
        paths, shop = [], priced(mapping)
        for name, content in files.items():
            paths.append(tmp_path / name.replace("__", "."))
            paths[-1].write_text(content)
        summary = import_files(shop, [str(path) for path in paths], mapping=mapping, received_at=received_at)
        stored = shop.lake.read(EVENTS).to_pylist() if summary.stored else []
        return summary, sorted(stored, key=lambda e: (e["name"], e["order_id"] or "", e["product_id"] or ""))

    return bring


def reasons(shop) -> list[str]:
    with shop.store.begin() as connection:
        return sorted(connection.scalars(sa.select(DEAD_LETTERS.c.reason)))


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_mapping_loads_under_its_own_name_and_says_what_it_decides(name):
    assert load_mapping(name).name == name
    assert (MAPPINGS / f"{name}.toml").read_text(encoding="utf-8").startswith("# ")


def test_cdnow_rows_are_whole_orders(bring):
    _, [event] = bring("cdnow", f__csv="customer_id,date,units,value\n00001,1997-01-01,2,11.77\n")
    assert (event["name"], event["revenue_cents"], event["quantity"]) == ("Order Completed", 1177, 2)
    assert event["occurred_at"] == datetime(1997, 1, 1, tzinfo=UTC)


def test_online_retail_has_sales_refunds_postage_and_what_is_no_sale(shop, bring):
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    rows = [
        "536365,85123a,HEART,6,2011-07-01 08:26:00,2.55,17850.0,United Kingdom",
        "536365,85123a,HEART,6,2011-07-01 08:26:00,2.55,17850.0,United Kingdom",
        "536366,71053,LANTERN,1,2011-01-01 08:00:00,3.39,,France",
        "536366,22222,LAMP,1,2011-01-01 08:00:00,1,,France",
        "C536379,D,Discount,-1,2011-01-01 09:00:00,27.50,14527,United Kingdom",
        "536370,POST,POSTAGE,3,2011-01-01 08:45:00,18,12583,France",
        "536414,22139,,56,2011-01-01 11:52:00,0,,United Kingdom",
        "536415,22139,damages,-56,2011-01-01 11:52:00,0,,United Kingdom",
        "C536420,AMAZONFEE,AMAZON FEE,-1,2011-01-01 12:00:00,13541.33,,United Kingdom",
    ]
    summary, events = bring("online-retail", f__csv=header + "\n".join(rows) + "\n")
    assert (summary.stored, summary.rejected) == (6, 3)
    assert reasons(shop) == ["not_a_sale", "stock_adjustment", "stock_adjustment"]
    by_order = {event["order_id"]: event for event in events}
    assert by_order["536365"]["product_id"] == "85123A"
    assert by_order["536365"]["occurred_at"] == datetime(2011, 7, 1, 7, 26, tzinfo=UTC)
    assert len([event for event in events if event["order_id"] == "536365"]) == 2
    refund = by_order["C536379"]
    assert (refund["name"], refund["quantity"], refund["price_cents"]) == ("Order Line Refunded", 1, 2750)
    assert refund["product_id"] is None
    assert (by_order["536370"]["name"], by_order["536370"]["shipping_cents"]) == ("Order Updated", 5400)
    unnamed = {event["anonymous_token"] for event in events if event["order_id"] == "536366"}
    assert len(unnamed) == 1
    assert None not in unnamed


def test_taobao_behaviour_is_four_events_and_a_fifth_is_unknown(shop, bring):
    header = "user_id,item_id,category_id,behavior,ts\n"
    rows = [f"1,2,3,{what},1511544070" for what in ("pv", "cart", "fav", "buy", "sing")]
    summary, events = bring("taobao", f__csv=header + "\n".join(rows) + "\n")
    assert [event["name"] for event in events] == [
        "Order Line Completed",
        "Product Added",
        "Product Added to Wishlist",
        "Product Viewed",
    ]
    assert events[0]["price_cents"] is None
    assert events[0]["occurred_at"] == datetime(2017, 11, 24, 17, 21, 10, tzinfo=UTC)
    assert (summary.rejected, reasons(shop)) == (1, ["unknown_event"])


def test_segment_lines_keep_their_own_ids(shop, bring):
    base = {"type": "track", "messageId": "m1", "anonymousId": "v1", "timestamp": "2024-01-31T12:00:00Z"}
    lines = [
        {**base, "event": "Products Searched", "properties": {"query": "gift for anna"}},
        {**base, "event": "Products Searched", "properties": {"query": "gift for anna"}},
        {**base, "messageId": "m2", "event": "Product Viewed", "properties": {"price": "x"}},
    ]
    summary, [event] = bring("segment", f__jsonl="\n".join(json.dumps(line) for line in lines))
    assert (summary.read, summary.stored, summary.duplicate, summary.rejected) == (3, 1, 1, 1)
    assert event["event_id"] == "m1"
    assert "anna" in Vault.open(shop).texts([event["anonymous_token"]])[0]["text"]
    with shop.store.begin() as connection:
        assert "properties.price: is not a number" in connection.scalar(sa.select(DEAD_LETTERS.c.message))


SHOPIFY = (
    "Name,Email,Financial Status,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Refunded Amount,Source\n"
)


def test_a_shopify_order_is_one_event_whatever_its_rows(shop, bring):
    rows = [
        "#1001,Ann@x.org,paid,USD,25.00,5.00,2.00,32.00,SPRING,5.00,2023-01-01 10:00:00 -0500,2,Cup,10.00,CUP,,0.00,web",  # noqa: E501 - a row of the export
        "#1001,Ann@x.org,,,,,,,,,2023-01-01 10:00:00 -0500,1,Plate,10.00,,,,",
        "#1002,,refunded,USD,10.00,0,0,10.00,,0,2023-01-02 10:00:00 -0500,1,Cup,10.00,CUP,,10.00,pos",
        "#1003,b@x.org,pending,USD,10.00,0,0,10.00,,0,2023-01-02 10:00:00 -0500,1,Cup,10.00,CUP,,0,web",
        "#1004,b@x.org,paid,USD,10.00,0,0,10.00,,0,2023-01-02 10:00:00 -0500,1,Cup,10.00,CUP,2023-01-03 10:00:00 -0500,10,web",  # noqa: E501 - a row of the export
    ]
    summary, events = bring("shopify", f__csv=SHOPIFY + "\n".join(rows) + "\n")
    assert [(event["name"], event["order_id"]) for event in events] == [
        ("Order Cancelled", "#1004"),
        ("Order Completed", "#1001"),
        ("Order Completed", "#1002"),
        ("Order Completed", "#1004"),
        ("Order Refunded", "#1002"),
    ]
    order = events[1]
    assert (order["revenue_cents"], order["total_cents"], order["discount_cents"]) == (2500, 3200, 500)
    assert [(p["product_id"], p["quantity"], p["price_cents"]) for p in order["products"]] == [
        ("CUP", 2, 1000),
        ("Plate", 1, 1000),
    ]
    assert order["occurred_at"] == datetime(2023, 1, 1, 15, tzinfo=UTC)
    assert Vault.open(shop).reveal([order["user_token"]]) == ["ann@x.org"]
    assert events[2]["anonymous_token"] == events[4]["anonymous_token"]
    assert (events[2]["channel"], events[4]["total_cents"]) == ("store", 1000)
    assert (summary.rejected, reasons(shop)) == (1, ["not_paid"])


def test_a_later_shopify_export_stores_the_refund_but_no_second_order(bring):
    row = "#1,a@x.org,{},USD,25.00,0,0,25.00,,0,2023-01-01 10:00:00 -0500,1,Cup,25.00,CUP,,{},web\n"
    bring("shopify", f__csv=SHOPIFY + row.format("paid", "0"))
    summary, _ = bring("shopify", f__csv=SHOPIFY + row.format("refunded", "25.00"))
    assert (summary.stored, summary.duplicate) == (1, 1)


def test_several_shopify_exports_at_once_keep_each_order_its_products(bring):
    row = "#{0},a@x.org,paid,USD,25.00,0,0,25.00,,0,2023-01-01 10:00:00 -0500,1,Cup,25.00,CUP{0},,0,web\n"
    _, events = bring("shopify", a__csv=SHOPIFY + row.format(1), b__csv=SHOPIFY + row.format(2))
    assert [event["products"][0]["product_id"] for event in events] == ["CUP1", "CUP2"]


def test_shopifys_accepts_marketing_is_consent_with_the_date_of_its_order(shop, bring):
    header = SHOPIFY.strip() + ",Accepts Marketing\n"
    row = "#{},{},paid,USD,25.00,0,0,25.00,,0,2023-01-{} 10:00:00 -0500,1,Cup,25.00,CUP,,0,web,{}\n"
    later = ("3", "Ann@x.org", "03", "no"), ("4", "c@x.org", "04", ""), ("5", "", "05", "yes")
    files = [
        header + "".join(row.format(*order) for order in orders)
        for orders in (later, [("1", "ann@x.org", "01", "yes"), ("2", "b@x.org", "02", "yes")])
    ]
    summary, events = bring("shopify", a__csv=files[0], b__csv=files[1])
    assert summary.rejected == 0
    assert sorted(event["name"] for event in events if event["name"].startswith("Consent")) == [
        *["Consent Given"] * 2,
        "Consent Withdrawn",
    ]
    vault = Vault.open(shop)
    by_person = {name: vault.token("user_id", f"{name}@x.org") for name in ("ann", "b", "c")}
    of_ann = history(shop.store, [by_person["ann"]])
    assert [(one["is_granted"], one["occurred_at"][:13], one["basis"]) for one in of_ann] == [
        (True, "2023-01-01T15", "consent"),
        (False, "2023-01-03T15", "consent"),
    ]
    names = {token: name for name, token in by_person.items()}
    assert latest_answers(shop.store, ["marketing"], names) == {"ann": False, "b": True}
    assert bring("shopify", a__csv=files[0])[0].stored == 0


@pytest.mark.parametrize("status", ["pending", "Voided", "expired"])
def test_consent_of_a_shopify_order_that_is_not_paid_waits_for_its_payment(bring, status):
    row = "#1,a@x.org,{},USD,25.00,0,0,25.00,,0,2023-01-01 10:00:00 -0500,1,Cup,25.00,CUP,,0,web,yes\n"
    header = SHOPIFY.strip() + ",Accepts Marketing\n"
    summary, _ = bring("shopify", f__csv=header + row.format(status))
    assert (summary.stored, summary.rejected) == (0, 1), "the order is left out, and nothing is stored of it"
    summary, events = bring("shopify", f__csv=header + row.format("paid"))
    assert {event["name"] for event in events} == {"Order Completed", "Consent Given"}


def test_woocommerce_lines_and_refunded_orders(shop, bring):
    header = (
        'Order Number,Order Status,Order Date,Email (Billing),Item Name,SKU,Item Cost,"Quantity (- Refund)",Item #\n'
    )
    rows = [
        "1,Completed,2023-01-01 10:00,A@x.org,Cup,CUP,10,2,1",
        "1,Completed,2023-01-01 10:00,A@x.org,Plate,,5,1,2",
        "2,Refunded,2023-01-02 10:00,,Cup,CUP,10,1,1",
        "3,Pending payment,2023-01-02 10:00,b@x.org,Cup,CUP,10,1,1",
    ]
    summary, events = bring("woocommerce", f__csv=header + "\n".join(rows) + "\n")
    assert [(event["name"], event["order_id"], event["product_id"]) for event in events] == [
        ("Order Line Completed", "1", "CUP"),
        ("Order Line Completed", "1", "Plate"),
        ("Order Line Completed", "2", "CUP"),
        ("Order Line Refunded", "2", "CUP"),
    ]
    assert (summary.rejected, reasons(shop)) == (1, ["not_paid"])
    processing = header + rows[0].replace("Completed", "Processing") + "\n"
    assert bring("woocommerce", g__csv=processing)[0].duplicate == 1


def test_complete_journey_pays_what_the_shop_received_and_keeps_sensitive_traits_in_the_vault(bring):
    lines = (
        "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,coupon_match_disc,"
        "transaction_timestamp\n"
        "1,9,b1,p1,3,2.00,0.50,0.55,0.45,2017-01-02 12:00:00\n"
        "1,9,b2,p2,9999,26.10,0,0,0,2017-01-01 12:00:00\n"
        "1,9,b3,p3,0,0,0,2.0,0,2017-01-03 12:00:00\n"
        "1,9,b4,p3,0,0.5,0,0,0,2017-01-03 12:00:00\n"
    )
    _, events = bring(
        "completejourney",
        transactions__csv=lines,
        products__csv="product_id,department,product_category,brand,product_type,package_size\n"
        "p1,GROCERY,SOUP,National,RAMEN,3 OZ\np2,FUEL,COUPON/MISC ITEMS,National,GASOLINE,\n",
        demographics__csv="household_id,age,income,home_ownership,marital_status,household_size,household_comp,"
        "kids_count\n1,65+,35-49K,,Married,2,2 Adults,0\n",
        campaigns__csv="campaign_id,household_id\n1,1\n",
        campaign_descriptions__csv="campaign_id,campaign_type,start_date,end_date\n1,Type B,2017-03-03,2017-04-09\n",
        coupon_redemptions__csv="household_id,coupon_upc,campaign_id,redemption_date\n1,55,1,2017-03-05\n",
    )
    by_id = {event["order_id"] or event["name"]: event for event in events}
    paid = {
        o: by_id[o]["price_cents"] * by_id[o]["quantity"] - by_id[o]["discount_cents"] for o in ("b1", "b2", "b3", "b4")
    }
    assert paid == {"b1": 200, "b2": 2610, "b3": 0, "b4": 50}
    assert [by_id[o]["quantity"] for o in ("b1", "b2", "b3", "b4")] == [3, 1, 0, 1]
    assert by_id["b1"]["price_cents"] == 99
    assert by_id["Identify"]["traits"] == '{"income":"35-49K","household_size":"2"}'
    assert by_id["Identify"]["known_at"] == datetime(2017, 1, 1, 12, tzinfo=UTC)
    assert by_id["Message Sent"]["occurred_at"] == datetime(2017, 3, 3, 5, tzinfo=UTC)
    assert by_id["Coupon Applied"]["occurred_at"] == datetime(2017, 3, 6, 4, 59, 59, tzinfo=UTC)


REAL = {
    "cdnow": ("cdnow_master.parquet", 69_659, 0),
    "online-retail": ("online_retail_2010_2011.parquet", 541_909, 2_628),
    "taobao": ("taobao_userbehavior.parquet", 84_476, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("mapping", REAL)
def test_real_data_adds_up_and_identical_real_lines_are_kept(priced, received_at, mapping, tmp_path, real_data):
    name, rows, rejected = REAL[mapping]
    shop = priced(mapping)
    path = real_data(name)
    first = import_files(shop, [str(path)], mapping=mapping, received_at=received_at)
    assert (first.read, first.stored, first.rejected, first.duplicate) == (
        rows,
        rows - rejected,
        rejected,
        0,
    )
    regrouped = pq.read_table(path)
    other = regrouped.take(pa.array(range(regrouped.num_rows - 1, -1, -1)))
    pq.write_table(other, tmp_path / name)
    again = import_files(shop, [str(tmp_path / name)], mapping=mapping, received_at=received_at)
    assert (again.stored, again.duplicate) == (0, rows - rejected)
