import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.understand.facts.later_refunds import later_refunds
from patron.understand.facts.usable_events import Scope

SECOND = 1 / 86_400
LINES = ("identities", "products", "order_lines")


def lines(pipeline, *events, **more):
    return pipeline.facts(events, names=LINES, **more)["order_lines"].sort_by("line_id").to_pylist()


def cleaning_checks(pipeline, *events):
    """Rows found and looked at, and the example, of each check that found something."""
    rows = pipeline.facts(events)["cleaning"].to_pylist()
    return {
        row["check_code"]: (row["row_count"], row["checked_count"], row["example"]) for row in rows if row["row_count"]
    }


def test_a_second_event_of_an_order_is_counted_once(pipeline):
    first = pipeline.event("a", "Order Completed", 1, order_id="o", revenue_cents=500)
    second = pipeline.event("b", "Order Completed", 2, order_id="o", revenue_cents=900)
    tables = pipeline.facts([second, first])
    assert [(row["line_id"], row["paid_cents"]) for row in tables["order_lines"].to_pylist()] == [("s/a/1", 500)]
    assert tables["orders"].num_rows == 1
    assert cleaning_checks(pipeline, first, second) == {
        "second_event_of_an_order": (1, 2, "s/b"),
        "line_without_product": (1, 1, "s/a/1"),
    }


def test_identical_lines_are_all_kept_and_their_repetitions_counted(pipeline):
    same = {"order_id": "o", "product_id": "p", "category": "c", "price_cents": 100, "quantity": 1}
    events = [pipeline.event(name, "Order Line Completed", 1, **same) for name in ("a", "b", "c")]
    assert sum(line["paid_cents"] for line in lines(pipeline, *events)) == 300
    assert cleaning_checks(pipeline, *events) == {"line_repeated_identically": (2, 3, "s/a/1")}


def test_cleaning_counts_what_it_found_of_what_it_looked_at(pipeline):
    order = {"order_id": "o", "product_id": "p", "category": "c", "price_cents": 100}
    late = pipeline.event("late", "Product Viewed", 1, known=3)
    future = pipeline.event("future", "Product Viewed", 5, known=4)
    events = [
        pipeline.event("fine", "Order Line Completed", 1, **order),
        pipeline.event("nobody", "Product Viewed", 1, user_token=None),
        pipeline.event("old", "Product Viewed", -15_000),
        pipeline.event("odd", "Video Playback Started", 1),
        pipeline.event(
            "euro", "Order Line Completed", 2, order_id="e", product_id="p", price_cents=100, currency="EUR"
        ),
        pipeline.event("yen", "Order Line Completed", 2, order_id="y", product_id="p", price_cents=100, currency="JPY"),
        pipeline.event("free", "Order Line Completed", 2, order_id="f", product_id="p"),
        late,
        future,
    ]
    assert cleaning_checks(pipeline, *events) == {
        "event_without_customer": (1, 9, "s/nobody"),
        "time_impossibly_early": (1, 9, "s/old"),
        "event_not_used": (1, 9, "s/odd"),
        "foreign_currency": (1, 3, "s/euro"),
        "currency_without_rate": (1, 3, "s/yen"),
        "line_without_price": (1, 3, "s/free/1"),
        "line_without_category": (2, 3, "s/euro/1"),
        "known_more_than_a_day_late": (1, 9, "s/late"),
        "time_after_it_was_known": (1, 9, "s/future"),
        "time_after_it_was_received": (1, 9, "s/future"),
    }


def test_the_catalogue_says_what_may_be_recommended_and_a_later_row_changes_only_what_it_names(pipeline):
    first = {"description": "soft blue wool", "style_id": "scarf", "cost": "4.20", "stock": 3, "is_consumable": "true"}
    later = {"stock": 0, "is_blocked": "TRUE", "cost": "free"}
    events = [
        pipeline.event("a", "Product Updated", 1, product_id="p", properties=json.dumps(first), currency="EUR"),
        pipeline.event("b", "Product Updated", 2, product_id="p", properties=json.dumps(later), currency="EUR"),
        pipeline.event("c", "Product Viewed", 3, product_id="p", properties=json.dumps({"stock": 9})),
        pipeline.event("d", "Product Viewed", 3, product_id="q"),
    ]
    p, q = pipeline.facts(events, names=("identities", "products"))["products"].sort_by("product_id").to_pylist()
    assert (p["description"], p["style_id"], p["stock"]) == ("soft blue wool", "scarf", 0)
    assert (p["is_consumable"], p["is_blocked"]) == (True, True)
    assert p["cost_cents"] == round(420 * 1.1)
    assert {q[name] for name in ("description", "style_id", "cost_cents", "stock", "is_consumable")} == {None}


def test_a_plan_of_promotions_keeps_what_was_known_when(pipeline):
    def scheduled(event_id, at, product_id="p", price_cents=None, **properties):
        what = {"promotion_id": "june", "starts_at": "2024-01-20", "ends_at": "2024-01-27T00:00:00Z"} | properties
        more = {"product_id": product_id, "price_cents": price_cents, "properties": json.dumps(what)}
        return pipeline.event(event_id, "Promotion Scheduled", at, **more)

    events = [
        scheduled("a", 1, percent_off=20, kind="leaflet"),
        scheduled("b", 3, percent_off=30),
        scheduled("c", 5, ends_at="2024-01-20"),
        scheduled("d", 2, product_id="q", price_cents=500, sale_price="4.00", promotion_id=None),
        scheduled("e", 2, product_id="q", ends_at="soon"),
        scheduled("f", 2, product_id="q", ends_at="2024-01-19"),
        scheduled("g", 2, product_id="q", starts_at="-infinity"),
        pipeline.event("v", "Product Viewed", 1, product_id="q", price_cents=700),
    ]
    tables = pipeline.facts(events, names=("identities", "products", "promotions"))
    *june, q = tables["promotions"].sort_by([("product_id", "ascending"), ("known_at", "ascending")]).to_pylist()
    assert [row["discount_share"] for row in june] == [0.2, 0.3, None]
    assert [row["known_at"] for row in june] == [pipeline.day(day) for day in (1, 3, 5)]
    assert [row["superseded_at"] for row in june] == [pipeline.day(3), pipeline.day(5), None]
    assert june[2]["starts_at"] == june[2]["ends_at"]
    assert (q["promotion_id"], round(q["discount_share"], 9)) == ("d", 0.2)
    assert [(row["product_id"], row["price_cents"]) for row in tables["products"].to_pylist()] == [("q", 700)]
    checks = cleaning_checks(pipeline, *events)
    assert checks == {"promotion_without_dates": (3, 7, "s/e")}


def planned_versions(pipeline, *sent):
    """Versions of a plan from events (id, hour, day on which it is known, end, more)."""
    plan = {"promotion_id": "june", "starts_at": "2024-01-20"}
    events = [
        pipeline.event(
            *(event_id, "Promotion Scheduled", hour / 24),
            known=known,
            product_id="p",
            properties=json.dumps(plan | {"ends_at": ends, **more}),
        )
        for event_id, hour, known, ends, more in sent
    ]
    rows = pipeline.facts(events, names=("identities", "products", "promotions"))["promotions"]
    return rows.sort_by("known_at").to_pylist()


def test_a_plan_that_is_sent_again_unchanged_is_known_since_it_was_first_sent(pipeline):
    nights = [(str(night), 24 * night, night, "2024-01-27", {"percent_off": 20}) for night in range(1, 5)]
    nights[2] = ("3", 72, 3, "2024-01-28", {"percent_off": 20})
    versions = planned_versions(pipeline, *nights)
    assert [row["known_at"] for row in versions] == [pipeline.day(day) for day in (1, 3, 4)]
    assert [row["superseded_at"] for row in versions] == [pipeline.day(3), pipeline.day(4), None]
    assert [row["ends_at"].day for row in versions] == [27, 28, 27]
    of_nothing = [(str(night), 24 * night, night, "2024-01-27", {}) for night in (1, 2)]
    assert len(planned_versions(pipeline, *of_nothing)) == 1


def test_of_two_versions_in_one_batch_the_later_one_stands(pipeline):
    versions = planned_versions(pipeline, ("z", 9, 1, "2024-01-27", {}), ("a", 10, 1, "2024-01-20", {}))
    assert [row["ends_at"] == row["starts_at"] for row in versions] == [True]


def test_an_offer_of_ours_is_an_exposure_and_one_of_somebody_else_an_interaction(pipeline):
    """A run that is run again and decides otherwise sends another offer; only `exposures` knows which one stands."""
    ours = [
        pipeline.event(f"offer-{name}", "Offer Assigned", 1, decision_id="d", coupon=name) for name in ("ten", "five")
    ]
    theirs = pipeline.event("their", "Offer Assigned", 1, coupon="ten")
    interactions = pipeline.facts([*ours, theirs], names=("identities", "products", "interactions"))["interactions"]
    assert [(row["event_id"], row["kind"]) for row in interactions.to_pylist()] == [("their", "offer")]
    assert "event_not_used" not in cleaning_checks(pipeline, *ours)


def test_a_message_names_its_type_and_how_long_its_offer_is_valid(pipeline):
    sent = '{"campaign_type": "voucher", "valid_days": 14}'
    events = [
        pipeline.event("m", "Message Sent", 1, campaign_id="x", coupon="TEN", properties=sent),
        pipeline.event("o", "Offer Assigned", 2, coupon="TEN", properties='{"offer_id": "ten", "valid_days": "soon"}'),
        pipeline.event("c", "Message Clicked", 3, campaign_id="x", decision_id="d", properties=sent),
    ]
    rows = pipeline.facts(events, names=("identities", "products", "interactions"))["interactions"].to_pylist()
    columns = ("kind", "campaign_id", "decision_id", "coupon", "message_type", "valid_days")
    assert sorted(tuple(row[name] for name in columns) for row in rows) == [
        ("message_clicked", "x", "d", None, None, None),
        ("message_sent", "x", None, "TEN", "voucher", 14.0),
        ("offer", None, None, "TEN", "ten", None),
    ]


def test_lines_have_the_coupon_and_the_campaign_of_their_order(pipeline):
    products = [{"product_id": "p", "price_cents": 500}, {"product_id": "q", "price_cents": 700, "coupon": "OTHER"}]
    events = [
        pipeline.event("a", "Order Completed", 1, order_id="1", products=products, campaign_id="x"),
        pipeline.event("b", "Order Completed", 1, order_id="2", revenue_cents=900, coupon="TEN"),
        pipeline.event("c", "Order Line Completed", 1, order_id="3", price_cents=900, coupon="TEN", campaign_id="y"),
        pipeline.event("d", "Order Refunded", 2, order_id="3"),
    ]
    rows = pipeline.facts(events)["order_lines"].to_pylist()
    columns = ("order_id", "is_refund", "has_coupon")
    found = {tuple(row[name] for name in columns): (row["coupon"], row["campaign_id"]) for row in rows}
    assert found == {
        ("1", False, False): (None, "x"),
        ("1", False, True): ("OTHER", "x"),
        ("2", False, True): ("TEN", None),
        ("3", False, True): ("TEN", "y"),
        ("3", True, False): (None, None),
    }


def contract(pipeline, event_id, at, *, ends=None, name="Contract Started", contract_id="c", **more):
    stated = {"contract_id": contract_id, "ends_at": None if ends is None else pipeline.day(ends).isoformat()}
    return pipeline.event(event_id, name, at, properties=json.dumps(stated | more.pop("stated", {})), **more)


def test_a_contract_has_a_row_for_each_term_and_a_cancellation_is_known_from_when_it_was(pipeline):
    cancelled, other = {"name": "Contract Cancelled"}, {"user_token": "w"}
    events = [
        contract(pipeline, "a", 1, ends=31, price_cents=1_000, currency="EUR"),
        contract(pipeline, "again", 2, ends=31, price_cents=9),
        contract(pipeline, "renewal", 30, ends=61, known=40, price_cents=-5),
        contract(pipeline, "no", 50, known=55, **cancelled),
        contract(pipeline, "no-again", 52, known=53, **cancelled),
        contract(pipeline, "after", 70, **cancelled),
        contract(pipeline, "other", 5, ends=365, contract_id="d", price_cents=50, currency="XXX", **other),
        contract(pipeline, "not-theirs", 6, contract_id="d", **cancelled),
    ]
    rows = pipeline.facts(events, names=("identities", "contracts"))["contracts"]
    columns = ("contract_id", "term", "started_at", "ends_at", "price_cents", "cancelled_at", "cancellation_known_at")
    day = pipeline.day
    assert sorted(tuple(row[name] for name in (*columns, "known_at")) for row in rows.to_pylist()) == [
        ("c", 1, day(1), day(31), 1_100, None, None, day(1)),
        ("c", 2, day(30), day(61), None, day(50), day(53), day(40)),
        ("d", 1, day(5), day(365), None, None, None, day(5)),
    ]


def test_contract_events_without_a_valid_end_or_an_id_are_left_out_and_counted(pipeline):
    events = [
        contract(pipeline, "good", 1, ends=31),
        contract(pipeline, "date", 1, contract_id="e", stated={"ends_at": "2024-03-01"}),
        contract(pipeline, "no-time", 1, stated={"ends_at": "in May"}),
        contract(pipeline, "before", 5, ends=4),
        contract(pipeline, "for-ever", 5, stated={"ends_at": "infinity"}),
        contract(pipeline, "no-id", 5, ends=31, contract_id=None),
        contract(pipeline, "cancels", 6, name="Contract Cancelled"),
        contract(pipeline, "cancels-what", 6, name="Contract Cancelled", contract_id=None),
    ]
    ends = pipeline.facts(events)["contracts"].to_pylist()
    assert sorted((row["contract_id"], row["ends_at"]) for row in ends) == [
        ("c", pipeline.day(31)),
        ("e", pipeline.day(60)),
    ]
    assert cleaning_checks(pipeline, *events) == {"contract_without_end": (5, 8, "s/before")}


def test_a_contract_that_ends_on_a_date_ends_at_midnight_in_the_shop(pipeline):
    texts = ("2024-03-01", "2024-03-01T00:00:00", "2024-03-01T00:00:00+01:00")
    events = [contract(pipeline, text, 1, contract_id=text, stated={"ends_at": text}) for text in texts]
    rows = pipeline.facts(events, names=("identities", "contracts"), zone="America/New_York")["contracts"].to_pylist()
    hours = {row["contract_id"]: (row["ends_at"] - pipeline.day(60)).total_seconds() / 3600 for row in rows}
    assert [hours[text] for text in texts] == [5, 0, -1]


def test_shipping_of_an_order_update_is_not_revenue(pipeline):
    """Online Retail's lines POST, DOT and C2 come so."""
    sold = pipeline.event("a", "Order Line Completed", 1, order_id="o", product_id="p", price_cents=255, quantity=6)
    post = pipeline.event("b", "Order Updated", 1, order_id="o", shipping_cents=1800)
    tables = pipeline.facts([sold, post])
    assert [(row["product_id"], row["paid_cents"]) for row in tables["order_lines"].to_pylist()] == [("p", 1530)]
    assert [row["paid_cents"] for row in tables["customers"].to_pylist()] == [1530]
    assert pipeline.facts([post])["orders"].num_rows == 0


def test_a_pause_of_thirty_minutes_ends_a_visit(pipeline):
    view = lambda name, seconds, **more: pipeline.event(name, "Product Viewed", 1 + seconds * SECOND, **more)  # noqa: E731
    events = [
        view("a", 0, channel="web"),
        view("b", 1799, channel="app"),
        view("c", 1799 + 1800),
        pipeline.event("o", "Order Completed", 1 + 3700 * SECOND, order_id="o", revenue_cents=5),
        pipeline.event("m", "Message Sent", 1.5),
        view("other", 900, user_token="w"),  # noqa: S106 - no password
    ]
    sessions = (
        pipeline.facts(events)["sessions"]
        .sort_by([("event_count", "descending"), ("started_at", "ascending")])
        .to_pylist()
    )
    counts = [(row["event_count"], row["view_count"], row["order_count"], row["channel"]) for row in sessions]
    assert counts == [(2, 2, 0, "web"), (2, 1, 1, None), (1, 1, 0, None)]
    assert sessions[0]["ended_at"] == pipeline.day(1 + 1799 * SECOND)


def test_events_at_one_time_make_one_visit_in_whatever_order_they_come(pipeline):
    kinds = ("Product Viewed", "Products Searched", "Product Added")
    events = [pipeline.event(f"e{n}", kinds[n % 3], 1, channel=("web", "app")[n % 2]) for n in range(6)]
    forwards, backwards = (pipeline.facts(order)["sessions"].to_pylist() for order in (events, events[::-1]))
    assert forwards == backwards
    assert [(row["event_count"], row["channel"]) for row in forwards] == [(6, "app")]


PAIR = (("p", 1000), ("q", 2000))
prices = st.one_of(st.none(), st.integers(0, 5_000))
items = st.fixed_dictionaries(
    {"product_id": st.sampled_from(["p", "q", "r"]), "price_cents": prices, "quantity": st.integers(0, 4)},
    optional={"discount_cents": st.integers(0, 3_000)},
)
sold_orders = st.lists(
    st.fixed_dictionaries(
        {"products": st.lists(items, min_size=1, max_size=5)},
        optional={"discount_cents": st.integers(0, 20_000), "revenue_cents": st.integers(0, 20_000)},
    ),
    min_size=1,
    max_size=8,
)
quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@quick
@given(sold_orders)
def test_an_orders_discount_shared_over_its_lines_adds_up_to_the_cent(pipeline, orders):
    events = [
        pipeline.event(f"e{n}", "Order Completed", 1, order_id=f"o{n}", **order) for n, order in enumerate(orders)
    ]
    line_rows = lines(pipeline, *events)
    for number, order in enumerate(orders):
        mine = [line for line in line_rows if line["order_id"] == f"o{number}"]
        assert len(mine) == len(order["products"])
        assert all(0 <= line["paid_cents"] <= line["gross_cents"] for line in mine)
        if all(item["price_cents"] is None for item in order["products"]):
            assert sum(line["paid_cents"] for line in mine) == order.get("revenue_cents", 0)
            continue
        gross = [(item["price_cents"] or 0) * item["quantity"] for item in order["products"]]
        worth = sum(
            max(cost - item.get("discount_cents", 0), 0) for cost, item in zip(gross, order["products"], strict=True)
        )
        assert sum(line["gross_cents"] for line in mine) == sum(gross)
        off, paid = order.get("discount_cents", 0), order.get("revenue_cents")
        left = [worth - min(own, worth) for own in (off, max(off - sum(gross) + worth, 0))]
        is_total = paid is not None and abs(left[1] - paid) < min(abs(left[0] - paid), len(mine) + 1)
        expected = left[1] if is_total else left[0]
        assert sum(line["paid_cents"] for line in mine) == expected


def test_a_discount_that_is_the_total_of_its_lines_is_taken_off_once(pipeline):
    items = [{"product_id": name, "price_cents": cents, "discount_cents": cents // 5} for name, cents in PAIR]
    line_rows = lines(
        pipeline,
        pipeline.event("a", "Order Completed", 1, order_id="a", discount_cents=600, revenue_cents=2400, products=items),
        pipeline.event("b", "Order Completed", 1, order_id="b", discount_cents=300, revenue_cents=2100, products=items),
        pipeline.event("c", "Order Completed", 1, order_id="c", discount_cents=800, revenue_cents=2200, products=items),
    )
    paid = {key: sum(line["paid_cents"] for line in line_rows if line["order_id"] == key) for key in "abc"}
    assert paid == {"a": 2400, "b": 2100, "c": 2200}  # the total, the order's own, the total with 200 of its own


def test_shipping_that_a_shop_does_not_state_does_not_make_its_own_discount_a_total(pipeline):
    items = [{"product_id": name, "price_cents": cents, "discount_cents": cents // 6} for name, cents in PAIR]
    order = {"order_id": "a", "discount_cents": 500, "total_cents": 2501 - 500 + 390, "products": items}
    line_rows = lines(pipeline, pipeline.event("a", "Order Completed", 1, **order))
    assert sum(line["paid_cents"] for line in line_rows) == 2501 - 500


def test_amounts_up_to_what_collect_takes_are_shared_to_the_cent(pipeline):
    most = 10**12
    items = [
        {"product_id": name, "price_cents": most // n, "quantity": n} for n, name in ((1, "p"), (3, "q"), (7, "r"))
    ]
    units = [{"product_id": "p", "quantity": 10**9 - 7}, {"product_id": "q", "quantity": 10**9}]
    line_rows = lines(
        pipeline,
        pipeline.event("a", "Order Completed", 1, order_id="a", discount_cents=most - 1, products=items),
        pipeline.event("b", "Order Completed", 1, order_id="b", revenue_cents=most, products=units),
        pipeline.event("c", "Order Line Completed", 1, order_id="c", price_cents=1000, quantity=10**9, product_id="p"),
        pipeline.event("r", "Order Line Refunded", 2, order_id="c", quantity=10**9 - 1, product_id="p"),
    )
    paid = {key: sum(line["paid_cents"] for line in line_rows if line["order_id"] == key) for key in ("a", "b", "c")}
    assert paid == {"a": sum(i["price_cents"] * i["quantity"] for i in items) - (most - 1), "b": most, "c": 1000}
    assert all(0 <= line["paid_cents"] <= line["gross_cents"] for line in line_rows if not line["is_refund"])


refunds = st.one_of(
    st.fixed_dictionaries({"name": st.sampled_from(["Order Refunded", "Order Cancelled"])}),
    st.fixed_dictionaries({"name": st.just("Order Refunded"), "total_cents": st.integers(0, 9_000)}),
    st.fixed_dictionaries({"name": st.just("Order Refunded"), "products": st.lists(items, min_size=1, max_size=3)}),
    st.fixed_dictionaries(
        {
            "name": st.just("Order Line Refunded"),
            "product_id": st.sampled_from(["p", "q"]),
            "quantity": st.integers(0, 3),
        },
        optional={"price_cents": st.integers(0, 5_000)},
    ),
)
refund_stories = st.lists(st.tuples(st.integers(0, 3), refunds), max_size=8)


@quick
@given(sold_orders, refund_stories)
def test_refunds_never_exceed_what_was_paid_nor_the_units_sold(pipeline, orders, back):
    events = [
        pipeline.event(f"e{n}", "Order Completed", 1, order_id=f"o{n}", **order) for n, order in enumerate(orders)
    ]
    of_known = [(which % len(orders), body) for which, body in back]
    events += [pipeline.event(f"r{n}", at=2 + n, order_id=f"o{o}", **body) for n, (o, body) in enumerate(of_known)]
    tables = pipeline.facts(events, names=(*LINES, "orders", "interactions", "customers"))
    line_rows = tables["order_lines"]
    per_order = line_rows.group_by("order_id").aggregate([("paid_cents", "sum")])
    assert pc.min(per_order["paid_cents_sum"]).as_py() >= 0
    sold = line_rows.filter(pc.invert(line_rows["is_refund"]))
    per_product = line_rows.group_by(["order_id", "product_id"]).aggregate([("quantity", "sum")])
    known = per_product.join(sold.select(["order_id", "product_id"]), ["order_id", "product_id"], join_type="left semi")
    assert pc.min(known["quantity_sum"]).as_py() >= 0
    [customer] = tables["customers"].to_pylist()
    assert (
        customer["paid_cents"]
        == total(sold["paid_cents"]) - customer["refunded_cents"]
        == total(line_rows["paid_cents"])
    )
    assert set(line_rows["ordered_at"].to_pylist()) == {pipeline.day(1)}


def total(amounts: pa.ChunkedArray) -> int:
    return pc.sum(amounts).as_py() or 0


@pytest.mark.parametrize(
    ("first", "then"), [("Order Refunded", "Order Cancelled"), ("Order Cancelled", "Order Refunded")]
)
def test_a_full_refund_after_another_refunds_the_rest(pipeline, first, then):
    part = {"products": [{"product_id": "p", "quantity": 1}]}
    item = {"product_id": "p", "price_cents": 300, "quantity": 3}
    events = [
        pipeline.event("a", "Order Completed", 1, order_id="o", products=[item]),
        pipeline.event("b", first, 2, order_id="o", **(part if first == "Order Refunded" else {})),
        pipeline.event("c", then, 3, order_id="o", **(part if then == "Order Refunded" else {})),
    ]
    line_rows = lines(pipeline, *events)
    assert (sum(line["paid_cents"] for line in line_rows), sum(line["quantity"] for line in line_rows)) == (0, 0)


def test_a_refund_of_an_unknown_order_is_booked_with_its_own_amount_and_time(pipeline):
    [line] = lines(
        pipeline,
        pipeline.event("r", "Order Line Refunded", 3, order_id="?", product_id="p", price_cents=70, quantity=2),
    )
    assert (line["paid_cents"], line["quantity"], line["ordered_at"]) == (-140, -2, pipeline.day(3))


def test_refunds_known_only_after_the_cutoff_are_counted_with_their_money_and_dates(pipeline):
    e = pipeline.event
    events = [
        e("o1", "Order Completed", 1, order_id="o1", revenue_cents=5000),
        e("o2", "Order Completed", 2, order_id="o2", revenue_cents=1000),
        e("r1", "Order Refunded", 3, order_id="o1", total_cents=500),
        e("r2", "Order Refunded", 9, order_id="o1", total_cents=700),
        e("r3", "Order Refunded", 12, order_id="o2", total_cents=2500),
        e("r4", "Order Refunded", 13, order_id="o2", total_cents=100),
    ]
    tables = {"events": pipeline.facts(events, names=())["events"], "rates": pipeline.facts(events, names=())["rates"]}
    [found] = pipeline.duck.query(later_refunds(Scope(pipeline.day(9))), tables).to_pylist()
    assert found == {
        "refund_count": 2,
        "refund_cents": 700 + 1000,
        "first_known_at": pipeline.day(9),
        "last_known_at": pipeline.day(12),
    }
    assert pipeline.duck.query(later_refunds(Scope(pipeline.day(14))), tables).num_rows == 0
