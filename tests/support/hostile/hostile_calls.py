"""Functions that a sandbox must survive; it calls them by their names."""

import ctypes
import os
import socket
import sys
import time
from pathlib import Path

import pyarrow as pa

from patron.schema.common_sentences import FILE_MISSING
from patron.schema.errors import BadFile


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


def secret_of_environment(name: str) -> str:
    return os.environ.get(name, "")


def _outcome(action) -> str:
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"
