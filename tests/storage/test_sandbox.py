"""A sandbox survives whatever it calls, says why a call came to nothing, and lets it reach nothing."""

import os
import resource
import socket
import sys
import threading
import time

import pytest
from tests.support.hostile import hostile_calls

from patron.schema.errors import BadFile
from patron.storage.sandbox.confinement import memory_cap
from patron.storage.sandbox.sandbox import STOPPED_CALLS, Sandbox, Stop, Stopped
from patron.storage.sandbox.sandbox_process import Bounds

MB = 1 << 20
BOUNDS = Bounds(processes=1, seconds=0.3, waiting_seconds=1.0, memory_bytes=200 * MB, answer_bytes=MB)
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
        }
    assert outcomes == {name: "done" if name == "shown" else "PermissionError" for name in outcomes}
    assert sandbox.call(hostile_calls.secret_of_environment, "PATRON_MASTER_KEY_FILE") == ""
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
