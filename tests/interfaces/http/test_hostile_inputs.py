"""Whatever somebody sends, the server goes on; `benchmarks/interfaces/hostile_inputs.py` sends all of it."""

import httpx
import pytest
from tests.support.hostile import hostile_corpus
from tests.support.hostile.hostile_corpus import hostile_server

from patron.govern.access import audit_log
from patron.schema.access.audit_actions import AuditAction

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
