import threading
from functools import partial

import pytest
from tests.support.shops.workspace_copies import copy_workspace

from patron.answers.customers.customer_index import index_at_last_run
from patron.interfaces.console import page_preparation
from patron.interfaces.http.application import create_app
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

PREPARED = ("customer_index", "models", "run items", "watch list history", ("cohort sums", "month"))


PATIENCE_SECONDS = 300
"""On a machine that does much else."""


def is_kept(answers: AnswerCache, name: object) -> bool:
    def missing() -> None:
        raise LookupError(name)

    try:
        answers.cached(name, missing)
    except LookupError:
        return False
    return True


@pytest.fixture
def console(made_shop, tmp_path):
    """Of a copy of the made shop, whose runs may change."""
    shop = Shop.open(copy_workspace(made_shop.folder, tmp_path / "copy"))
    yield create_app(shop).state.console
    shop.close()


def test_a_run_is_prepared_before_anybody_asks_and_so_is_the_next(console, monkeypatch):
    monkeypatch.setattr(page_preparation, "CHECK_SECONDS", 0.05)
    answers, stopping, prepared = console.answers, threading.Event(), threading.Event()
    steps = partial(page_preparation.page_steps, console)
    thread = threading.Thread(target=page_preparation.prepare_each_run, args=(answers, steps, stopping, prepared))
    thread.start()
    try:
        assert prepared.wait(PATIENCE_SECONDS)
        assert all(is_kept(answers, name) for name in PREPARED)
        index = index_at_last_run(answers)
        with answers.shop.store.begin() as connection:
            before = connection.execute(RUNS.select().order_by(RUNS.c.as_of)).mappings().first()
            connection.execute(RUNS.delete().where(RUNS.c.run_id != before["run_id"]))
        for _ in range(10 * PATIENCE_SECONDS):
            if is_kept(answers, PREPARED[-1]):
                break
            stopping.wait(0.1)
        assert all(is_kept(answers, name) for name in PREPARED)
        assert index_at_last_run(answers).run_id == before["run_id"] != index.run_id
    finally:
        stopping.set()
        thread.join(PATIENCE_SECONDS)


def test_nothing_is_prepared_once_the_server_stops(console):
    page_preparation.prepare(page_preparation.page_steps(console), lambda: True)
    assert not any(is_kept(console.answers, name) for name in PREPARED)


def test_a_step_that_fails_keeps_no_other_from_being_prepared():
    taken = []

    def fail():
        taken.append("failed")
        raise OSError("the database restarts")

    page_preparation.prepare(iter([fail, lambda: taken.append("next")]), lambda: False)
    assert taken == ["failed", "next"]
