"""The lists of a night: what no customer is sent, whom no list is made for, and what reasons say."""

from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from recommending_shop import AS_OF, CUSTOMERS, PRODUCT_COUNT, order_line, recommending_shop, run_recommendations

from patron import decide
from patron.decide.recommendations import write_recommendations
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.tables import (
    AFFINITIES,
    CONSENTS,
    INTERACTIONS,
    ORDER_LINES,
    PRODUCTS,
    PROMOTIONS,
    RECOMMENDABLE_PRODUCTS,
    RECOMMENDATIONS,
)
from patron.storage.shop import Shop

ALONE, SHARED = "i_" + "a" * 32, "i_" + "b" * 32
"""Products whose ids look personal, bought by one customer and by two."""
SOLD_OUT, BLOCKED, DURABLE, USED_UP, ONCE = "p10", "p20", "p30", "used up", "once"


def owner(shop: Shop, number: int) -> str:
    return initial_customer_id(Vault.open(shop).token("user_id", f"u{number}"))


def interaction(customer_id: str, kind: str, product_id: str, at: datetime, **more: object) -> dict[str, object]:
    names = {"source": "web", "event_id": f"{kind}{customer_id}", "customer_id": customer_id, "is_identified": True}
    when = {"occurred_at": at, "known_at": at, "local_hour": 9, "local_day": 20_000}
    return {**names, "kind": kind, "product_id": product_id, **when, **more}


def consent(customer_id: str, purpose: str, **more: object) -> dict[str, object]:
    names = {"customer_id": customer_id, "purpose": purpose, "event": f"{purpose}{customer_id}{len(more)}"}
    when = {"occurred_at": AS_OF - timedelta(days=9), "known_at": AS_OF - timedelta(days=9)}
    return {**names, "is_granted": False, "is_latest": True, "is_of_user": True, "basis": "consent", **when, **more}


def write_more_lines(shop: Shop) -> None:
    """Orders of products besides the favourites."""
    rows = [
        *(
            (number, product_id, days)
            for number, product_id in ((25, ALONE), (25, SHARED), (26, SHARED))
            for days in (20, 50, 80)
        ),
        *((number, product_id, 100) for number in range(CUSTOMERS) for product_id in (ONCE, USED_UP)),
    ]
    lines = [
        order_line(9_000 + place, owner(shop, number), product_id, AS_OF - timedelta(days=days))
        for place, (number, product_id, days) in enumerate(rows)
    ]
    more = pa.Table.from_pylist(lines, schema=ORDER_LINES.schema())
    shop.lake.replace(ORDER_LINES, pa.concat_tables([shop.lake.read(ORDER_LINES), more]))
    known = {"known_at": AS_OF - timedelta(days=200), "price_cents": 100}
    products = [
        *({"product_id": one, "category": "k0", **known} for one in (ALONE, SHARED)),
        {"product_id": ONCE, "category": "durable", **known},
        {"product_id": USED_UP, "category": "durable", "is_consumable": True, **known},
    ]
    more = pa.Table.from_pylist(products, schema=PRODUCTS.schema())
    shop.lake.replace(PRODUCTS, pa.concat_tables([shop.lake.read(PRODUCTS), more]))


def planned(
    product_id: str, starts: int, ends: int, known: int, superseded: int | None = None, *, discount: float | None = 0.2
) -> dict[str, object]:
    """A promotion; all numbers but the discount are days after the run."""
    days = {"starts_at": starts, "ends_at": ends, "known_at": known, "superseded_at": superseded}
    times = {name: None if one is None else AS_OF + timedelta(days=one) for name, one in days.items()}
    return {"product_id": product_id, "promotion_id": f"from {starts}", "discount_share": discount, **times}


PLAN = [
    planned("p8", 20, 30, -9),
    planned("p8", 2, 9, -9, -5),
    planned("p8", 3, 9, -5, 1),
    planned("p8", 4, 9, 1),
    planned("p9", -9, 0, -9),
    planned("p9", 3, 3, -2),
    planned("p8", 1, 9, -9, discount=None),
    planned("p8", 2, 8, -9, discount=0.0),
    planned("p11", 1, 9, -9, discount=None),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("nightly") / "shop"
    numbers = range(PRODUCT_COUNT)
    shop = recommending_shop(
        folder,
        stock=[0.0 if f"p{n}" == SOLD_OUT else None if n % 2 else 5.0 for n in numbers],
        is_blocked=[True if f"p{n}" == BLOCKED else None for n in numbers],
        is_consumable=[False if f"p{n}" == DURABLE else None for n in numbers],
    )
    write_more_lines(shop)
    before, later = AS_OF - timedelta(days=2), AS_OF + timedelta(hours=1)
    hidden = [
        interaction(owner(shop, 5), "recommendation_hidden", "p6", before),
        interaction(owner(shop, 12), "recommendation_hidden", "p13", later),
        interaction(owner(shop, 31), "review", "p32", before, rating=1.0),
        interaction(owner(shop, 33), "review", "p34", before, rating=4.0),
    ]
    shop.lake.replace(INTERACTIONS, pa.Table.from_pylist(hidden, schema=INTERACTIONS.schema()))
    shop.lake.replace(PROMOTIONS, pa.Table.from_pylist(PLAN, schema=PROMOTIONS.schema()))
    consents = [
        consent(owner(shop, 15), "Profiling"),
        consent(owner(shop, 16), "profiling", is_latest=False),
        consent(owner(shop, 16), "profiling", is_granted=True, is_latest=True),
        consent(owner(shop, 17), "marketing"),
    ]
    shop.lake.replace(CONSENTS, pa.Table.from_pylist(consents, schema=CONSENTS.schema()))
    run = run_recommendations(shop)
    rows = shop.lake.read(AFFINITIES).to_pylist()
    for row in rows:  # why: nobody here ever bought what goes with their history, so that a run expects nothing of it
        row["probability"] = 0.3 if row["reason"] == "goes_with_history" else row["probability"]
    shop.lake.replace(AFFINITIES, pa.Table.from_pylist(rows, schema=AFFINITIES.schema()))
    write_recommendations(shop.view(decide.READS, decide.WRITES, run=run))
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def lists(shop) -> dict[str, list[dict]]:
    """Rows of each customer's list, best first."""
    rows = defaultdict(list)
    for row in sorted(shop.lake.read(RECOMMENDATIONS).to_pylist(), key=lambda row: row["rank"]):
        rows[row["customer_id"]].append(row)
    return dict(rows)


@pytest.fixture(scope="module")
def bought(shop) -> dict[tuple[str, str], list[float]]:
    """Days since each purchase of a product by a customer, newest first."""
    days = defaultdict(list)
    for row in shop.lake.read(ORDER_LINES).to_pylist():
        days[row["customer_id"], row["product_id"]].append((AS_OF - row["ordered_at"]).total_seconds() / 86_400)
    return {pair: sorted(some) for pair, some in days.items()}


def products_of(rows: list[dict]) -> list[str]:
    return [row["product_id"] for row in rows]


def test_everybody_but_who_objects_to_profiling_has_a_full_list(shop, lists):
    everybody = {owner(shop, number) for number in range(CUSTOMERS)}
    assert set(lists) == everybody - {owner(shop, 15)}
    for rows in lists.values():
        assert [row["rank"] for row in rows] == list(range(1, 11))
        assert len(set(products_of(rows))) == 10


def test_nobody_is_sent_what_is_blocked_or_sold_out_or_could_be_somebodys(shop, lists):
    listed = {product for rows in lists.values() for product in products_of(rows)}
    assert not {SOLD_OUT, BLOCKED, ALONE} & listed
    assert SHARED in products_of(lists[owner(shop, 25)])
    assert {"p9", "p11", "p19", "p21"} <= listed


def test_what_a_customer_hid_or_disliked_before_the_run_is_left_out_of_their_list_alone(shop, lists):
    assert "p6" not in products_of(lists[owner(shop, 5)])
    assert "p6" in products_of(lists[owner(shop, 4)])
    assert "p32" not in products_of(lists[owner(shop, 31)])
    assert "p13" in products_of(lists[owner(shop, 12)])
    assert "p34" in products_of(lists[owner(shop, 33)])


def test_what_is_used_up_is_known_from_the_catalogue_or_else_from_repeats(shop):
    known = {row["product_id"]: row for row in shop.lake.read(RECOMMENDABLE_PRODUCTS).to_pylist()}
    assert len(known) == PRODUCT_COUNT + 4
    flags = {name: known[name]["is_consumable"] for name in (DURABLE, USED_UP, ONCE, SHARED, "p0")}
    assert flags == {DURABLE: False, USED_UP: True, ONCE: False, SHARED: True, "p0": True}
    assert known[DURABLE]["repeat_share"] > 0.8
    assert known[ONCE]["repeat_share"] < 0.15
    assert {name for name, row in known.items() if row["is_blocked"]} == {BLOCKED, ALONE}


def test_what_lasts_is_not_sent_to_who_just_bought_it(lists, bought):
    of_durable = {customer: days[0] for (customer, product), days in bought.items() if product == DURABLE}
    just = {customer for customer, days in of_durable.items() if days < 14}
    assert len(just) >= 2
    assert not {customer for customer in just if DURABLE in products_of(lists[customer])}
    assert any(DURABLE in products_of(lists[customer]) for customer in of_durable.keys() - just)
    again = {pair for pair, days in bought.items() if days[0] < 14 and pair[1] in products_of(lists.get(pair[0], []))}
    assert len(again) > 10, "what is used up can be sent again at once"


def test_reasons_say_what_happened(lists, bought):
    codes = defaultdict(int)
    for customer, rows in lists.items():
        for row in rows:
            codes[row["reason"]] += 1
            days = bought.get((customer, row["product_id"]))
            assert 0 < row["buy_probability"] <= row["click_probability"] <= 1
            assert (row["days_since"] is not None) == (row["reason"] == "buy_again")
            if row["reason"] == "buy_again":
                assert days is not None
                assert row["days_since"] == pytest.approx(days[0], abs=1e-3)
                assert row["because_product_id"] is None
                distinct = np.unique(np.floor(days))
                usual = pytest.approx(np.mean(np.diff(distinct)), abs=1e-3) if len(distinct) > 1 else None
                assert row["usual_days"] == usual
            elif row["reason"] == "goes_with_history":
                assert (customer, row["because_product_id"]) in bought
                assert row["because_product_id"] != row["product_id"]
            else:
                assert row["reason"] in {"popular", "new"}
                assert (row["because_product_id"], row["usual_days"]) == (None, None)
    assert min(codes["buy_again"], codes["goes_with_history"]) > 20


def test_the_offer_of_a_product_is_the_next_price_cut_that_was_planned_by_the_run(shop):
    rows = {row["product_id"]: row for row in shop.lake.read(RECOMMENDABLE_PRODUCTS).to_pylist()}
    offers = {name: (row["offer_starts_at"], row["offer_ends_at"]) for name, row in rows.items()}
    assert offers.pop("p8") == (AS_OF + timedelta(days=3), AS_OF + timedelta(days=9))
    assert set(offers.values()) == {(None, None)}
