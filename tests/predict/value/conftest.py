from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from patron import predict
from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.shop import SETTINGS_FILE, Shop

RUN = Run.at(datetime(2024, 6, 1, tzinfo=UTC))
SETTINGS = """
[value]
referral_share = 0.25
service_cents_per_order = 40
message_cents = 3
"""


def line(customer_id, days_ago, paid_cents, *, order_id=None, part=0, **columns):
    """One order line, or refund, of an order so many days before the run."""
    ordered_at = RUN.as_of - timedelta(days=days_ago)
    order_id = order_id or f"{customer_id}-{days_ago}"
    is_refund = paid_cents < 0
    return {
        "line_id": f"{order_id}/{part}/{is_refund}",
        "customer_id": customer_id,
        "is_identified": True,
        "order_id": order_id,
        "ordered_at": ordered_at,
        "occurred_at": ordered_at,
        "known_at": ordered_at,
        "quantity": -1 if is_refund else 1,
        "gross_cents": paid_cents,
        "discount_cents": 0,
        "paid_cents": paid_cents,
        "has_coupon": False,
        "has_price": True,
        "is_refund": is_refund,
        "channel": "web",
        **columns,
    }


def customer(customer_id, lines):
    """What the facts say of a customer with these lines."""
    customer_lines = [row for row in lines if row["customer_id"] == customer_id]
    times = [row["ordered_at"] for row in customer_lines]
    return {
        "customer_id": customer_id,
        "is_identified": True,
        "first_event_at": min(times),
        "first_order_at": min(times),
        "last_order_at": max(times),
        "order_count": len({row["order_id"] for row in customer_lines}),
        "paid_cents": sum(row["paid_cents"] for row in customer_lines),
        "refunded_cents": -sum(row["paid_cents"] for row in customer_lines if row["is_refund"]),
    }


@pytest.fixture(scope="session")
def order_line():
    return line


@pytest.fixture(scope="session")
def score():
    """One forecast of the run, or of another."""

    def make(question, customer_id, value, run=RUN):
        row = {"run_id": run.run_id, "customer_id": customer_id, "as_of": run.as_of, "question": question}
        return row | {"model_version": f"{question}-test", "value": value, "reasons": []}

    return make


@pytest.fixture(scope="session")
def value_run():
    return RUN


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Write tables by hand into a new workspace, build one more from them, and return its rows by customer."""
    shops = []

    def build(how, name, **tables):
        folder = tmp_path_factory.mktemp("value") / "w"
        Shop.create(folder).close()
        (folder / SETTINGS_FILE).write_text(SETTINGS, encoding="utf-8")
        shop = Shop.open(folder)
        shops.append(shop)
        lines = tables["order_lines"]
        tables["customers"] = [customer(one, lines) for one in sorted({row["customer_id"] for row in lines})]
        for table, rows in tables.items():
            columns = {column for row in rows for column in row}
            arrays = {
                column.name: pa.array([row.get(column.name) for row in rows], column.type)
                for column in BY_NAME[table].columns
                if column.name in columns
            }
            shop.lake.replace(BY_NAME[table], validated(BY_NAME[table], pa.table(arrays)))
        how(shop.view((*predict.READS, "scores"), (name,), run=RUN))
        return {row["customer_id"]: row for row in shop.lake.read(BY_NAME[name]).to_pylist()}

    yield build
    for shop in shops:
        shop.close()
