"""`patron export` and `patron forget` as a person at the command line meets them."""

import io
import json
import sys

import pytest

IDENTIFY = {
    "type": "identify",
    "userId": "1042",
    "traits": {"email": "ann@example.org"},
    "timestamp": "2024-05-01T10:00:00Z",
}


@pytest.fixture
def w(patron, new_workspace, tmp_path):
    """A workspace that knows one customer, before any run."""
    (tmp_path / "events.jsonl").write_text(json.dumps(IDENTIFY | {"messageId": "m1"}))
    assert patron("import", "--workspace", new_workspace, "--mapping", "segment", tmp_path / "events.jsonl").code == 0
    return new_workspace


def test_forgetting_asks_and_a_no_changes_nothing(patron, w, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    refused = patron("forget", "--workspace", w, "--user-id", "1042")
    assert refused.code == 1
    assert "Erase 1 account and 0 devices permanently?" in refused.err
    assert patron("sql", "--workspace", w, "--json", "select event_id from events").json == [{"event_id": "m1"}]
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    done = patron("forget", "--workspace", w, "--email", "ann@example.org")
    assert done.code == 0
    assert "rows of events" in done.out
    assert patron("sql", "--workspace", w, "--json", "select event_id from events").json == []


def test_a_certificate_is_given_as_json_and_the_doctor_sees_the_audit_log(patron, w):
    done = patron("forget", "--workspace", w, "--user-id", "1042", "--yes", "--json").json
    assert done["erased"] == {"rows of events": 1, "texts": 1, "keys of identifiers": 1}
    assert len(done["audit_hash"]) == 64
    looked = {one["check"]: one for one in patron("doctor", "--workspace", w, "--json").json}
    assert looked["audit log"]["what"] == "1 entries, none damaged"
    again = patron("import", "--workspace", w, "--mapping", "segment", "--json", w.parent / "events.jsonl").json
    assert (again["stored"], again["rejected_by_reason"]) == (0, {"forgotten": 1})
    assert "dead rows" not in str(looked["dead letters"])


@pytest.mark.parametrize("command", ["forget", "export"])
@pytest.mark.parametrize("names", [[], ["--user-id", "1", "--email", "a@b.example"], ["--user-id", " "]])
def test_one_name_is_needed(patron, w, command, names):
    ran = patron(command, "--workspace", w, *names)
    assert ran.code == 2
    assert "--anonymous-id" in ran.message


def test_who_is_not_known_cannot_be_forgotten(patron, w):
    ran = patron("forget", "--workspace", w, "--phone", "+49 170 1", "--yes")
    assert ran.code == 1
    assert "no customer with phone" in ran.message
