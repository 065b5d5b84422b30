"""A question about one customer reads what a question about everybody reads of them, from the files that have it."""

from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from patron.schema.tables import BY_NAME
from patron.storage.parquet_rows import files_with
from patron.storage.runs import Run
from patron.storage.shop import Shop
from patron.storage.snapshot import customer_row
from patron.storage.snapshot_cache import CachedSnapshot

TRAITS = BY_NAME["traits"]
AT = datetime(2024, 5, 1, tzinfo=UTC)
SQL = "select t.customer_id, t.value from traits t join customer c on c.customer_id = t.customer_id order by t.value"
FILES = (("anna", "bert"), ("bert", "carl"), ("dora", "emil"))
"""Customers of each file."""


@pytest.fixture
def view(tmp_path):
    with closing(Shop.create(tmp_path / "shop")) as shop:
        for number, customers in enumerate(FILES):
            rows = [
                {
                    "customer_id": customer,
                    "trait": "colour",
                    "value": f"{customer}-{number}",
                    "event_id": f"{customer}-{number}",
                    "occurred_at": AT,
                    "known_at": AT,
                }
                for customer in customers
            ]
            shop.lake.append(TRAITS, pa.Table.from_pylist(rows, schema=TRAITS.schema()))
        yield CachedSnapshot(shop, Run.at(AT), {"traits": shop.lake.version(TRAITS)})


@pytest.mark.parametrize("customer", ["anna", "bert", "carl", "cora", "dora", "emil", "zoe"])
def test_one_customer_gets_all_of_their_rows_whatever_file_they_are_in(view, customer):
    values = view.query_customer(customer, SQL)["value"].to_pylist()
    assert values == [f"{customer}-{number}" for number, customers in enumerate(FILES) if customer in customers]
    assert values == view.query(SQL, customer=customer_row(customer))["value"].to_pylist()


def test_a_query_with_ctes_of_its_own_reads_the_same(view):
    sql = f"with theirs as ({SQL}) select value from theirs"
    assert view.query_customer("bert", sql)["value"].to_pylist() == ["bert-0", "bert-1"]


def test_only_files_that_may_hold_a_value_are_named(view):
    files = view.shop.lake.files(TRAITS)
    assert len(files) == len(FILES)
    assert len(files_with("customer_id", "bert", files)) == 2
    assert len(files_with("customer_id", "emil", files)) == 1
    assert files_with("customer_id", "cora", files) == []
    assert files_with("no such column", "bert", files) == files
