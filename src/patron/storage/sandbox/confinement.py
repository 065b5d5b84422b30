"""What a process may no longer do once it is confined: the system refuses it, whatever runs in the process.

Linux alone offers most of it, to everybody and in containers: Landlock (files, TCP; Linux 5.13) and a filter of system
calls (sockets, programs, signals to others; x86-64 and ARM64). Elsewhere the limits of the process hold, and its time.
Sources: docs.kernel.org/userspace-api/landlock.html and seccomp_filter.html, setrlimit(2).
"""

import ctypes
import os
import platform
import resource
import struct
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

STATUS = "/proc/self/status"
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib32", "/lib64")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom", STATUS)
"""What programs and their libraries read of the system."""

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Landlock's system calls; their numbers are the same on every machine that we know."""
VERSION_ONLY, PATH_BENEATH = 1, 1
READ_FILE, READ_FOLDER = 1 << 2, 1 << 3
FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Rights over files that Landlock can take away, by the first version that knows them; later ones only add."""
TCP_RIGHTS, TCP_SINCE = 0b11, 4
SCOPES, SCOPES_SINCE = 0b11, 6

NO_NEW_PRIVILEGES, SET_FILTER, FILTER_MODE = 38, 22, 2
LOAD_WORD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, DENY, PERMISSION, NO_SUCH_CALL = 0x7FFF0000, 0x00050000, 1, 38
"""What a filter answers; DENY with the number of the error."""
FOREIGN_CALLS = 0x40000000
"""Where the numbers of another calling convention of x86-64 begin."""
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
DENIED_CALLS = {
    "x86_64": (
        *(41, 42, 53, 57, 58, 59, 62, 101, 129, 165, 200, 272, 297, 298, 308, 310, 311, 321, 322, 424, 425, 438),
        *(109, 112, 141, 142, 144, 203, 251, 256, 279, 314, 434, 440, 448),
        *(29, 64, 68, 240, 248, 249, 250, 319, 323, 447),
        *(90, 91, 92, 93, 94, 132, 188, 189, 190, 197, 198, 199, 235, 260, 261, 268, 280, 452),
    ),
    "aarch64": (
        *(117, 129, 130, 138, 40, 97, 198, 199, 203, 221, 240, 241, 268, 270, 271, 280, 281, 424, 425, 438),
        *(154, 157, 140, 118, 119, 122, 30, 238, 239, 274, 434, 440, 448),
        *(194, 190, 186, 180, 217, 218, 219, 279, 282, 447),
        *(5, 6, 7, 14, 15, 16, 52, 53, 54, 55, 88, 452),
    ),
}
"""By line: sockets, programs, signals, memory of others, mounts, namespaces, and calls queued past a filter
(io_uring); other groups of processes, and the priority, processors and pages of others; memory that belongs to no
process; and what Landlock leaves: the mode, owner, times and attributes of any file."""
CLONE, CLONE3, TGKILL, PRLIMIT, MMAP, FCNTL = range(6)
CHECKED_CALLS = {"x86_64": (56, 435, 234, 302, 9, 72), "aarch64": (220, 435, 131, 261, 222, 25)}
"""Calls that depend on what they are given."""
FIRST, SECOND, FOURTH = 16, 24, 40
"""Where the arguments of a call lie."""
CLONE_THREAD, MAP_SHARED, MAP_ANONYMOUS, SET_OWNER, SET_OWNER_OF_KIND = 0x10000, 0x1, 0x20, 8, 15
Steps = list[tuple[int, int, int, int]]


def confine(*, readable: Sequence[str], max_files: int) -> None:
    """Let this process read the interpreter and `readable`, write nothing, reach nobody, as far as the system can.

    For a process with one thread: a thread that is there already keeps what it may do.
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
        _restrict_files(libc, _interpreter_folders() | set(readable))
        _filter_calls(libc)


def _interpreter_folders() -> set[str]:
    folders = {sys.prefix, sys.base_prefix, *(path for path in sys.path if path), str(Path(__file__).parents[3])}
    return {*SYSTEM_FOLDERS, *SYSTEM_FILES, *folders}


def _restrict_files(libc: ctypes.CDLL, readable: Iterable[str]) -> None:
    """Allow reading beneath some paths and nothing else of the file system; no TCP, no signals to others."""
    version = libc.syscall(CREATE_RULESET, None, 0, VERSION_ONLY)
    if version < 1:
        return  # why: a system without Landlock, or a container that forbids it
    rights = max(known for since, known in FILE_RIGHTS.items() if since <= version)
    fields = [rights, TCP_RIGHTS if version >= TCP_SINCE else 0, SCOPES if version >= SCOPES_SINCE else 0]
    size = 8 * (1 + (version >= TCP_SINCE) + (version >= SCOPES_SINCE))
    rules = libc.syscall(CREATE_RULESET, struct.pack("=QQQ", *fields), size, 0)
    if rules < 0:
        return
    for path in sorted(readable):
        with suppress(OSError):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = READ_FILE | (READ_FOLDER if Path(path).is_dir() else 0)
            libc.syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", allowed, descriptor), 0)
            os.close(descriptor)
    libc.syscall(RESTRICT_SELF, rules, 0)
    os.close(rules)


def _filter_calls(libc: ctypes.CDLL) -> None:
    """Refuse system calls that reading a file needs none of."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return
    denied = DENIED_CALLS[machine]
    checked = _checked_calls(CHECKED_CALLS[machine])
    refuse = len(denied) + len(checked) + 1  # why: jumps count the steps that they leave out
    steps = [
        (LOAD_WORD, 0, 0, 4),
        (JUMP_IF_EQUAL, 0, refuse + 2, ARCHITECTURES[machine]),
        (LOAD_WORD, 0, 0, 0),
        (JUMP_IF_AT_LEAST, refuse, 0, FOREIGN_CALLS),
        *((JUMP_IF_EQUAL, refuse - 1 - position, 0, number) for position, number in enumerate(denied)),
        *checked,
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, DENY | PERMISSION),
    ]
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(steps), ctypes.addressof(buffer))
    libc.prctl(SET_FILTER, FILTER_MODE, header, 0, 0)


def _checked_calls(numbers: Sequence[int]) -> Steps:
    """Steps that let this process start threads but no processes, and signal and bound itself but nobody else."""
    allow, refuse = (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, DENY | PERMISSION)
    itself = os.getpid()
    by_call: dict[int, Steps] = {
        CLONE: [(LOAD_WORD, 0, 0, FIRST), (JUMP_IF_SET, 0, 1, CLONE_THREAD), allow, refuse],
        # why: its flags lie where no filter sees them; libraries then use the older call
        CLONE3: [(RETURN, 0, 0, DENY | NO_SUCH_CALL)],
        TGKILL: [(LOAD_WORD, 0, 0, FIRST), (JUMP_IF_EQUAL, 0, 1, itself), allow, refuse],
        PRLIMIT: [
            (LOAD_WORD, 0, 0, FIRST),
            (JUMP_IF_EQUAL, 1, 0, 0),
            (JUMP_IF_EQUAL, 0, 1, itself),
            allow,
            refuse,
        ],
        MMAP: [
            (LOAD_WORD, 0, 0, FOURTH),
            (JUMP_IF_SET, 0, 1, MAP_ANONYMOUS),
            (JUMP_IF_SET, 1, 0, MAP_SHARED),
            allow,
            refuse,
        ],
        FCNTL: [
            (LOAD_WORD, 0, 0, SECOND),
            (JUMP_IF_EQUAL, 2, 0, SET_OWNER),
            (JUMP_IF_EQUAL, 1, 0, SET_OWNER_OF_KIND),
            allow,
            refuse,
        ],
    }
    return [
        step for call, checks in by_call.items() for step in ((JUMP_IF_EQUAL, 0, len(checks), numbers[call]), *checks)
    ]


def raise_oom_score() -> None:
    """Let the system end this process before others when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


@contextmanager
def memory_cap(size: int) -> Iterator[None]:
    """Let the process take so many bytes more than now, whoever takes them; Linux alone says how much it has.

    A cap within another one only tightens it. A thread of a server caps nothing: all threads share the limit, and two
    that overlap would leave one behind for good.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    taken = _data_bytes()
    limit = taken + size
    is_capped = before[0] != resource.RLIM_INFINITY and before[0] <= limit
    if not taken or is_capped or threading.current_thread() is not threading.main_thread():
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _data_bytes() -> int:
    with suppress(OSError):
        for line in Path(STATUS).read_text(encoding="ascii").splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0
