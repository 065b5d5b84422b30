"""Nobody reading on, Ctrl-C, a closed or full output and a query that cannot be interrupted: no traceback, an end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from patron.storage.shop import Shop

PATIENCE_SECONDS = 60
MILLION = "(select unnest(generate_series(1, 1000000)) as x)"
ENDLESS = f"select count(*) from {MILLION} a, {MILLION} b, {MILLION} c"
ROWS = "select a.x from (select unnest(generate_series(1, 30000)) as x) a, (select unnest(generate_series(1, 30000)))"
STUCK = "select levenshtein(repeat('ab', 500000), repeat('ba', 500000))"
STOPPED = "patron: stopped; a command that had not finished can be run again"
SERVER = """
import json, os, signal, sys
import patron.answers.data.sql_query, patron.commands.data.doctor, patron.interfaces.cli.render, patron.storage.shop
from patron.__main__ import main
# why: a shell that runs the tests in the background makes its children ignore an interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
for line in sys.stdin:
    args, out, err = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        if out == "nobody":
            reader, writer = os.pipe()
            os.close(reader)
        else:
            writer = os.open(out, os.O_WRONLY)
        os.dup2(writer, 1)
        sys.argv = ["patron", *args]
        main()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Commands:
    """Starts `patron` as processes of their own, without importing everything anew for each."""

    def __init__(self, folder) -> None:
        self.errors = folder / "stderr"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen([sys.executable, "-c", SERVER], **pipes)

    def start(self, *args: object, out: str = "nobody") -> int:
        """Start a command and give its process id."""
        self.server.stdin.write(json.dumps([list(map(str, args)), out, str(self.errors)]) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def end(self) -> tuple[int, str]:
        """Wait for the command; its exit code and standard error."""
        return int(self.server.stdout.readline()), self.errors.read_text().strip()

    def run(self, *args: object, out: str = "nobody") -> tuple[int, str]:
        """Run a command; its exit code and standard error."""
        self.start(*args, out=out)
        return self.end()


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipes") / "w"
    Shop.create(folder).close()
    return folder


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    started = Commands(tmp_path_factory.mktemp("commands"))
    yield started
    started.server.stdin.close()
    started.server.wait(PATIENCE_SECONDS)
    started.server.stdout.close()


@pytest.mark.parametrize(
    "args",
    [["--help"], ["sql", "--json", "-w"], ["sql", "-w"], ["sql", ROWS, "--json", "-w"], ["doctor", "-w"]],
    ids=["help", "short JSON", "table", "rows without end", "text"],
)
def test_a_command_whose_output_nobody_reads_ends_well(commands, w, args):
    # why: the reader of `head -1` is gone when most is written; here it is before anything is
    assert commands.run(*args, *([w] if args[-1] == "-w" else [])) == (0, "")


def test_a_refusal_that_nobody_reads_is_still_one(commands, w):
    code, text = commands.run("doctor", "--unknown", "--json", "-w", w)
    assert code == 2
    assert "Traceback" not in text


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_output_on_a_full_disk_is_refused(commands, w, options):
    code, text = commands.run("sql", "-w", w, *options, out="/dev/full")
    assert code == 1
    assert text.startswith("patron: the output cannot be written: No space left on device. Free some space there")


def test_an_output_that_is_closed_changes_nothing(w):
    command = f'exec "{sys.executable}" -m patron sql -w "{w}" >&-'
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_in_a_query_ends_with_130(commands, w, options):
    pid = commands.start("sql", "-w", w, ENDLESS, *options)
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_in_a_query(pid) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(pid, signal.SIGINT)
    assert commands.end() == (130, STOPPED)


def is_in_a_query(pid: int) -> bool:
    """Whether the engine has started the threads that it works with."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 - not a file of a disk
        return int(next(line for line in status if line.startswith("Threads:")).split()[1]) > 2


def test_a_query_that_cannot_be_interrupted_is_ended_with_its_process(commands, w):
    code, text = commands.run("sql", "-w", w, "--timeout", "0.2", STUCK)
    assert code == 1
    assert text.startswith("patron: the query was stopped after 0.2 seconds. Read fewer rows")
    assert not list((w / "tmp").iterdir())
