"""Functions that a sandbox must survive; it calls them by their names."""

import ctypes
import mmap
import os
import platform
import resource
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa

from patron.schema.common_sentences import FILE_MISSING
from patron.schema.errors import BadFile

TGKILL = {"x86_64": 234, "aarch64": 131}


def add(first: int, second: int) -> int:
    return first + second


def process_id() -> int:
    return os.getpid()


def loop() -> int:
    while True:
        pass


def sleep_on() -> int:
    time.sleep(600)
    return 0


def take_memory(size: int) -> int:
    return len(bytearray(size))


def take_native_memory(size: int) -> int:
    return pa.allocate_buffer(size).size


def crash() -> int:
    return ctypes.string_at(1)[0]


def abort() -> int:
    os.abort()


def leave() -> int:
    os._exit(0)


def fail() -> int:
    raise ZeroDivisionError


def refuse() -> int:
    raise BadFile(FILE_MISSING, where="orders.csv", todo="Look.")


def recurse() -> int:
    return recurse() + 1


def answer_much(size: int) -> bytes:
    return b"x" * size


def print_much() -> int:
    for _ in range(10):
        sys.stdout.write("not an answer\n")
    return 1


def write_to_the_pipe() -> int:
    for descriptor in range(3, 20):
        _outcome(lambda: os.write(descriptor, b"\0\0\0\x02{}"))  # noqa: B023 - called at once
    return 1


def read(path: str) -> str:
    return _outcome(lambda: Path(path).read_bytes()[:10])


def write(path: str) -> str:
    return _outcome(lambda: Path(path).write_bytes(b"x"))


def reach(port: int) -> str:
    return _outcome(lambda: socket.create_connection(("127.0.0.1", port), timeout=1))


def run(program: str) -> str:
    return _outcome(lambda: os.posix_spawn(program, [program], {}))


def signal_process(process: int) -> str:
    return _outcome(lambda: os.kill(process, 0))


def end_by_thread(process: int) -> str:
    """Signal the first thread of another process, which has a system call of its own."""
    return _called(TGKILL[platform.machine()], process, process, 0)


def limit_other(process: int) -> str:
    """Take processor time away from another process: the system would end it."""
    return _outcome(lambda: resource.prlimit(process, resource.RLIMIT_CORE, (0, 0)))


def pin_other(process: int) -> str:
    return _outcome(lambda: os.sched_setaffinity(process, os.sched_getaffinity(0)))


def slow_other(process: int) -> str:
    return _outcome(lambda: os.setpriority(os.PRIO_PROCESS, process, os.getpriority(os.PRIO_PROCESS, 0)))


def multiply() -> str:
    """Fork: the copy could leave the group of processes that is ended, and go on."""
    return _outcome(lambda: os.fork() or os._exit(0))


def leave_group() -> str:
    return _outcome(os.setsid)


def take_shared_memory(size: int) -> str:
    """Memory that belongs to no process, so that no bound of one counts it."""
    return _outcome(lambda: mmap.mmap(-1, size))


def open_to_all(path: str) -> str:
    return _outcome(lambda: Path(path).chmod(0o777))


def backdate(path: str) -> str:
    return _outcome(lambda: os.utime(path, (0, 0)))


def take_file_in_memory() -> str:
    return _outcome(lambda: os.memfd_create("x"))


def write_to_the_log(size: int) -> int:
    os.write(2, b"x" * size)
    return 1


def start_threads() -> int:
    """What libraries do."""
    counted: list[int] = []
    threads = [threading.Thread(target=counted.append, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(counted)


def forge(content: bytes) -> int:
    """Answer in place of the process, as foreign code in it could."""
    for descriptor in range(3, 20):
        _outcome(lambda: os.write(descriptor, struct.pack(">I", len(content)) + content))  # noqa: B023 - called at once
    time.sleep(600)
    return 1


def secret_of_environment(name: str) -> str:
    return os.environ.get(name, "")


def _called(number: int, *arguments: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    return "done" if libc.syscall(number, *arguments) == 0 else type(OSError(ctypes.get_errno(), "")).__name__


def _outcome(action) -> str:
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"
