"""Answers stay until another run completes, whoever still reads the one before."""

from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from starlette.requests import Request
from workspace_copies import copy_workspace

from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.application import create_app
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run, last_run_cutoff, read_one_run
from patron.storage.runs.snapshot_cache import reader_of
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS


@pytest.fixture
def shop(made_shop, tmp_path):
    with closing(Shop.open(copy_workspace(made_shop.folder, tmp_path / "shop"))) as shop:
        yield shop


def complete_run(shop):
    """Let a run complete a day after the last one, with the same tables."""
    with shop.store.begin() as connection:
        row = dict(connection.execute(sa.select(RUNS).order_by(RUNS.c.as_of.desc())).mappings().first())
        later = row["as_of"] + timedelta(days=1)
        connection.execute(sa.insert(RUNS).values(row | {"run_id": "later", "as_of": later}))
    return later


@contextmanager
def began_before(shop):
    """Read as a request does that began before a run completed."""
    with read_one_run():
        last_run(shop)
        complete_run(shop)
        yield


@pytest.mark.parametrize("method", ["cached", "cached_per_customer"])
def test_a_request_that_began_before_a_run_takes_nothing_from_those_that_came_after(shop, method):
    answers, made = AnswerCache(shop), []

    def make():
        made.append(last_run(shop).run.run_id)
        return made[-1]

    def ask():
        return getattr(answers, method)("name", make)

    before = ask()
    with began_before(shop):
        with read_one_run():
            assert [ask(), ask()] == ["later", "later"]
            reader = reader_of(last_run(shop))
        assert ask() == before
        with read_one_run():
            assert ask() == "later"
            assert reader_of(last_run(shop)) is reader
        assert ask() == before
    assert made[:2] == [before, "later"]
    assert made.count("later") == 1


def test_an_answer_that_is_computed_while_a_run_completes_is_not_given_to_its_readers(shop):
    answers = AnswerCache(shop)

    def make_while_a_run_completes():
        complete_run(shop)
        with read_one_run():
            assert answers.cached("name", lambda: "later") == "later"
        return "before"

    with read_one_run():
        last_run(shop)
        assert answers.cached("other", lambda: "before") == "before"
        assert answers.cached_per_customer("name", make_while_a_run_completes) == "before"
    with read_one_run():
        assert answers.cached_per_customer("name", lambda: "later") == "later"
        assert answers.cached("other", lambda: "later") == "later"


def test_what_an_earlier_reader_computes_about_its_run_is_computed_once(shop):
    answers, made = AnswerCache(shop), []
    with began_before(shop):
        with read_one_run():
            answers.cached("name", lambda: "later")
        assert [answers.cached("name", lambda: made.append(1) or "before") for _ in range(3)] == ["before"] * 3
    assert len(made) == 1


def test_a_page_names_the_run_that_it_shows(shop):
    console: Console = create_app(shop).state.console
    request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
    before = last_run_cutoff(shop)
    with began_before(shop):
        texts = console.words(request)
        shown = console._data_shown(request, texts, "/")
        assert shown.run_id == last_run(shop).run.run_id != "later"
        assert "later" in shown.runs
        assert last_run_cutoff(shop) == before
    assert console._data_shown(request, texts, "/").run_id == "later"
