"""The writer answers every promise, whatever happens to clients and files."""

import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from patron.collect.inbox.inbox import Inbox
from patron.collect.inbox.inbox_writer import InboxWriter
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
    monkeypatch.setattr("patron.collect.inbox.inbox_writer.REOPEN_SECONDS", 0.01)
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


def test_a_file_whose_sync_failed_is_closed_as_it_is_and_all_of_it_is_written_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("patron.collect.inbox.inbox_writer.REOPEN_SECONDS", 0.01)
    file, log, opened = tmp_path / "inbox.db", tmp_path / "inbox.db-wal", []

    def opening():
        # why: what the file and its log are like between the failure and the next try
        opened.append((file.read_bytes() if file.exists() else b"", log.stat().st_size if log.exists() else 0))
        return Inbox(file, KEY)

    writer = InboxWriter(opening)
    writer.start()
    assert accepted_in_time(writer, "a") == 1
    before = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "append", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input/output"):
            writer.submit(arrival("b")).result(5)
    assert accepted_in_time(writer, "b") == 1
    assert opened[1][0] == before
    assert opened[1][1] > 0
    assert file.read_bytes() != before
    writer.stop()


@pytest.mark.skipif(not shutil.which("strace"), reason="strace, which makes a sync fail, is not installed")
def test_a_descriptor_whose_sync_failed_is_never_synced_again(tmp_path):
    log, accept = tmp_path / "calls", Path(__file__).parents[2] / "support" / "accept_events.py"
    options = ["-f", "-qq", "-y", "-e", "trace=fdatasync,close", "-e", "inject=fdatasync:error=EIO:when=5"]
    command = ["strace", *options, "-o", str(log), sys.executable, str(accept), str(tmp_path / "inbox.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert json.loads(done.stdout) == {"accepted": 8, "refused_once": True, "stored": 8}
    calls = [line for line in log.read_text().splitlines() if "inbox.db-wal" in line]
    failed = [n for n, line in enumerate(calls) if "INJECTED" in line]
    assert failed
    assert all(" close(" in calls[n + 1] for n in failed)
