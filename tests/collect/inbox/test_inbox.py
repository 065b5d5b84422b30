import os
import shutil
import sqlite3
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.collect.inbox.inbox import Inbox
from patron.collect.request import Message, Request
from patron.schema.errors import InboxDamaged, WorkspaceError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))


def arrival(*ids, source="web", rejected=0, at=NOW):
    good = [Message(identifier, {"event_id": identifier, "name": "Page", "occurred_at": at}) for identifier in ids]
    bad = [Message(None, {"problem": "bad_event:x", "payload": str(n)}) for n in range(rejected)]
    return Request(source, at, good + bad)


@pytest.fixture(params=["file", "server"])
def place(request, tmp_path):
    """Where an inbox is: a file of the workspace, or a database of a server."""
    return tmp_path / "inbox.db" if request.param == "file" else request.getfixturevalue("postgres_url")


@pytest.fixture
def inbox(place):
    opened = Inbox(place, KEY)
    yield opened
    opened.close()


def stored_ids(inbox):
    return [
        (request.source, row["event_id"])
        for request in inbox.pending_requests()
        for row in request.rows
        if "event_id" in row
    ]


def test_a_message_is_stored_once_per_source_and_counted(inbox):
    first, second = inbox.append([arrival("a", "b", "a", rejected=1), arrival("b", source="app")])
    assert (first.stored, first.duplicate, first.rejected) == (2, 1, 1)
    assert (second.stored, second.duplicate, second.rejected) == (1, 0, 0)
    (again,) = inbox.append([arrival("b", "c", at=NOW + timedelta(days=400))])
    assert (again.stored, again.duplicate) == (1, 1)
    assert Counter(stored_ids(inbox)) == Counter([("web", "a"), ("web", "b"), ("app", "b"), ("web", "c")])
    assert inbox.counts()["web"].stored == 3


IDS = st.lists(st.lists(st.sampled_from("abcdefghijk"), max_size=5), max_size=4)
ORDERS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["o1", "o2", "o3", None])), max_size=6)
THEN = st.sampled_from(["goes on", "is opened anew", "another process writes", "the commit fails", "a file brings it"])


STEPS = {"steps": st.lists(st.tuples(THEN, IDS), max_size=8), "generation": st.integers(1, 6)}
QUICK = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=150, **QUICK)
@given(**STEPS)
def test_whatever_arrives_again_each_id_is_there_once_and_the_counters_add_up(
    tmp_path_factory, monkeypatch, steps, generation
):
    follow(tmp_path_factory.mktemp("inbox") / "inbox.db", monkeypatch, steps, generation)


@settings(max_examples=25, **QUICK)
@given(**STEPS)
def test_on_a_server_too_each_id_is_there_once(postgres_url, monkeypatch, steps, generation):
    with Inbox(postgres_url, KEY) as inbox:
        for table in ("event_ids", "id_log", "requests", "customer_marks", "counts", "progress"):
            inbox.backend.execute(f"delete from inbox_{table}")
    follow(postgres_url, monkeypatch, steps, generation)


def follow(place, monkeypatch, steps, generation):
    monkeypatch.setattr("patron.collect.inbox.event_ids.GENERATION", generation)
    inbox, other, submitted, known = Inbox(place, KEY), Inbox(place, KEY), [], set()
    for what, group in steps:
        ids = [event_id for event_ids in group for event_id in event_ids]
        if what == "a file brings it":
            new = {*ids} - {*submitted}
            inbox.remember("web", [(one, None) for one in new])
            known |= new
            continue
        if what == "is opened anew":
            inbox.close()
            inbox = Inbox(place, KEY)
        if what == "the commit fails" and group:
            with monkeypatch.context() as patch:
                broken = replace(inbox.backend.sql, add_counts="insert into nothing values (?, ?, ?, ?)")
                patch.setattr(inbox.backend, "sql", broken)
                with pytest.raises(WorkspaceError):
                    inbox.append([arrival(*event_ids) for event_ids in group])
        (other if what == "another process writes" else inbox).append([arrival(*event_ids) for event_ids in group])
        submitted += ids
    assert sorted(stored_ids(inbox)) == [("web", one) for one in sorted({*submitted} - known)]
    counted = inbox.counts().get("web")
    assert (counted.stored + counted.duplicate if counted else 0) == len(submitted)
    assert all(other.is_known("web", one) == (one in {*submitted} | known) for one in "abcdefghijk")
    inbox.check()
    inbox.close()
    other.close()


def test_a_generation_that_was_settled_leaves_its_log(inbox, monkeypatch):
    monkeypatch.setattr("patron.collect.inbox.event_ids.GENERATION", 10)
    for n in range(40):
        inbox.append([arrival(f"m{n}")])
    logged = inbox.backend.execute("select count(*) from inbox_id_log").fetchone()[0]
    settled = inbox.backend.execute("select count(*) from inbox_event_ids").fetchone()[0]
    assert logged < 20 <= settled
    assert [one.duplicate for one in inbox.append([arrival(f"m{n}") for n in range(40)])] == [1] * 40


def order(event_id, number, source="web"):
    row = {"event_id": event_id, "name": "Order Completed", "order_id": number, "flags": None}
    return Request(source, NOW, [Message(event_id, row)])


def test_an_order_sent_again_under_another_id_is_stored_and_flagged(inbox):
    verdicts = inbox.append([order("a", "o1"), order("b", "o1"), order("c", "o1", "app"), order("d", "o2")])
    verdicts += inbox.append([order("e", "o2"), order("d", "o2")])
    assert [verdict.stored for verdict in verdicts] == [1, 1, 1, 1, 1, 0]
    flags = {row["event_id"]: row["flags"] for request in inbox.pending_requests() for row in request.rows}
    assert flags == {"a": None, "b": ["repeated_order"], "c": None, "d": None, "e": ["repeated_order"]}


@settings(max_examples=100, **QUICK)
@given(groups=st.lists(st.lists(ORDERS, max_size=3), max_size=5), generation=st.integers(1, 6))
def test_of_events_that_complete_one_order_the_first_that_was_stored_counts(
    tmp_path_factory, monkeypatch, groups, generation
):
    monkeypatch.setattr("patron.collect.inbox.event_ids.GENERATION", generation)
    inbox = Inbox(tmp_path_factory.mktemp("inbox") / "inbox.db", KEY)
    stored, numbers, expected = set(), set(), {}
    for group in groups:
        requests = [Request("web", NOW, [order(one, number).messages[0] for one, number in pairs]) for pairs in group]
        inbox.append(requests)
        for event_id, number in (pair for pairs in group for pair in pairs):
            if event_id not in stored:
                stored.add(event_id)
                expected[event_id] = ["repeated_order"] if number in numbers else None
                numbers |= {number} - {None}
    found = {row["event_id"]: row["flags"] for request in inbox.pending_requests() for row in request.rows}
    inbox.close()
    assert found == expected


def test_test_traffic_takes_no_order_number_from_anybody(inbox):
    tested = order("a", "o1")
    tested.messages[0].row["flags"] = ["no_time", "test"]
    inbox.append([tested, order("b", "o1")])
    flags = {row["event_id"]: row["flags"] for request in inbox.pending_requests() for row in request.rows}
    assert flags == {"a": ["no_time", "test"], "b": None}


def test_a_quiet_collector_forgets_what_a_busy_one_has_settled(place, monkeypatch):
    monkeypatch.setattr("patron.collect.inbox.event_ids.GENERATION", 50)
    busy, quiet = Inbox(place, KEY), Inbox(place, KEY)
    for n in range(200):
        busy.append([arrival(*(f"m{n}-{m}" for m in range(5)))])
        if n % 20 == 0:
            quiet.append([arrival(f"q{n}")])
    quiet.append([arrival("last")])
    assert max(one._ids.count for one in (busy, quiet)) < 250
    assert [one.duplicate for one in quiet.append([arrival(f"m{n}-0") for n in range(200)])] == [1] * 200
    busy.close()
    quiet.close()


def test_somebody_with_very_many_ids_is_found(place):
    inbox = Inbox(place, KEY, lambda _kind, value: f"{value:>8}".encode())
    inbox.append([Request("web", NOW, [Message("m", {"event_id": "m", "user_id": "u7"})])])
    assert [one.seq for one in inbox.requests_about([f"{f'u{n}':>8}".encode() for n in range(3_000)], after=0)] == [1]
    inbox.close()


def test_requests_about_somebody_are_found_among_many(place):
    inbox = Inbox(place, KEY, lambda kind, value: f"{kind[:1]}{value:>7}".encode())
    rows = [{"event_id": f"m{n}", "user_id": f"u{n % 40}", "anonymous_id": f"v{n % 7}"} for n in range(400)]
    inbox.append(
        [Request("web", NOW, [Message(r["event_id"], r) for r in rows[n : n + 10]]) for n in range(0, 400, 10)]
    )
    found = [row for one in inbox.requests_about([b"u     u3"], after=0) for row in one.rows]
    assert [row["event_id"] for row in found] == [f"m{n}" for n in range(3, 400, 40)]
    assert [one.seq for one in inbox.requests_about([b"u     u3", b"a     v1"], after=38)] == [39, 40]
    assert list(inbox.requests_about([], after=0)) == []
    inbox.mark_moved(40, Counter())
    inbox.release(39)
    assert [one.seq for one in inbox.requests_about([b"u     u3", b"a     v1"], after=0)] == [40]
    inbox.close()


def test_an_id_stays_known_after_its_message_has_left_for_the_lake(inbox):
    inbox.append([arrival("a")])
    inbox.mark_moved(inbox.pending_requests()[-1].seq, Counter())
    assert inbox.pending_requests() == []
    (again,) = inbox.append([arrival("a")])
    assert again.duplicate == 1
    assert inbox.pending_requests() == []


def test_a_commit_reads_only_the_ends_of_what_came_before_it(tmp_path):
    with Inbox(tmp_path / "inbox.db", KEY) as inbox:
        sql = inbox.backend.sql
        for query in (sql.select_last_seq, sql.select_id_log_range):
            plan = [row[-1] for row in inbox.backend.execute(f"explain query plan {query}").fetchall()]
            assert plan
            assert not [step for step in plan if step.startswith("SCAN inbox")]


def test_an_event_rejected_on_the_way_moves_from_one_counter_to_the_other(inbox):
    inbox.append([arrival("a", "b")])
    inbox.mark_moved(1, Counter(web=1))
    counted = inbox.counts()["web"]
    assert (counted.stored, counted.duplicate, counted.rejected) == (1, 0, 1)


def test_the_file_does_not_show_what_it_holds(tmp_path):
    inbox = Inbox(tmp_path / "inbox.db", KEY)
    event = {"event_id": "message-one", "user_id": "anna@example.org"}
    inbox.append([Request("web", NOW, [Message("message-one", event)])])
    content = b"".join(path.read_bytes() for path in tmp_path.glob("inbox.db*"))
    assert b"anna@example.org" not in content
    assert b"message-one" not in content
    inbox.close()


def test_the_log_cut_at_any_byte_gives_back_every_whole_commit_before_the_cut(tmp_path):
    inbox = Inbox(tmp_path / "inbox.db", KEY)
    inbox.append([arrival("first")])
    inbox.scrub()
    ends = []
    for n in range(6):
        inbox.append([arrival(f"m{n}")])
        ends.append((tmp_path / "inbox.db-wal").stat().st_size)
    whole = tmp_path / "whole"
    whole.mkdir()
    for name in ("inbox.db", "inbox.db-wal"):
        shutil.copy(tmp_path / name, whole / name)
    inbox.close()
    for cut in range(0, ends[-1] + 1, 997):
        part = tmp_path / "cut"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(whole, part)
        os.truncate(part / "inbox.db-wal", cut)
        again = Inbox(part / "inbox.db", KEY)
        again.check()
        expected = ["first", *(f"m{n}" for n, end in enumerate(ends) if end <= cut)]
        assert [one for _, one in stored_ids(again)] == expected
        again.close()


def filled(path, count=400):
    inbox = Inbox(path, KEY)
    inbox.remember("file", ((f"f{n}", None) for n in range(50)))
    for n in range(count // 20):
        inbox.append([arrival(*(f"m{n}-{m}" for m in range(20)))])
    inbox.scrub()
    inbox.close()
    return path.stat().st_size


def is_found_damaged(path):
    try:
        inbox = Inbox(path, KEY)
    except InboxDamaged:
        return True
    try:
        inbox.check()
    except InboxDamaged:
        return True
    finally:
        inbox.close()
    return False


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_off_is_found_damaged(tmp_path, share):
    size = filled(tmp_path / "inbox.db")
    os.truncate(tmp_path / "inbox.db", int(size * share))
    assert is_found_damaged(tmp_path / "inbox.db")


def test_a_changed_bit_in_a_message_or_an_id_is_found(tmp_path):
    path = tmp_path / "inbox.db"
    filled(path)
    con = sqlite3.connect(path)
    sealed = con.execute("select sealed_messages from inbox_requests where seq = 7").fetchone()[0]
    settled = con.execute("select id from inbox_event_ids limit 1 offset 10").fetchone()[0]
    logged = con.execute("select ids from inbox_id_log where seq = 19").fetchone()[0]
    con.close()
    content = path.read_bytes()
    for piece in (sealed, settled, logged):
        place = content.index(piece) + len(piece) // 2
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        assert is_found_damaged(path)
    path.write_bytes(content)
    assert not is_found_damaged(path)


def test_another_key_does_not_open_it(tmp_path):
    filled(tmp_path / "inbox.db", 20)
    with pytest.raises(InboxDamaged):
        Inbox(tmp_path / "inbox.db", KEY[::-1])


def test_a_server_that_cannot_be_reached_or_goes_away_is_reported(postgres_url):
    with pytest.raises(WorkspaceError, match="inbox_url: the server refused"):
        Inbox("postgresql://nobody@127.0.0.1:1/nothing", KEY)
    inbox = Inbox(postgres_url, KEY)
    with Inbox(postgres_url, KEY) as other:
        pid = inbox.backend.execute("select pg_backend_pid()").fetchone()[0]
        other.backend.execute("select pg_terminate_backend(%s)", (pid,))
    with pytest.raises(WorkspaceError, match="the server refused"):
        inbox.append([arrival("a")])
    inbox.close()


def test_on_a_server_nobody_reads_past_a_request_that_is_being_written(postgres_url):
    first, second, read = (Inbox(postgres_url, KEY) for _ in range(3))
    done = []

    def put(inbox, event_id):
        inbox.append([arrival(event_id)])
        done.append(event_id)

    with first.backend.transaction():
        thread = threading.Thread(target=put, args=(second, "b"))
        thread.start()
        thread.join(0.3)
        assert (done, read.pending_requests()) == ([], [])
    thread.join(10)
    put(first, "a")
    assert [(request.seq, request.rows[0]["event_id"]) for request in read.pending_requests()] == [(1, "b"), (2, "a")]
    for one in (first, second, read):
        one.close()
