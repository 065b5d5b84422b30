"""A sandbox survives whatever it calls, says why a call came to nothing, and lets it reach nothing."""

import os
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from tests.support.hostile import hostile_calls

from patron.schema.errors import BadFile
from patron.storage.sandbox.confinement import memory_cap
from patron.storage.sandbox.sandbox import (
    ASKER,
    MAX_WAITING,
    MAX_WAITING_OF_ONE,
    STOPPED_CALLS,
    Sandbox,
    Stop,
    Stopped,
)
from patron.storage.sandbox.sandbox_process import Bounds
from patron.storage.shop import SETTINGS_FILE

MB = 1 << 20
BOUNDS = Bounds(processes=1, seconds=0.3, waiting_seconds=1.0, memory_bytes=200 * MB, answer_bytes=MB)
PLAIN = {"what": "x", "where": "", "todo": "", "code": "", "values": {}, "todo_code": "", "todo_values": {}}
SERVER = """
import sys
from tests.support.hostile import hostile_calls
from patron.storage.sandbox.sandbox import Sandbox
from patron.storage.sandbox.sandbox_process import Bounds
sandbox = Sandbox(Bounds(processes=1, is_confined=sys.argv[1] == "True"))
print(sandbox.call(hostile_calls.process_id), flush=True)
sandbox.call(hostile_calls.sleep_on)
"""
IS_LINUX = sys.platform == "linux"


@pytest.fixture(scope="module")
def sandbox():
    opened = Sandbox(BOUNDS)
    yield opened
    opened.close()


def test_a_call_has_its_answer_and_the_next_one_the_same_process(sandbox):
    assert sandbox.call(hostile_calls.add, 1, 2) == 3
    assert sandbox.call(hostile_calls.process_id) == sandbox.call(hostile_calls.process_id) != os.getpid()
    assert sandbox.call(hostile_calls.print_much) == 1
    assert len(sandbox.call(hostile_calls.answer_much, MB // 2)) == MB // 2


@pytest.mark.parametrize(
    ("function", "arguments", "stop"),
    [
        (hostile_calls.loop, (), Stop.TIME),
        (hostile_calls.sleep_on, (), Stop.TIME),
        pytest.param(
            hostile_calls.take_memory,
            (1024 * MB,),
            Stop.MEMORY,
            marks=pytest.mark.skipif(not IS_LINUX, reason="no limit"),
        ),
        pytest.param(
            hostile_calls.take_native_memory,
            (1024 * MB,),
            Stop.MEMORY,
            marks=pytest.mark.skipif(not IS_LINUX, reason="no limit"),
        ),
        (hostile_calls.recurse, (), Stop.MEMORY),
        (hostile_calls.answer_much, (2 * MB,), Stop.MEMORY),
        (hostile_calls.crash, (), Stop.FAILURE),
        (hostile_calls.abort, (), Stop.FAILURE),
        (hostile_calls.leave, (), Stop.FAILURE),
        (hostile_calls.fail, (), Stop.FAILURE),
        (hostile_calls.write_to_the_pipe, (), Stop.FAILURE),
    ],
)
def test_a_call_that_takes_too_much_or_fails_is_stopped_and_the_next_is_answered(sandbox, function, arguments, stop):
    calls = []
    before = STOPPED_CALLS.set(calls)
    with pytest.raises(Stopped) as stopped:
        sandbox.call(function, *arguments)
    STOPPED_CALLS.reset(before)
    assert stopped.value.stop is stop
    assert calls == [(function.__name__, stop)]
    refusal = stopped.value.refusal(BadFile, where="orders.csv", todo="Send a smaller one.")
    assert (refusal.where, refusal.todo) == ("orders.csv", "Send a smaller one.")
    assert sandbox.call(hostile_calls.add, 2, 2) == 4


def test_a_lone_surrogate_is_refused_before_it_is_sent(sandbox):
    with pytest.raises(Stopped):
        sandbox.call(hostile_calls.read, "\ud800")


def test_memory_below_the_bound_is_there_again_for_the_next_call(sandbox):
    assert [sandbox.call(hostile_calls.take_memory, 100 * MB) for _ in range(5)] == [100 * MB] * 5


def test_refusals_of_a_function_come_through(sandbox):
    with pytest.raises(BadFile, match=r"orders\.csv: there is no such file\. Look\."):
        sandbox.call(hostile_calls.refuse)


@pytest.mark.skipif(not IS_LINUX, reason="other systems bound only what a process takes")
def test_a_call_reads_what_it_is_shown_and_reaches_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("PATRON_MASTER_KEY_FILE", "secret")
    shown, other = tmp_path / "shown", tmp_path / "other"
    for folder in (shown, other):
        folder.mkdir()
        (folder / "a.csv").write_text("a")
    sandbox = Sandbox(Bounds(processes=1, readable=(str(shown),)))
    with socket.create_server(("127.0.0.1", 0)) as server:
        outcomes = {
            "shown": sandbox.call(hostile_calls.read, str(shown / "a.csv")),
            "other": sandbox.call(hostile_calls.read, str(other / "a.csv")),
            "way round": sandbox.call(hostile_calls.read, str(shown / ".." / "other" / "a.csv")),
            "memory of this process": sandbox.call(hostile_calls.read, f"/proc/{os.getpid()}/environ"),
            "written": sandbox.call(hostile_calls.write, str(shown / "b.csv")),
            "replaced": sandbox.call(hostile_calls.write, str(shown / "a.csv")),
            "connected": sandbox.call(hostile_calls.reach, server.getsockname()[1]),
            "program": sandbox.call(hostile_calls.run, sys.executable),
            "signal": sandbox.call(hostile_calls.signal_process, os.getpid()),
            "signal to a thread": sandbox.call(hostile_calls.end_by_thread, os.getpid()),
            "limits of another": sandbox.call(hostile_calls.limit_other, os.getpid()),
            "processors of another": sandbox.call(hostile_calls.pin_other, os.getpid()),
            "priority of another": sandbox.call(hostile_calls.slow_other, os.getpid()),
            "a copy": sandbox.call(hostile_calls.multiply),
            "another group": sandbox.call(hostile_calls.leave_group),
            "mode of a file": sandbox.call(hostile_calls.open_to_all, str(other / "a.csv")),
            "time of a file": sandbox.call(hostile_calls.backdate, str(other / "a.csv")),
            "shared memory": sandbox.call(hostile_calls.take_shared_memory, MB),
            "a file in memory": sandbox.call(hostile_calls.take_file_in_memory),
        }
    assert outcomes == {name: "done" if name == "shown" else "PermissionError" for name in outcomes}
    assert sandbox.call(hostile_calls.start_threads) == 3
    assert sandbox.call(hostile_calls.secret_of_environment, "PATRON_MASTER_KEY_FILE") == ""
    sandbox.close()


@pytest.mark.parametrize(
    "answer",
    [
        {"refusal": {}, "kind": "BadFile"},
        {"refusal": PLAIN, "kind": "read_texts"},
        {"refusal": PLAIN, "kind": "__dict__"},
        {"refusal": PLAIN, "kind": "Mapping"},
        {"refusal": PLAIN, "kind": "nothing"},
        {"refusal": PLAIN | {"where": 3}, "kind": "BadFile"},
        {"refusal": PLAIN | {"code": "reading_too_large", "values": {}}, "kind": "BadFile"},
        {"refusal": PLAIN | {"code": "reading_too_large", "values": {"size": "x"}}, "kind": "BadFile"},
        {"refusal": PLAIN | {"values": {"a": {"values": 3}}}, "kind": "BadFile"},
        {"result": "no number"},
        {"failure": "x" * 100_000},
        "a text",
        [],
        b"\x81\xa6result" + b"\x91" * 100_000 + b"\x01",
        b"\x81\xa6result\xdd\xff\xff\xff\xff",
        b"\x81\xa6result\xa4\xff\xff\xff\xff",
        b"\x81\xa7refusal" + b"\x91" * 100_000 + b"\x01",
    ],
    ids=range(17),
)
def test_a_forged_answer_fails_the_call_and_nothing_else(sandbox, answer):
    content = answer if isinstance(answer, bytes) else msgspec.msgpack.encode(answer)
    with pytest.raises(Stopped) as stopped:
        sandbox.call(hostile_calls.forge, content)
    assert stopped.value.stop is Stop.FAILURE
    assert sandbox.call(hostile_calls.add, 2, 2) == 4


def test_a_process_cannot_fill_the_log(sandbox, capfd, caplog):
    assert sandbox.call(hostile_calls.write_to_the_log, MB) == 1
    with pytest.raises(Stopped):
        sandbox.call(hostile_calls.fail)
    assert "ZeroDivisionError" in caplog.text
    assert len(caplog.text + capfd.readouterr().err) < 10_000


def test_one_asker_leaves_a_process_and_the_queue_to_others():
    sandbox = Sandbox(Bounds(processes=2, seconds=5.0))
    stops = []

    def ask(asker):
        ASKER.set(asker)
        try:
            sandbox.call(hostile_calls.sleep_on)
        except Stopped as stopped:
            stops.append(stopped.stop)

    crowd = [threading.Thread(target=ask, args=("ann",)) for _ in range(60)]
    for asking in crowd:
        asking.start()
    while len(stops) < 60 - 1 - MAX_WAITING_OF_ONE:
        time.sleep(0.02)
    assert set(stops) == {Stop.BUSY}
    ASKER.set("ben")
    began = time.monotonic()
    assert sandbox.call(hostile_calls.add, 1, 1) == 2
    assert time.monotonic() - began < 5.0
    others = [threading.Thread(target=ask, args=(f"other {number}",)) for number in range(60)]
    for asking in others:
        asking.start()
    while len(stops) < 120 - 2 - MAX_WAITING:
        time.sleep(0.02)
    ASKER.set("")
    while any(asking.is_alive() for asking in crowd + others):
        for asker in ("ann", *(f"other {number}" for number in range(60))):
            sandbox.stop(asker)
        time.sleep(0.02)
    assert sandbox.call(hostile_calls.add, 1, 1) == 2
    sandbox.close()


@pytest.mark.parametrize("is_confined", [True, False])
def test_a_process_in_the_middle_of_a_call_ends_with_the_server_that_was_killed(is_confined):
    command = [sys.executable, "-c", SERVER, str(is_confined)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        process = int(server.stdout.readline())
        time.sleep(0.2)
        server.kill()
    ended_at = time.monotonic() + 5.0
    while _is_running(process) and time.monotonic() < ended_at:
        time.sleep(0.02)
    assert not _is_running(process)


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return not IS_LINUX or Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not IS_LINUX, reason="other systems bound only what a process takes")
def test_a_workspace_that_the_server_was_started_in_is_not_readable(tmp_path, monkeypatch):
    (tmp_path / SETTINGS_FILE).write_text("secret")
    monkeypatch.syspath_prepend(str(tmp_path))
    sandbox = Sandbox(Bounds(processes=1))
    assert sandbox.call(hostile_calls.read, str(tmp_path / SETTINGS_FILE)) == "PermissionError"
    sandbox.close()


def test_who_asked_stops_a_call_and_nobody_else_does():
    sandbox = Sandbox(Bounds(processes=1))
    stops = []

    def ask():
        with pytest.raises(Stopped) as stopped:
            sandbox.call(hostile_calls.sleep_on, asker="ann")
        stops.append(stopped.value.stop)

    asking = threading.Thread(target=ask)
    asking.start()
    while not sandbox.stop("ann"):
        assert sandbox.stop("ben") == 0
        time.sleep(0.02)
    asking.join(timeout=10)
    assert stops == [Stop.ASKER]
    assert sandbox.call(hostile_calls.add, 1, 1) == 2
    sandbox.close()


@pytest.mark.skipif(not IS_LINUX, reason="no limit")
def test_a_cap_within_another_one_only_tightens_it():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_cap(1 << 40):
        outer = resource.getrlimit(resource.RLIMIT_DATA)
        with memory_cap(1 << 41):
            assert resource.getrlimit(resource.RLIMIT_DATA) == outer
        with memory_cap(1 << 39):
            assert resource.getrlimit(resource.RLIMIT_DATA) < outer
        assert resource.getrlimit(resource.RLIMIT_DATA) == outer
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_threads_that_read_at_once_leave_the_process_without_a_cap():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    entered, left = threading.Event(), threading.Event()

    def read_longer():
        with memory_cap(1 << 40):
            entered.set()
            left.wait(10)

    def read_first():
        with memory_cap(1 << 40):
            longer.start()
            entered.wait(10)
        left.set()

    first, longer = threading.Thread(target=read_first), threading.Thread(target=read_longer)
    first.start()
    for thread in (first, longer):
        thread.join(10)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_process_whose_server_is_gone_before_it_is_ready_says_nothing():
    command = [sys.executable, "-m", "patron.storage.sandbox.sandbox_process"]
    bounds = msgspec.json.encode(Bounds(is_confined=False)).decode()
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, bounds], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
