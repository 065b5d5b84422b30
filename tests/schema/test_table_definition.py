import importlib
import pkgutil
from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from patron.schema import tables
from patron.schema.errors import InvalidTable
from patron.schema.table_checks import validated, violations
from patron.schema.table_definition import INT, TEXT, Column, Table, conform, ddl
from patron.schema.tables import BY_NAME, TABLES
from sample_rows import sample

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def test_every_table_that_a_module_declares_is_in_tables_once():
    modules = [
        importlib.import_module(found.name) for found in pkgutil.iter_modules(tables.__path__, "patron.schema.tables.")
    ]
    declared = {table.name for module in modules for table in vars(module).values() if isinstance(table, Table)}
    assert sorted(declared) == sorted(table.name for table in TABLES)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_declares_a_grain_a_key_and_a_meaning_for_each_column(table):
    assert table.row.startswith("one row per ")
    assert set(table.key) <= table.names
    assert all(column.meaning for column in table.columns)
    assert len(table.names) == len(table.columns)
    assert table.partition_by is None or table.partition_by in table.names


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_names_carry_units_and_kinds(table):
    for column in table.columns:
        if column.name.endswith("_at"):
            assert pa.types.is_timestamp(column.type), column
        if column.name.startswith(("is_", "has_")):
            assert column.type == pa.bool_(), column
        if column.name.endswith("_count"):
            assert column.type == INT, column


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_sampled_rows_are_valid_and_fit_the_ddl(table):
    rows = sample(table, 5, np.random.default_rng(1))
    assert violations(table, rows) == []
    con = duckdb.connect()
    con.execute(ddl(table))
    con.execute(f'insert into "{table.name}" select * from rows')
    assert con.execute(f'select count(*) from "{table.name}"').fetchone() == (5,)


def test_a_broken_table_says_what_is_wrong_and_where():
    table = Table(
        "orders",
        "one row per order",
        ("order_id",),
        (Column("order_id", TEXT, "o"), Column("paid_cents", INT, "p")),
        checks=("paid_cents >= 0",),
    )
    rows = pa.table({"order_id": ["a", "a", "a", "b"], "paid_cents": [1, 2, None, -1]})
    with pytest.raises(InvalidTable) as refused:
        validated(table, rows)
    assert str(refused.value).startswith(
        "orders: 1 rows have no paid_cents; 1 rows break (paid_cents >= 0); 2 rows repeat key ('order_id',)"
    )


def test_a_column_that_is_missing_or_unknown_is_refused_by_name():
    with pytest.raises(InvalidTable, match=r"missing columns \['as_of'\], unknown columns \['x'\]"):
        conform(BY_NAME["cutoffs"], pa.table({"run_id": ["t"], "customer_id": ["c"], "x": [1]}))


def test_a_missing_column_that_may_be_null_becomes_null():
    rows = conform(BY_NAME["products"], pa.table({"product_id": ["p"], "known_at": pa.array([NOW])}))
    assert rows["brand"].null_count == 1
    assert rows.schema == BY_NAME["products"].schema()
