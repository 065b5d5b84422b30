"""Whatever somebody sends, the server goes on; `benchmarks/interfaces/hostile_inputs.py` sends all of it."""

import threading
import time

import httpx
import pytest
from tests.support.hostile import hostile_corpus
from tests.support.hostile.hostile_corpus import hostile_server

from patron.answers.data.query_worker import QuestionResult, ResultColumn
from patron.govern.access import audit_log
from patron.interfaces.http.insight.question_routes import RecentResults
from patron.schema.access.audit_actions import AuditAction
from patron.storage.sandbox.sandbox import MAX_WAITING_OF_ONE, PATIENCE_SECONDS

EVERY = 17
MEMORY_RATIO = 1.2
SLOW = "<a " * 16_000


@pytest.fixture(scope="module")
def server(made_shop):
    # why a second: what a query takes until it is stopped shows nothing that a longer one would not
    with hostile_server(made_shop.folder, PATRON_ENGINE__SQL_SECONDS="1") as opened:
        yield opened


def test_hostile_inputs_are_refused_or_read_and_the_server_goes_on(server):
    for path in ("/campaigns", "/explore", "/ingestion/upload", "/segments/new", "/api/campaigns"):
        assert httpx.get(server.address + path, timeout=60).status_code == 200
    before = server.memory
    sent = list(hostile_corpus.send_all(server, every=EVERY))
    assert {one.door for one in sent} >= {"upload", "campaign", "draft of a campaign", "segment", "query"}
    assert [(one.door, one.name, one.status) for one in sent if one.status >= 500] == []
    assert server.process.poll() is None
    assert server.unanswered == []
    assert server.memory < MEMORY_RATIO * before


def test_what_is_stopped_is_refused_and_on_record(server, made_shop):
    template = {"subject": "Hello", "body": SLOW, "format": "html"}
    content = {"campaign": hostile_corpus.CAMPAIGN | {"template": {"en": template}}}
    answer = httpx.post(f"{server.address}/api/campaigns", json=content, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (422, "reading_too_long")
    [entry] = [one for one in audit_log.entries(made_shop.store) if one.action == AuditAction.READING_STOPPED][-1:]
    assert '"reader": "compile_template"' in entry.details
    assert '"reason": "time"' in entry.details
    assert '"address": "/api/campaigns"' in entry.details


def test_an_upload_that_cannot_be_read_is_named_and_deleted(server, made_shop):
    uploads = made_shop.folder / "tmp" / "uploads"
    before = set(uploads.glob("*"))
    sent = {"file": ("Orders.csv", b"a" * 200_000 + b"\n1\n")}
    answer = httpx.post(f"{server.address}/ingestion/upload", files=sent, timeout=60)
    assert answer.status_code == 422
    assert "Orders.csv: its header has more than 65,536 characters" in answer.text
    assert set(uploads.glob("*")) == before


def test_a_crowd_of_queries_of_one_person_keeps_nobody_waiting(server):
    answers = []

    def ask(number):
        sql = f"with recursive t(n) as (select {number} union all select n + 1 from t) select max(n) from t"
        answers.append(httpx.get(f"{server.address}/api/questions/ask", params={"sql": sql}, timeout=60))

    crowd = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
    for asking in crowd:
        asking.start()
    while len(answers) < 60 - 1 - MAX_WAITING_OF_ONE:
        time.sleep(0.05)
    assert {(one.status_code, one.json()["code"]) for one in answers} <= {(422, "sql_busy"), (422, "sql_stopped")}
    assert "sql_busy" in {one.json()["code"] for one in answers}
    began = time.monotonic()
    assert httpx.get(f"{server.address}/sign-in", timeout=60).status_code == 200
    assert time.monotonic() - began < PATIENCE_SECONDS / 2
    while any(asking.is_alive() for asking in crowd):
        httpx.post(f"{server.address}/api/questions/stop", timeout=60)
        time.sleep(0.05)
    assert {one.status_code for one in answers} == {422}


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (f"select {','.join(['c.*'] * 400)} from customers c, range(1000)", "sql_wide"),
        (f"select {','.join(['1'] * 501)}", "sql_wide"),
        (f"select {','.join(['1'] * 500)} from range(100)", ""),
    ],
)
def test_a_result_of_more_columns_than_anybody_reads_is_refused(server, sql, code):
    answer = httpx.get(f"{server.address}/api/questions/ask", params={"sql": sql}, timeout=60)
    assert (answer.status_code, answer.json().get("code", "")) == (422 if code else 200, code)


def test_a_crowd_that_signs_in_keeps_no_page_waiting(server):
    statuses = []

    def enter(number):
        entered = {"email": f"nobody{number}@shop.example", "password": "x" * 100}
        statuses.append(httpx.post(f"{server.address}/sign-in", data=entered, timeout=60).status_code)

    crowd = [threading.Thread(target=enter, args=(number,)) for number in range(55)]
    for entering in crowd:
        entering.start()
    time.sleep(0.3)
    began = time.monotonic()
    assert httpx.get(f"{server.address}/sign-in", timeout=60).status_code == 200
    assert time.monotonic() - began < PATIENCE_SECONDS / 2
    for entering in crowd:
        entering.join()
    assert set(statuses) == {401, 429}


def test_results_that_are_kept_take_no_more_memory_than_there_is_for_them():
    kept = RecentResults()
    results = [_result(rows, length) for rows, length in ((1_000, 50_000), (1_000, 100_000), (10, 10), (1_000, 40_000))]
    for number, result in enumerate(results):
        kept.keep(number, result)
        kept.keep(number, result)
    assert [kept.value(number) is not None for number in range(4)] == [False, False, True, True]
    for number in range(200):
        kept.keep(f"small {number}", _result(10, 10))
    assert kept.value("small 199") is not None
    assert kept.value(3) is None


def _result(rows, length):
    return QuestionResult((ResultColumn("a", "text"),), (("x" * length,),) * rows)
