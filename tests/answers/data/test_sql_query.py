from datetime import UTC, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron.answers.data.sql_query import sql, tables
from patron.schema.errors import BadQuery
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME, CUTOFFS
from patron.storage.outreach.campaign_tables import ASSIGNMENTS
from patron.storage.store.store import EXPERIMENT_ARMS

NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def shop(shop):
    shop.lake.append(
        CUTOFFS,
        pa.table({"run_id": ["a", "a"], "customer_id": ["x", "y"], "as_of": pa.array([0, 0], pa.int64()).cast(TIME)}),
    )
    return shop


def test_a_select_reads_declared_tables(shop):
    query = "with m as (select * from cutoffs) select count(*) as n, (select count(*) from events) as e from m;"
    assert sql(shop, query).to_pylist() == [{"n": 2, "e": 0}]


def test_a_select_reads_the_assignments_of_experiments_and_no_other_table_of_the_store(shop):
    assigned = {"experiment": "retention", "customer_id": "x", "arm": "holdout", "assigned_at": NOW}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(EXPERIMENT_ARMS).values(assigned))
    query = "select c.customer_id, a.arm, a.assigned_at from cutoffs c join experiment_arms a using (customer_id)"
    assert sql(shop, query).to_pylist() == [{"customer_id": "x", "arm": "holdout", "assigned_at": NOW}]
    with pytest.raises(BadQuery, match="there is no table vault_tokens"):
        sql(shop, "select * from vault_tokens")


@pytest.mark.parametrize(
    "text",
    [
        "with recursive n as (select 2 as i union all select i - 1 from n where i > 0) select count(*) from n, cutoffs",
        "WITH\nm as (select * from cutoffs) select count(*) + 4 from m",
        "-- six\nwith /* rows */ recursive m(i) as (select 1 from cutoffs) select sum(i) + 4 from m",
        "with recursively as (select count(*) + 4 from cutoffs) select * from recursively",
    ],
)
def test_a_select_may_begin_with_its_own_relations_however_it_is_written(shop, text):
    [row] = sql(shop, text).to_pylist()
    assert list(row.values()) == [6]


@pytest.mark.parametrize(
    "text",
    [
        "delete from cutoffs",
        "select 1; select 2",
        "copy cutoffs to '/tmp/x.csv'",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from read_text('/etc/hostname')",
        "select content from glob('/etc/*')",
        "attach '/tmp/x.db'",
        "set memory_limit = '1GB'",
        "create table x as select 1",
        "install httpfs",
        "select * from secrets",
        "select * from main.cutoffs",
        "select * from moments_of_somebody",
        "not sql at all (",
        "",
    ],
)
def test_anything_but_one_select_over_declared_tables_is_refused(shop, text):
    with pytest.raises(BadQuery):
        sql(shop, text)


def test_a_scalar_function_reaches_no_file_and_no_setting(shop):
    for text in ("select getenv('HOME')", "select (select content from read_text('/etc/hostname'))"):
        with pytest.raises(BadQuery):
            sql(shop, text)


def test_an_unknown_name_says_where_names_are_listed_and_what_was_meant(shop):
    with pytest.raises(BadQuery, match="`patron sql` alone lists all tables"):
        sql(shop, "select nothing_like_that from cutoffs")
    with pytest.raises(BadQuery, match=r"there is no table cutofs\. Did you mean cutoffs\?"):
        sql(shop, "select * from cutofs")
    with pytest.raises(BadQuery, match=r"Did you mean cutoffs\?"):
        tables(shop, "cutofs")


@pytest.mark.parametrize("text", ["select from where (", "select 'abc", "select, 1", "select 1 +"])
def test_what_is_no_sql_is_named_without_words_of_a_library(shop, text):
    with pytest.raises(BadQuery) as refused:
        sql(shop, text)
    said = str(refused.value)
    assert not [phrase for phrase in ("Token", "sqlglot", "\x1b", "Error") if phrase in said]
    assert said.startswith("is not SQL")


def test_every_table_is_listed_with_its_columns(shop):
    found = {table.name: table for table in tables(shop)}
    assert set(found) == {*BY_NAME, EXPERIMENT_ARMS.name, ASSIGNMENTS.name}
    assert all(table.row.startswith("one row per") and table.columns for table in found.values())
    [cutoffs] = tables(shop, "cutoffs")
    assert [(column.name, column.type) for column in cutoffs.columns] == [
        ("run_id", "varchar"),
        ("customer_id", "varchar"),
        ("as_of", "timestamptz"),
    ]
    assert all(column.meaning for column in cutoffs.columns)
