"""A process of a sandbox: confined first, it calls the functions that the server names, one at a time.

Calls and answers are MessagePack, each after its length in four bytes; the process ends with the server.
"""

import importlib
import inspect
import os
import resource
import select
import struct
import sys
import threading
import traceback
from math import ceil
from typing import IO, Any, get_type_hints

import msgspec

from patron.schema.errors import PatronError
from patron.storage.sandbox.confinement import confine, memory_cap, raise_oom_score

LENGTH = struct.Struct(">I")


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a sandbox may take."""

    processes: int = 2
    """Calls at a time; others wait."""
    seconds: float = 5.0
    """Processor time of a call, for each of its threads."""
    threads: int = 1
    waiting_seconds: float = 10.0
    """Time on the clock that a call may take besides, as on a busy machine."""
    memory_bytes: int = 1 << 30
    """What a call may take beyond what the process has."""
    answer_bytes: int = 32 << 20
    is_confined: bool = True
    """Whether a process reads no file but what is in `readable`, writes none and reaches nobody.

    Else it may do what the server may, within the other bounds.
    """
    readable: tuple[str, ...] = ()
    max_files: int = 64


class Call(msgspec.Struct, frozen=True):
    """A function of ours to call."""

    module: str
    function: str
    arguments: list[Any]
    seconds: float


class Answer(msgspec.Struct, frozen=True):
    """What a call came to: a result, a refusal with the name of its class, too much memory, or a failure."""

    result: msgspec.Raw = msgspec.Raw(b"\xc0")
    refusal: dict[str, Any] | None = None
    kind: str = ""
    is_out_of_memory: bool = False
    failure: str = ""
    """Where the function failed, and the class of the error: without its words, which may hold what was sent."""


def read_frame(stream: IO[bytes], limit: int) -> bytes:
    """One frame; empty where the stream ends before it does. Raises OverflowError for one beyond the limit."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return b""
    [size] = LENGTH.unpack(head)
    if size > limit:
        raise OverflowError(size)
    content = stream.read(size)
    return content if len(content) == size else b""


def write_frame(stream: IO[bytes], content: bytes) -> None:
    """Write one frame."""
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def answer_call(call: Call, bounds: Bounds) -> Answer:
    """Call a function within its bounds."""
    function = getattr(importlib.import_module(call.module), call.function)
    hints = get_type_hints(function)
    names = list(inspect.signature(function).parameters)
    arguments = {name: msgspec.convert(value, hints[name]) for name, value in zip(names, call.arguments, strict=False)}
    _bound_time(call.seconds * bounds.threads)
    try:
        with memory_cap(bounds.memory_bytes):
            result = function(**arguments)
            return Answer(msgspec.Raw(msgspec.msgpack.encode(result)))
    except PatronError as error:
        return Answer(refusal=error.plain(), kind=type(error).__name__)
    except (MemoryError, RecursionError):
        return Answer(is_out_of_memory=True)


def _bound_time(seconds: float) -> None:
    """Let the system end this process when it computes longer than that from now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(used.ru_utime + used.ru_stime + seconds), hard))


def _end_with_server() -> None:
    """Wait until the server closes the pipe or is gone, then end this process, whatever it does."""
    closed = select.poll()
    closed.register(sys.stdin.fileno(), 0)
    closed.poll()
    os._exit(0)


def main(bounds: Bounds) -> None:
    """Answer calls until the server ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # why: whatever a library prints must not look like an answer
    raise_oom_score()
    if bounds.is_confined:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - why: a path needs more of the library
            os.dup2(nowhere.fileno(), 2)  # why: whoever runs in it must not fill the server's log
            os.dup2(2, 1)
        confine(readable=bounds.readable, max_files=bounds.max_files)
    # why: started when confined, as threads that are there before stay free
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        _answer_calls(out, bounds)
    except BrokenPipeError:  # why: the server is gone, and nobody waits for an answer
        os._exit(0)


def _answer_calls(out: IO[bytes], bounds: Bounds) -> None:
    write_frame(out, b"ready")
    while content := read_frame(sys.stdin.buffer, 1 << 31):
        try:
            answer = answer_call(msgspec.msgpack.decode(content, type=Call), bounds)
        except Exception as error:  # noqa: BLE001 - why: a reader may fail on what somebody sent in any way
            answer = Answer(failure="".join((*traceback.format_tb(error.__traceback__), type(error).__name__)))
        write_frame(out, msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Bounds))
