"""What a process did to the files of a folder, call by call, as strace saw it.

Every write with its bytes, every name made, changed or deleted, every fsync; threads and child processes included. The
calls are in the order of their beginnings; one that failed is left out.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

CALLS = (
    "open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,rename,renameat,renameat2,"
    "link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,lseek,dup,dup2,dup3,fcntl,"
    "sendfile,copy_file_range,clone,clone3,fork,vfork"
)
LINE = re.compile(r"(?P<at>\d+\.\d+) (?P<name>\w+)\((?P<args>.*)\)\s+= (?P<result>-?\d+)", re.DOTALL)
ARGUMENT = re.compile(
    r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?|\d+<[^>]*>(?:\(deleted\))?|AT_FDCWD<[^>]*>|\[[^\]]*\]|\{[^}]*\}|[^,]+'
)
DESCRIPTOR = re.compile(r"(?P<number>\d+)<(?P<path>[^>]*)>(?P<deleted>\(deleted\))?")
VECTOR = re.compile(r'iov_base="((?:[^"\\]|\\.)*)"')
SHARED_FILES = "CLONE_FILES"


@dataclass(frozen=True)
class Call:
    """One effect on a file or folder: `create`, `write`, `truncate`, `rename`, `link`, `unlink`, `mkdir`, `sync`."""

    kind: str
    path: str
    offset: int = 0
    """Where bytes are written, or the new length."""
    content: bytes = b""
    target: str = ""
    """The new name of a rename or link; of a copy by the kernel, where the bytes come from."""


def is_available() -> bool:
    """Whether strace is installed and may trace."""
    strace = shutil.which("strace")
    if not strace:
        return False
    trial = [strace, "-o", os.devnull, sys.executable, "-c", ""]
    return subprocess.run(trial, check=False, capture_output=True).returncode == 0  # noqa: S603 - strace itself


def record(command: Sequence[str], folder: Path, logs: Path) -> tuple[int, list[Call]]:
    """Run a command; return its exit code and what it did under the folder. Its own output stays visible."""
    logs.mkdir()
    tracer = [
        shutil.which("strace") or "",
        "-ff",
        "--seccomp-bpf",
        "-qq",
        "-y",
        "-xx",
        "-s",
        str(1 << 28),
        "--absolute-timestamps=unix,ns",
    ]
    options = ["-e", f"trace={CALLS}", "-o", str(logs / "log")]
    code = subprocess.run([*tracer, *options, *command], check=False).returncode  # noqa: S603 - our own scripts
    return code, list(_read(logs, str(folder)))


def _read(logs: Path, folder: str) -> Iterator[Call]:
    lines, process_of = [], {}
    for log in sorted(logs.iterdir()):
        thread = int(log.name.rpartition(".")[2])
        for line in log.read_text(encoding="ascii").splitlines():
            match = LINE.match(line)
            if match and int(match["result"]) >= 0:
                lines.append((match["at"], thread, match["name"], match["args"], int(match["result"])))
    lines.sort(key=lambda line: line[0])
    for _, thread, name, args, result in lines:
        if name.startswith("clone") and SHARED_FILES in args:
            process_of[result] = process_of.get(thread, thread)
    reader = _Reader(folder)
    for _, thread, name, args, result in lines:
        yield from reader.calls(process_of.get(thread, thread), name, args, result)


@dataclass
class _Reader:
    """Follows how far each descriptor has read and written."""

    folder: str
    positions: dict[tuple[int, int], int] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    appending: set[tuple[int, int]] = field(default_factory=set)

    def calls(self, process: int, name: str, args: str, result: int) -> Iterator[Call]:
        parts = [part.strip() for part in ARGUMENT.findall(args)]
        method = getattr(self, f"_{name}", None)
        for call in (method(process, parts, result) if method else ()) or ():
            if call.path.startswith(self.folder):
                yield call

    def _openat(self, process: int, parts: list[str], result: int) -> Iterator[Call]:
        yield from self._opened(process, _path(parts[1], parts[0]), parts[2], result)

    def _open(self, process: int, parts: list[str], result: int) -> Iterator[Call]:
        yield from self._opened(process, _path(parts[0]), parts[1], result)

    def _creat(self, process: int, parts: list[str], result: int) -> Iterator[Call]:
        yield from self._opened(process, _path(parts[0]), "O_CREAT|O_TRUNC", result)

    def _opened(self, process: int, path: str, flags: str, result: int) -> Iterator[Call]:
        key = (process, result)
        self.positions[key] = 0
        self.appending.discard(key)
        if "O_APPEND" in flags:
            self.appending.add(key)
        if "O_CREAT" in flags:
            yield Call("create", path)
        if "O_TRUNC" in flags:
            yield Call("truncate", path, 0)

    def _write(self, process: int, parts: list[str], result: int) -> Iterator[Call]:
        yield from self._written(process, parts[0], _bytes(parts[1])[:result])

    def _writev(self, process: int, parts: list[str], result: int) -> Iterator[Call]:
        content = b"".join(_unescaped(match) for match in VECTOR.findall(",".join(parts[1:])))
        yield from self._written(process, parts[0], content[:result])

    def _written(self, process: int, descriptor: str, content: bytes) -> Iterator[Call]:
        number, path = _descriptor(descriptor)
        if path is None:
            return
        key = (process, number)
        offset = -1 if key in self.appending else self.positions.get(key, 0)
        self.positions[key] = max(offset, 0) + len(content)
        yield Call("write", path, offset, content)

    def _pwrite64(self, _: int, parts: list[str], result: int) -> Iterator[Call]:
        path = _descriptor(parts[0])[1]
        if path is not None:
            yield Call("write", path, int(parts[3]), _bytes(parts[1])[:result])

    def _pwritev(self, _: int, parts: list[str], result: int) -> Iterator[Call]:
        path = _descriptor(parts[0])[1]
        content = b"".join(_unescaped(match) for match in VECTOR.findall(",".join(parts[1:])))
        if path is not None:
            yield Call("write", path, int(parts[-1]), content[:result])

    def _sendfile(self, process: int, parts: list[str], result: int) -> Iterator[Call]:
        number, path = _descriptor(parts[0])
        source = _descriptor(parts[1])[1]
        if path is not None and source is not None:
            offset = self.positions.get((process, number), 0)
            self.positions[(process, number)] = offset + result
            yield Call("copy", path, offset, result.to_bytes(8, "big"), source)

    def _lseek(self, process: int, parts: list[str], result: int) -> None:
        self.positions[(process, _descriptor(parts[0])[0])] = result

    def _dup(self, process: int, parts: list[str], result: int) -> None:
        old = (process, _descriptor(parts[0])[0])
        self.positions[(process, result)] = self.positions.get(old, 0)
        if old in self.appending:
            self.appending.add((process, result))

    _dup2 = _dup3 = _dup

    def _fcntl(self, process: int, parts: list[str], result: int) -> None:
        if len(parts) > 1 and parts[1].startswith("F_DUPFD"):
            self._dup(process, parts, result)

    def _ftruncate(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        path = _descriptor(parts[0])[1]
        if path is not None:
            yield Call("truncate", path, int(parts[1]))

    def _truncate(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("truncate", _path(parts[0]), int(parts[1]))

    def _fallocate(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        path = _descriptor(parts[0])[1]
        if path is not None and parts[1] == "0":
            yield Call("extend", path, int(parts[2]) + int(parts[3]))

    def _rename(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("rename", _path(parts[0]), target=_path(parts[1]))

    def _renameat(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("rename", _path(parts[1], parts[0]), target=_path(parts[3], parts[2]))

    _renameat2 = _renameat

    def _link(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("link", _path(parts[0]), target=_path(parts[1]))

    def _linkat(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("link", _path(parts[1], parts[0]), target=_path(parts[3], parts[2]))

    def _unlink(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("unlink", _path(parts[0]))

    _rmdir = _unlink

    def _unlinkat(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("unlink", _path(parts[1], parts[0]))

    def _mkdir(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("mkdir", _path(parts[0]))

    def _mkdirat(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        yield Call("mkdir", _path(parts[1], parts[0]))

    def _fsync(self, _: int, parts: list[str], _result: int) -> Iterator[Call]:
        path = _descriptor(parts[0])[1]
        if path is not None:
            yield Call("sync", path)

    _fdatasync = _fsync


def _unescaped(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _bytes(argument: str) -> bytes:
    return _unescaped(argument.rpartition('"')[0].removeprefix('"'))


def _descriptor(argument: str) -> tuple[int, str | None]:
    """Number and path of a descriptor; no path for one whose file has lost its name, and for pipes and sockets."""
    match = DESCRIPTOR.match(argument)
    if not match:
        return int(argument) if argument.isdigit() else -1, None
    path = _unescaped(match["path"]).decode() if match["path"].startswith("\\x") else match["path"]
    return int(match["number"]), None if match["deleted"] or not path.startswith("/") else path


def _path(argument: str, folder: str = "") -> str:
    path = _bytes(argument).decode()
    if path.startswith("/") or not folder:
        return str(PurePosixPath(path))
    inside = folder.partition("<")[2].removesuffix(">")
    base = _unescaped(inside).decode() if inside.startswith("\\x") else inside
    return str(PurePosixPath(base) / path)
