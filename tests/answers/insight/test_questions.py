"""Questions run in a process of their own, within limits, and without anybody's tokens; the ready-made ones all run."""

import threading
import time

import pytest

from patron.answers.data.query_worker import QueryWorkers
from patron.answers.insight.questions import list_questions, run_question
from patron.answers.insight.ready_questions import READY_QUESTIONS
from patron.schema.errors import BadQuery

ENDLESS = "with recursive t(n) as (select 1 union all select n + 1 from t) select max(n) from t"


@pytest.fixture(scope="module")
def workers(made_shop):
    opened = QueryWorkers(made_shop.folder)
    yield opened
    opened.close()


def test_every_ready_made_question_has_an_answer(made_shop, workers):
    sql = {question.code: question.sql for question in list_questions(made_shop) if question.code}
    assert set(sql) == {question.code for question in READY_QUESTIONS}
    results = {code: run_question(made_shop, workers, text) for code, text in sql.items()}
    [total] = run_question(made_shop, workers, "select sum(paid_cents) from order_lines").rows
    assert sum(row[1] for row in results["revenue_by_month"].rows) == total[0]
    assert sum(row[2] for row in results["revenue_by_channel"].rows) == total[0]
    stages = {row[0]: row[1] for row in results["customers_by_stage"].rows}
    assert sum(stages.values()) == 300
    assert all(0 <= row[1] <= 1 for row in results["discounts_by_month"].rows)


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("select token from identities", "token"),
        ("select value from traits", "value"),
        ("drop table orders", "SELECT"),
        ("select * from read_csv('/etc/passwd')", "no function"),
        (" ", "nothing"),
    ],
)
def test_what_is_not_a_question_is_refused(made_shop, workers, sql, problem):
    with pytest.raises(BadQuery, match=problem):
        run_question(made_shop, workers, sql)


def test_who_asked_stops_a_query_that_runs_and_nobody_else_does(made_shop, workers):
    refusals = []

    def ask():
        with pytest.raises(BadQuery) as refusal:
            run_question(made_shop, workers, ENDLESS, seconds=25, asker="ann")
        refusals.append(refusal.value.what)

    asking = threading.Thread(target=ask)
    asking.start()
    stopped = 0
    for _ in range(200):
        assert workers.stop("ben") == 0
        stopped = workers.stop("ann")
        if stopped:
            break
        time.sleep(0.05)
    asking.join(timeout=20)
    assert (stopped, refusals) == (1, ["you stopped the query"])
    assert run_question(made_shop, workers, "select count(*) as n from customers", asker="ann").rows == ((300,),)
    assert workers.stop("ann") == 0


def test_an_endless_query_is_stopped_and_the_next_one_is_answered(made_shop, workers):
    with pytest.raises(BadQuery, match=r"stopped after 0\.3 seconds"):
        run_question(made_shop, workers, ENDLESS, seconds=0.3)
    assert run_question(made_shop, workers, "select count(*) as n from customers").rows == ((300,),)


def test_rows_beyond_the_limit_are_cut_and_the_result_says_so(made_shop, workers):
    result = run_question(made_shop, workers, "select customer_id from customers", most_rows=7)
    assert (len(result.rows), result.is_cut) == (7, True)


def test_a_process_that_died_is_replaced(made_shop, workers):
    for process in workers._sandbox._processes:
        if process is not None:
            process.kill()
            process.wait()
    assert run_question(made_shop, workers, "select 1 as n from customers limit 1").rows == ((1,),)
