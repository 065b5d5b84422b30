"""Hostile queries end in time, within memory and disk, with what to do; a result as large as one likes streams."""

import os
import signal
import time
from itertools import islice

import duckdb
import pytest

from patron.answers.data.query_limits import CHECK_SECONDS, QueryLimits, Watch
from patron.answers.data.sql_query import open_query, sql
from patron.schema.errors import BadQuery
from patron.storage.shop import Shop

MILLION = "(select unnest(generate_series(1, 1000000)) as x)"
THOUSANDS = "(select unnest(generate_series(1, 30000)) as x)"
ENDLESS = "with recursive n as (select 1::bigint as i union all select i + 1 from n) select"


@pytest.fixture
def shop(new_workspace, monkeypatch):
    for name in ("MEMORY", "SPILL"):
        monkeypatch.setenv(f"PATRON_ENGINE__SQL_{name}_GB", "0.05")
    shop = Shop.open(new_workspace)
    yield shop
    assert not list((shop.folder / "tmp").iterdir())
    shop.close()


@pytest.mark.parametrize("text", [f"select count(*) from {MILLION} a, {MILLION} b, {MILLION} c", f"{ENDLESS} i from n"])
def test_a_query_without_end_is_stopped_with_what_to_do(shop, text):
    with pytest.raises(BadQuery, match=r"stopped after 0\.3 seconds\. Read fewer rows .* --timeout SECONDS"):
        sql(shop, text, seconds=0.3)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("select list(x) from (select unnest(generate_series(1, 400000000)) as x)", "sql_memory_gb"),
        ("select string_agg(repeat('x', 1000000)) from (select unnest(generate_series(1, 10000)))", "sql_memory_gb"),
        (f"select a.x, b.x as y from {MILLION} a, {MILLION} b order by hash(a.x + b.x)", "sql_spill_gb"),
    ],
)
def test_a_query_that_needs_too_much_memory_or_disk_is_refused_with_the_setting(shop, text, limit):
    with pytest.raises(BadQuery, match=rf"more (memory|space on disk) than engine\.{limit} = 0\.05\. Read fewer rows"):
        sql(shop, text, seconds=30)


def test_rows_come_as_the_engine_makes_them(shop):
    with open_query(shop, f"select a.x from {THOUSANDS} a, {THOUSANDS} b") as result:
        assert result.schema.names == ["x"]
        assert sum(batch.num_rows for batch in islice(result.batches, 30)) > 100_000


def test_the_time_in_which_nobody_reads_does_not_count(shop):
    with open_query(shop, f"select a.x from {THOUSANDS} a, {THOUSANDS} b", seconds=1) as result:
        next(result.batches)
        time.sleep(1.2)
        assert next(result.batches).num_rows


def test_ctrl_c_ends_a_query_that_the_engine_begins_afterwards(tmp_path):
    before = signal.signal(signal.SIGINT, lambda *_: None)  # why: Python's own exception would end it as well
    con = duckdb.connect()
    watch = Watch(QueryLimits(seconds=2, memory_gb=1, spill_gb=1), tmp_path, None)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(4 * CHECK_SECONDS)
        with pytest.raises(duckdb.InterruptException), watch.work(con):
            con.execute(f"{ENDLESS} count(*) from n")
        assert not watch.is_out_of_time
    finally:
        watch.end()
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("text", [f"select {'(' * 3000}1{')' * 3000}", "select 1 -- " + "x" * 100_000])
def test_a_text_that_is_too_deep_or_too_long_is_refused(shop, text):
    with pytest.raises(BadQuery, match=r"is (nested too deeply|longer than 100,000 characters)"):
        sql(shop, text)
