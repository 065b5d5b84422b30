"""Work in the background: results in order, errors where results are taken, nothing begun after a failure."""

from threading import Event, Timer

import pytest

from patron.predict.background import in_background
from patron.schema.errors import NotEnoughData


def test_functions_run_one_after_the_other_while_the_block_runs():
    from_block, calls = Event(), []

    def first(number):
        assert from_block.wait(10)
        calls.append("first")
        return number + 1

    def second(number):
        calls.append("second")
        return number + 2

    with in_background((first, second), 5) as results:
        assert not calls
        from_block.set()
        assert [result.result() for result in results] == [6, 7]
    assert calls == ["first", "second"]


def test_an_error_is_raised_where_the_result_is_taken():
    def fail(text):
        raise NotEnoughData(text)

    with in_background((fail, len), "no order") as (broken, good):
        assert good.result() == len("no order")
        with pytest.raises(NotEnoughData, match="no order"):
            broken.result()


def test_nothing_is_begun_after_the_block_has_failed():
    is_over, calls = Event(), []

    def first(_):
        is_over.wait(10)
        calls.append("first")

    def fail():
        with in_background((first, calls.append), "second"):
            Timer(0.2, is_over.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert calls == ["first"]
