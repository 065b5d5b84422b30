"""The algebra of profiles: late, out of order, in any portions, the bytes are the same."""

from datetime import UTC, datetime, timedelta
from functools import reduce

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.schema.tables import EVENTS
from patron.storage.duck_engine import DuckEngine
from patron.understand.profiles import profile_query, token_profile
from patron.understand.profiles.profile_query import profiles_of
from patron.understand.profiles.token_profile import CurrencyTotals, TokenProfile, decode, encode, merge

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = (
    "Product Viewed",
    "Product Added",
    "Product Removed",
    "Order Completed",
    "Order Refunded",
    "Message Sent",
    "Own",
)


@pytest.fixture(scope="module")
def con():
    with DuckEngine().connect() as opened:
        yield opened


def event(number, name, minute, user, visitor, product):
    at = START + timedelta(minutes=minute)
    row = {"source": "web", "event_id": f"e{number}", "name": name, "user_token": user, "anonymous_token": visitor}
    row |= {"product_id": product, "quantity": 1, "order_id": f"o{minute}", "revenue_cents": minute * 100}
    return row | {"occurred_at": at, "known_at": at + timedelta(minutes=number % 5), "received_at": at, "month": ""}


EVENT_LISTS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.integers(0, 30),
        st.sampled_from(["u_1", "u_2", "u_3", None]),
        st.sampled_from(["a_1", "a_2"]),
        st.sampled_from(["p1", "p2", "p3", "p4", None]),
    ),
    max_size=40,
).map(lambda rows: [event(n, *row) for n, row in enumerate(rows)])


def profiles(con, rows, slices=1):
    con.register("given", pa.Table.from_pylist(rows, EVENTS.schema()))
    return dict(profiles_of(con, "select * from given", slices=slices))


def together(*parts):
    made: dict[str, TokenProfile] = {}
    for part in parts:
        for token, one in part.items():
            made[token] = merge(made[token], one) if token in made else one
    return {token: encode(one) for token, one in made.items()}


@settings(max_examples=40, deadline=None)
@given(EVENT_LISTS, st.randoms(use_true_random=False), st.integers(1, 6))
def test_any_interleaving_of_late_and_out_of_order_events_gives_the_same_bytes(con, rows, random, portions):
    small = {"MAX_EVENTS": 5, "MAX_PRODUCTS": 2, "MAX_ORDERS": 3}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small.items():  # so that what is cut off is cut off in every order
            patch.setattr(profile_query, name, value)
            patch.setattr(token_profile, name, value)
        whole = together(profiles(con, rows))
        shuffled = random.sample(rows, len(rows))
        parts = [profiles(con, shuffled[n::portions]) for n in range(portions)]
        assert together(*parts) == whole
        assert together(*reversed(parts)) == whole
        assert together(profiles(con, rows, slices=3)) == whole


def test_a_profile_survives_its_bytes(con):
    (made,) = profiles(con, [event(1, "Order Completed", 5, "u_1", None, "p1")]).values()
    assert decode(encode(made)) == made


def test_a_profile_stays_small_whatever_is_sent(con):
    rows = [event(n, "x" * 5_000 + str(n), n, "u_1", None, "y" * 5_000 + str(n)) for n in range(2_000)]
    (made,) = profiles(con, rows).values()
    assert len(encode(made)) < 60_000
    assert made.tallies[""].event_count == 2_000


def test_money_is_summed_in_each_currency_as_sent(con):
    first = event(1, "Order Completed", 5, "u_1", None, None) | {"currency": "EUR"}
    lines = event(2, "Order Completed", 6, "u_1", None, None) | {"revenue_cents": None, "discount_cents": 50}
    lines["products"] = [{"product_id": "p", "price_cents": 300, "quantity": 2}, {"product_id": "q", "price_cents": 10}]
    total = event(3, "Order Completed", 7, "u_1", None, None)
    total |= {"revenue_cents": None, "total_cents": 900, "tax_cents": 100}
    back = event(4, "Order Refunded", 8, "u_1", None, None) | {"revenue_cents": 40}
    (made,) = profiles(con, [first, lines, total, back]).values()
    assert made.totals == {"": CurrencyTotals(560 + 800, 40), "EUR": CurrencyTotals(500, 0)}


def test_a_profile_of_many_profiles_is_that_of_all_their_events(con):
    rows = [event(n, NAMES[n % 7], n % 60, "u_1", None, f"p{n % 30}") for n in range(600)]
    (whole,) = profiles(con, rows).values()
    (parts) = [next(iter(profiles(con, rows[n : n + 50]).values())) for n in range(0, 600, 50)]
    assert encode(reduce(merge, parts)) == encode(whole)
