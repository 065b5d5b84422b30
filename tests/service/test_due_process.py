"""A process that the server runs by itself: what it says is logged, and one that fails is not started all the time."""

import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from patron.service.due_process import PAUSES, DueProcess

MONDAY = datetime(2026, 11, 23, 4, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class Letters(DueProcess):
    """Work of a module of the test, of which there is some once."""

    module = "letters"
    work = "letters"
    is_news: bool = True

    def is_due(self, _now):
        is_news, self.is_news = self.is_news, False
        return is_news


class Hands:
    """The clock of a test."""

    def __init__(self):
        self.now = MONDAY

    def __call__(self):
        return self.now


@pytest.fixture
def letters(shop, tmp_path, monkeypatch):
    """Writes the module, and makes the work that runs it."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    def write(text):
        (tmp_path / "letters.py").write_text(f"import sys\n{text}\n", "utf-8")

    process = Letters(shop, Hands())
    process.write = write
    return process


def test_a_process_that_fails_is_started_again_after_pauses_that_grow_also_without_news(letters, caplog):
    letters.write("sys.exit('the database restarts')")
    assert letters.run_if_due()
    assert "the database restarts" in letters.trouble
    for pause in (*PAUSES, PAUSES[-1]):
        letters.is_news = True
        letters.clock.now += pause - SECOND
        assert not letters.run_if_due()
        letters.clock.now += SECOND
        assert letters.run_if_due()
    assert caplog.text.count("the database restarts") == 1, "the same trouble is logged once"
    letters.write("")
    letters.is_news = False
    letters.clock.now += PAUSES[-1]
    assert letters.run_if_due(), "what it left undone is still to do"
    assert letters.trouble == ""
    assert not letters.run_if_due()
    letters.is_news = True
    assert letters.run_if_due(), "there is no pause after one that ended well"


def test_a_process_that_lived_for_long_pauses_as_after_the_first_failure(letters):
    letters.write("sys.exit(3)")
    letters.run_if_due()
    letters.clock.now += PAUSES[0]
    run = letters._child.run

    def run_for_a_day():
        letters.clock.now += timedelta(days=1)
        return run()

    letters._child.run = run_for_a_day
    assert letters.run_if_due()
    letters.clock.now += PAUSES[0]
    assert letters.run_if_due()


def test_a_warning_is_logged_and_is_no_failure(letters, caplog):
    letters.write("print('a library will change', file=sys.stderr)")
    with caplog.at_level(logging.WARNING):
        assert letters.run_if_due()
    assert letters.trouble == ""
    assert "a library will change" in caplog.text
    letters.is_news = True
    assert letters.run_if_due()


def test_a_process_that_says_what_it_cannot_have_to_say_pauses_too(letters, monkeypatch):
    letters.write("print('null')")
    monkeypatch.setattr(Letters, "_trouble_in", lambda _self, output: json.loads(output)["troubles"])
    assert letters.run_if_due()
    assert letters.trouble
    letters.is_news = True
    assert not letters.run_if_due()


def test_a_module_that_is_not_there_is_trouble(letters, caplog):
    assert letters.run_if_due()
    assert "No module named letters" in letters.trouble
    assert "No module named letters" in caplog.text
