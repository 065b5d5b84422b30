"""A log is emptied once whoever moves it at the moment has done so."""

import sqlite3
import threading
from contextlib import closing

import pytest

from patron.storage import write_ahead_log
from patron.storage.write_ahead_log import empty_write_ahead_log


@pytest.fixture
def database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None, timeout=0)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table a as select 1 as n")
        yield connection


@pytest.fixture
def reader(tmp_path, database):
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("begin")
        connection.execute("select * from a").fetchall()
        database.execute("insert into a values (2)")
        yield connection


def is_busy(database):
    return bool(database.execute("pragma wal_checkpoint(truncate)").fetchone()[0])


def test_a_log_that_is_in_use_is_emptied_once_it_no_longer_is(tmp_path, database, reader):
    assert is_busy(database)
    threading.Timer(0.5, lambda: reader.execute("commit")).start()
    assert empty_write_ahead_log(lambda: is_busy(database))
    assert not (tmp_path / "a.db-wal").stat().st_size


@pytest.mark.usefixtures("reader")
def test_a_log_that_stays_in_use_is_not_waited_for_for_ever(database, monkeypatch):
    monkeypatch.setattr(write_ahead_log, "PATIENCE_SECONDS", 0.3)
    assert not empty_write_ahead_log(lambda: is_busy(database))
