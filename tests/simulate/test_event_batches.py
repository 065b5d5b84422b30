"""Batches of events: picking, joining and putting into words loses and mixes up nothing."""

from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.schema.data.raw_events import RAW_EVENTS
from patron.simulate.event_batches import (
    CODE,
    NAMES,
    NO_LINES,
    Batch,
    EventTexts,
    Lines,
    batch_as_raw_events,
    concatenate_batches,
    make_batch,
)

COUNT = 40


@pytest.fixture
def orders(simulated_year):
    """Orders of one to four lines with drawn products, quantities and discounts."""
    rng = np.random.default_rng(1)
    count = rng.integers(1, 5, COUNT)
    product = rng.integers(0, len(simulated_year[0].catalogue.price_cents), count.sum())
    lines = Lines(product, rng.integers(1, 4, count.sum()), rng.integers(0, 90, count.sum()), np.repeat(0, count.sum()))
    number = np.arange(COUNT)
    return make_batch(
        "Order Completed",
        number,
        number * 1_000_000,
        number + 3,
        order=number,
        first_line=np.cumsum(count) - count,
        line_count=count,
        lines=lines,
        shipping_cents=np.where(number % 2 == 0, 495, 0),
        coupon=np.where(number % 3 == 0, 0, -1),
    )


@pytest.fixture
def views():
    number = np.arange(1_000, 1_000 + COUNT)
    return make_batch("Product Viewed", number, number * 10, number % 7, product=number % 600, device=number % 3)


@pytest.fixture
def as_table(simulated_year):
    """The table of a batch."""

    def as_table(events):
        words = EventTexts("s7-", simulated_year[0].catalogue, ("NEWS5", "SAVE10"), ("newsletter",), ("d0", "d1"))
        nothing = pa.nulls(len(events), pa.string())
        return batch_as_raw_events(events, words, nothing, nothing, 1_700_000_000_000_000)

    return as_table


def lines_of(events: Batch, at: int) -> list[list[int]]:
    part = slice(events.first_line[at], events.first_line[at] + events.line_count[at])
    return [getattr(events.lines, field_.name)[part].tolist() for field_ in fields(Lines)]


def test_picked_events_keep_their_columns_and_their_lines(orders):
    which = np.array([31, 4, 4, 0, 17])
    some = orders.rows(which)
    assert some.number.tolist() == which.tolist()
    assert some.person.tolist() == (which + 3).tolist()
    assert [lines_of(some, at) for at in range(5)] == [lines_of(orders, at) for at in which]
    assert len(some.lines.product) == some.line_count.sum()


def test_joined_batches_are_one_after_the_other_each_with_its_own_lines(orders, views):
    parts = [orders.rows(np.arange(10)), views, orders.rows(np.arange(10, COUNT))]
    both = concatenate_batches(parts)
    assert len(both) == 2 * COUNT
    assert [lines_of(both, at) for at in range(10)] == [lines_of(orders, at) for at in range(10)]
    assert [lines_of(both, at) for at in range(10 + COUNT, 2 * COUNT)] == [
        lines_of(orders, at) for at in range(10, COUNT)
    ]
    assert (both.line_count[10 : 10 + COUNT] == 0).all()


def test_missing_columns_hold_minus_one():
    plain = make_batch("Identify", np.arange(3), np.arange(3), np.arange(3))
    filled = {"number", "time_us", "name", "person", "is_signed_in", "is_app", "first_line", "line_count", "lines"}
    assert all((getattr(plain, field_.name) == -1).all() for field_ in fields(Batch) if field_.name not in filled)
    assert plain.lines is NO_LINES
    assert (plain.name == CODE["Identify"]).all()


def test_amounts_of_an_order_are_those_of_its_lines(as_table, orders, simulated_year):
    prices = simulated_year[0].catalogue.price_cents
    rows = as_table(orders).to_pylist()
    for at, row in enumerate(rows):
        product, quantity, discount, _ = lines_of(orders, at)
        gross = sum(int(prices[one]) * units for one, units in zip(product, quantity, strict=True))
        assert row["discount_cents"] == sum(discount)
        assert row["revenue_cents"] == gross - sum(discount)
        assert row["total_cents"] == row["revenue_cents"] + row["shipping_cents"]
        assert [line["product_id"] for line in row["products"]] == [f"P{one:05d}" for one in product]
        assert [line["price_cents"] for line in row["products"]] == [int(prices[one]) for one in product]
        assert row["currency"] == "USD"
        assert row["coupon"] == ("NEWS5" if at % 3 == 0 else None)


def test_only_events_with_lines_have_amounts(as_table, views):
    table = as_table(views)
    for name in (
        "revenue_cents",
        "total_cents",
        "discount_cents",
        "shipping_cents",
        "currency",
        "products",
        "order_id",
    ):
        assert table[name].null_count == len(views)


def test_products_are_described_as_the_catalogue_does(as_table, views, simulated_year):
    goods, table = simulated_year[0].catalogue, as_table(views)
    for name in ("product_id", "product_name", "department", "category", "brand"):
        assert table[name].to_pylist() == getattr(goods, name).take(pa.array(views.product)).to_pylist()
    assert table["price_cents"].to_pylist() == goods.price_cents[views.product].tolist()


def test_what_is_not_signed_in_has_no_user(as_table):
    number = np.arange(4)
    views = make_batch(
        "Product Viewed", number, number, number, is_signed_in=number % 2 == 0, visitor=number * 4, product=number
    )
    table = as_table(views)
    assert table["user_id"].to_pylist() == ["C0", None, "C2", None]
    assert table["anonymous_id"].to_pylist() == ["V0", "V4", "V8", "V12"]


def test_the_table_has_the_schema_of_raw_events_whatever_is_in_it(as_table, orders, views):
    for events in (orders, views, concatenate_batches([orders, views]), orders.rows(np.arange(0))):
        table = as_table(events)
        assert table.schema.equals(RAW_EVENTS)
        assert table.num_rows == len(events)
        table.validate(full=True)


def test_times_count_from_the_first_midnight_and_ids_from_the_shop(as_table, views):
    table = as_table(views)
    assert table["occurred_at"].cast(pa.int64()).to_pylist() == (views.time_us + 1_700_000_000_000_000).tolist()
    assert table["event_id"].to_pylist() == [f"s7-{number}" for number in views.number]


def test_every_kind_of_event_happens_within_a_year(year):
    """But recommendations, which nobody got, and contracts, which nobody signs."""
    missing = set(NAMES) - set(pc.unique(year["name"]).to_pylist())
    assert missing == {f"Recommendation {what}" for what in ("Shown", "Clicked")} | {
        "Contract Started",
        "Contract Cancelled",
    }


def test_messages_come_by_mail_and_other_events_by_web_or_app(year):
    is_mail = pc.match_substring(year["name"], "Message ")
    assert set(pc.unique(year.filter(is_mail)["channel"]).to_pylist()) == {"email"}
    others = year.filter(pc.and_(pc.invert(is_mail), pc.not_equal(year["name"], "Product Updated")))
    assert {"web", "app"} <= set(pc.unique(others["channel"]).to_pylist())
