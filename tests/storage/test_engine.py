import os
import signal
import threading
import time
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest

from patron.schema.errors import PatronError
from patron.storage.duck_engine import DuckEngine
from patron.storage.engine import PORTABLE, timestamp
from patron.storage.settings import EngineSettings
from patron.storage.spark_engine import to_spark

TIMES = pa.table(
    {"ts": pa.array([datetime(2017, 7, 1, 3, 30, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)])}
)


def test_the_portable_functions_count_local_time():
    sql = """select seconds_of(ts) as s, local_hour(ts, 'America/New_York') as h,
        local_weekday(ts, 'America/New_York') as w, local_day(ts, 'America/New_York') as d,
        day_text(ts) as t from times"""
    first, second = DuckEngine().query(sql, {"times": TIMES}).to_pylist()
    assert first == {"s": 1498879800, "h": 23, "w": 4, "d": 17347, "t": "2017-07-01"}
    assert second == {"s": -1, "h": 18, "w": 2, "d": -1, "t": "1969-12-31"}


def test_a_part_of_an_amount_is_exact_beyond_64_bits():
    sql = "select part_of(999999999999, 999999999998, 1000000000000) as part, part_of(5, 1, 0) as nothing"
    assert DuckEngine().query(sql).to_pylist() == [{"part": 999999999998 * 999999999999 // 10**12, "nothing": None}]


def test_spark_gets_its_own_sql_for_the_portable_functions():
    for name, (args, _, _) in PORTABLE.items():
        call = f"{name}({', '.join(args)})"
        assert name not in to_spark(f"select {call} as x from times").lower()


def test_a_time_without_a_time_zone_is_not_a_valid_literal():
    with pytest.raises(ValueError, match="no time zone"):
        timestamp(datetime(2024, 1, 1))  # noqa: DTZ001 - the point of the test


def test_a_query_beyond_its_memory_says_which_setting_to_raise():
    engine = DuckEngine(EngineSettings(memory_gb=0.03))
    with pytest.raises(PatronError, match="memory_gb"):
        engine.query("select list(a.range) as l from range(3000000) a cross join range(3) b group by a.range % 2")


def test_after_a_fatal_error_others_end_and_the_next_query_is_answered():
    engine = DuckEngine()
    with engine.cursor() as other:
        rows = other.execute("select unnest(generate_series(1, 5000)) as n")
        with pytest.raises(duckdb.FatalException), engine.cursor():
            raise duckdb.FatalException("invalidated")
        assert engine.query("select 1 as n")["n"].to_pylist() == [1]
        assert len(rows.fetchall()) == 5000
    engine.close()


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, also where a shell that started the tests in its background had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_a_statement_is_ctrl_c_for_whoever_runs_it():
    engine = DuckEngine()
    numbers = "(select unnest(generate_series(1, 1000000)) as x)"
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        engine.query(f"select count(*) from {numbers} a, {numbers} b, {numbers} c")
    engine.close()


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_the_engine_opens_is_ctrl_c_for_whoever_runs_it():
    def query_once() -> None:
        engine = DuckEngine()
        engine.query("select 1")
        engine.close()

    signal.signal(signal.SIGALRM, signal.default_int_handler)  # why: a timer sends no other, and the handler counts
    started = time.perf_counter()
    query_once()
    seconds = time.perf_counter() - started
    moments = 50
    interrupted = 0
    for moment in range(1, moments + 1):
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds * moment / moments)
            query_once()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert interrupted > moments / 4
