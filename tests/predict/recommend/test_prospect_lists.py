"""People without an order get what customers of their channel and campaign buy."""

from datetime import timedelta

import pyarrow as pa
import pytest
from recommending_shop import AS_OF, order_line, write_products

from patron import decide, predict
from patron.decide.recommendations import write_recommendations
from patron.predict.recommend.affinities import rank_products
from patron.schema.tables import AFFINITIES, CUSTOMERS, INTERACTIONS, ORDER_LINES, PROSPECT_FEATURES, RECOMMENDATIONS
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

RUN = Run.at(AS_OF)
PEOPLE = 400


def touch(customer_id, channel, campaign):
    at = AS_OF - timedelta(days=40)
    customer = {"customer_id": customer_id, "is_identified": True, "first_event_at": at, "order_count": 0}
    customer |= {"paid_cents": 0, "refunded_cents": 0, "acquisition_channel": channel}
    seen = {"source": "web", "event_id": customer_id, "customer_id": customer_id, "is_identified": True, "kind": "page"}
    seen |= {"channel": channel, "campaign_id": campaign, "occurred_at": at, "known_at": at}
    return customer, seen | {"local_hour": 9, "local_day": 20_000}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Customers of e-mail buy p0 to p2, or p6 after the campaign "tea"; those of the app p3 to p5; all of them p9."""
    shop = Shop.create(tmp_path_factory.mktemp("prospects") / "shop")
    write_products(shop)
    people = {f"c{n}": ("app", None) if n % 2 else ("email", "tea" if n % 4 else None) for n in range(PEOPLE)}
    taste = {("app", None): range(3, 6), ("email", None): range(3), ("email", "tea"): (6,)}
    lines = [
        order_line(number, customer, f"p{product}", AS_OF - timedelta(days=1 + number % 20))
        for number, (customer, touched) in enumerate(people.items())
        for product in (*taste[touched], 9)
    ]
    people |= {
        "by app": ("app", None),
        "by tea": ("email", "tea"),
        "by post": ("post", None),
        "unknown": (None, None),
        "declared": ("email", None),
    }
    rows = [touch(customer, *touched) for customer, touched in people.items()]
    prospects = [
        {"run_id": RUN.run_id, "customer_id": one, "as_of": AS_OF, "feature_version": "1"}
        | {"declared_acquisition_channel": "app" if one == "declared" else None}
        for one in ("by app", "by tea", "by post", "unknown", "declared", "c1")
    ]
    tables = {
        ORDER_LINES: lines,
        CUSTOMERS: [customer for customer, _ in rows],
        INTERACTIONS: [seen for _, seen in rows],
        PROSPECT_FEATURES: prospects,
    }
    for table, content in tables.items():
        more = [pa.field("declared_acquisition_channel", pa.string())] if table.is_open else []
        shop.lake.replace(table, pa.Table.from_pylist(content, schema=table.schema(more)))
    rank_products(shop.view(predict.READS, predict.WRITES, run=RUN))
    write_recommendations(shop.view(decide.READS, decide.WRITES, run=RUN))
    yield shop
    shop.close()


def listed(shop, table, customer_id):
    rows = sorted(shop.lake.read(table).to_pylist(), key=lambda row: row["rank"])
    return [row for row in rows if row["customer_id"] == customer_id]


@pytest.mark.parametrize(
    ("person", "first"),
    [
        ("by app", {"p3", "p4", "p5", "p9"}),
        ("declared", {"p3", "p4", "p5", "p9"}),
        ("by tea", {"p6", "p9"}),
    ],
)
def test_a_prospect_gets_what_customers_of_their_channel_and_campaign_buy(shop, person, first):
    rows = listed(shop, AFFINITIES, person)
    assert {row["product_id"] for row in rows[: len(first)]} == first
    probabilities = [row["probability"] for row in rows]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0.5 < probabilities[0] <= 1
    night = listed(shop, RECOMMENDATIONS, person)
    assert {row["product_id"] for row in night[: len(first)]} == first
    assert {row["reason"] for row in night} <= {"popular", "new"}


def test_an_unknown_channel_has_everybodys_list(shop):
    post, unknown = ([row["product_id"] for row in listed(shop, AFFINITIES, one)] for one in ("by post", "unknown"))
    assert post == unknown
    assert post[0] == "p9"


def test_a_customer_with_orders_has_one_list(shop):
    ranks = [row["rank"] for row in listed(shop, AFFINITIES, "c1")]
    assert ranks == list(range(1, len(ranks) + 1))
