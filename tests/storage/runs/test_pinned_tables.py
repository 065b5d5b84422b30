"""Which tables a query reads, whatever its texts, names in quotes and comments say."""

import pytest
from sqlglot import exp, parse_one

from patron.storage.duck_engine import DuckEngine
from patron.storage.settings import EngineSettings

QUERIES = {
    "select 'from orders' as note from customers": {"customers"},
    "select 'it''s from orders' as note from customers": {"customers"},
    """select o."it's" as note, 'from scores' as text from orders o join "customers" c on c.x = o.x""": {
        "orders",
        "customers",
    },
    "select 'a' as a -- the shop's\nfrom orders -- the customer's": {"orders"},
    "select /* a shop's */ 'a' as a from orders /* a customer's */": {"orders"},
    "select $$it's$$ as a from orders where b = 'x'": {"orders"},
    "with o as (select * from orders where run_id = '2024-05-30') select * from o, customers": {
        "o",
        "orders",
        "customers",
    },
    "select orders.traits from last_orders orders": {"last_orders"},
}


@pytest.fixture(scope="module")
def engine():
    engine = DuckEngine(EngineSettings(), spill=None)
    yield engine
    engine.close()


@pytest.mark.parametrize("sql", QUERIES)
def test_tables_are_those_that_the_parser_finds(engine, sql):
    assert engine.table_names(sql) == QUERIES[sql]
    assert engine.table_names(sql) == {table.name for table in parse_one(sql, read="duckdb").find_all(exp.Table)}


def test_queries_that_differ_in_their_tables_only_are_not_taken_for_each_other(engine):
    for name in ("orders", "customers", "scores"):
        assert engine.table_names(f"select 'x' as x from {name}") == {name}
