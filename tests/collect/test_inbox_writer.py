"""The writer answers every promise, whatever happens to clients and files."""

import time
from datetime import UTC, datetime

import pytest

from patron.collect.inbox import Inbox
from patron.collect.inbox_writer import InboxWriter
from patron.collect.request import Message, Request
from patron.schema.errors import PatronError

KEY = bytes(range(32))


def arrival(event_id):
    return Request("web", datetime(2026, 3, 1, 12, tzinfo=UTC), [Message(event_id, {"event_id": event_id})])


@pytest.fixture
def writer(tmp_path):
    made = InboxWriter(lambda: Inbox(tmp_path / "inbox.db", KEY))
    yield made
    made.stop()


def accepted_in_time(writer, event_id):
    for _ in range(100):
        try:
            return writer.submit(arrival(event_id)).result(5).stored
        except PatronError:
            time.sleep(0.05)
    return None


def test_a_client_that_leaves_stops_nobody_else(writer):
    cancelled = writer.submit(arrival("a"))
    cancelled.cancel()
    writer.start()
    assert accepted_in_time(writer, "b") == 1


def test_a_client_that_leaves_while_its_request_is_written_stops_nobody_else(writer):
    submitted = []
    writer.on_commit = lambda _: submitted[0].cancel()
    submitted.append(writer.submit(arrival("a")))
    writer.start()
    assert submitted[0].result(5).stored == 1
    assert accepted_in_time(writer, "b") == 1


def test_a_failing_commit_listener_cannot_stop_commits(writer):
    writer.on_commit = lambda _: 1 // 0
    writer.start()
    assert accepted_in_time(writer, "a") == 1
    assert accepted_in_time(writer, "b") == 1


def test_a_file_that_cannot_be_opened_for_any_reason_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("patron.collect.inbox_writer.REOPEN_SECONDS", 0.01)
    tries = []

    def opening():
        tries.append(1)
        if len(tries) < 3:
            raise OSError(5, "Input/output error")
        return Inbox(tmp_path / "inbox.db", KEY)

    writer = InboxWriter(opening)
    writer.start()
    assert "Input/output error" in str(writer.trouble)
    assert accepted_in_time(writer, "a") == 1
    writer.stop()
