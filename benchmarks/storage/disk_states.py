"""What may be on a disk after a power cut: what was synced, and any part of what was not.

A file's bytes are safe once the file was synced, a name once its folder was. Of the rest a disk may keep all, nothing,
names without bytes, bytes without names, or a random part: of each folder the first changes, of each file any sectors
of 512 bytes. A rename within a folder is one change.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from syscall_log import Call

SECTOR = 512
CHOICES = ("nothing", "names", "bytes", "all", "torn 1", "torn 2")
"""What survives of that which was not synced."""


@dataclass(frozen=True)
class Change:
    """One change of a file or folder, and at which call it was made."""

    at: int
    kind: str
    offset: int = 0
    content: bytes = b""
    name: str = ""
    node: "Node | None" = None
    old_name: str = ""


@dataclass(eq=False)
class Node:
    """A file or folder: as it was at first, and each change and sync since."""

    number: int
    is_folder: bool
    content: bytes = b""
    names: dict[str, "Node"] = field(default_factory=dict)
    """Names in the folder at first."""
    newest: dict[str, "Node"] = field(default_factory=dict)
    """Names in the folder as the process sees them."""
    length: int = 0
    changes: list[Change] = field(default_factory=list)
    syncs: list[int] = field(default_factory=list)

    def synced_until(self, cut: int) -> int:
        """Calls before this one are safe."""
        return max((at for at in self.syncs if at < cut), default=-1)


class Disk:
    """A folder as it was, and everything that a process did to it."""

    def __init__(self, folder: Path, calls: Sequence[Call]) -> None:
        """`folder` holds the state before the calls, under the path that they name."""
        self.folder = str(folder)
        self.count = 0
        self.root = self._initial(folder)
        self.calls = list(calls)

    def _initial(self, path: Path) -> Node:
        self.count += 1
        node = Node(self.count, path.is_dir())
        if node.is_folder:
            node.names = {one.name: self._initial(one) for one in sorted(path.iterdir())}
            node.newest = dict(node.names)
        else:
            node.content = path.read_bytes()
            node.length = len(node.content)
        return node

    def replay(self) -> None:
        """Work out the changes of each file and folder."""
        for at, call in enumerate(self.calls):
            getattr(self, f"_{call.kind}")(at, call)

    def _find(self, path: str) -> Node | None:
        node = self.root
        for name in PurePosixPath(path).relative_to(self.folder).parts:
            if name not in node.newest:
                return None
            node = node.newest[name]
        return node

    def _add(self, at: int, path: str, node: Node, *, old_name: str = "") -> None:
        folder, name = self._find(str(PurePosixPath(path).parent)), PurePosixPath(path).name
        assert folder is not None, path
        folder.newest[name] = node
        folder.newest.pop(old_name, None)
        folder.changes.append(Change(at, "add", name=name, node=node, old_name=old_name))

    def _create(self, at: int, call: Call) -> None:
        if self._find(call.path) is None:
            self.count += 1
            self._add(at, call.path, Node(self.count, is_folder=False))

    def _mkdir(self, at: int, call: Call) -> None:
        self.count += 1
        self._add(at, call.path, Node(self.count, is_folder=True))

    def _unlink(self, at: int, call: Call) -> None:
        folder, name = self._find(str(PurePosixPath(call.path).parent)), PurePosixPath(call.path).name
        if folder is not None and name in folder.newest:
            del folder.newest[name]
            folder.changes.append(Change(at, "remove", name=name))

    def _rename(self, at: int, call: Call) -> None:
        node, old, new = self._find(call.path), PurePosixPath(call.path), PurePosixPath(call.target)
        if node is None:
            return
        if old.parent == new.parent:
            self._add(at, call.target, node, old_name=old.name)
        else:
            self._add(at, call.target, node)
            self._unlink(at, call)

    def _link(self, at: int, call: Call) -> None:
        node = self._find(call.path)
        if node is not None:
            self._add(at, call.target, node)

    def _write(self, at: int, call: Call) -> None:
        node = self._find(call.path)
        if node is not None:
            offset = node.length if call.offset < 0 else call.offset
            node.changes.append(Change(at, "write", offset, call.content))
            node.length = max(node.length, offset + len(call.content))

    def _copy(self, at: int, call: Call) -> None:
        source, size = self._find(call.target), int.from_bytes(call.content, "big")
        content = self._bytes(source, at, "all", 0) if source else Path(call.target).read_bytes()
        self._write(at, Call("write", call.path, call.offset, content[call.offset : call.offset + size]))

    def _truncate(self, at: int, call: Call) -> None:
        node = self._find(call.path)
        if node is not None and node.length != call.offset:
            node.changes.append(Change(at, "truncate", call.offset))
            node.length = call.offset

    def _extend(self, at: int, call: Call) -> None:
        node = self._find(call.path)
        if node is not None and node.length < call.offset:
            self._truncate(at, call)

    def _sync(self, at: int, call: Call) -> None:
        node = self._find(call.path)
        if node is not None:
            node.syncs.append(at)

    def state(self, cut: int, choice: str) -> dict[str, bytes | None]:
        """Files (their bytes) and folders (None) after a power cut before call number `cut`."""
        seed = cut * 10 + int(choice[-1]) if choice.startswith("torn") else 0
        found: dict[str, bytes | None] = {}
        self._walk(self.root, "", cut, choice, seed, found)
        return found

    def _walk(self, node: Node, path: str, cut: int, choice: str, seed: int, found: dict[str, bytes | None]) -> None:
        if not node.is_folder:
            found[path] = self._bytes(node, cut, choice, seed)
            return
        found[path] = None
        for name, inner in sorted(self._names(node, cut, choice, seed).items()):
            self._walk(inner, f"{path}/{name}" if path else name, cut, choice, seed, found)

    def _names(self, node: Node, cut: int, choice: str, seed: int) -> dict[str, Node]:
        made = [change for change in node.changes if change.at < cut]
        safe = sum(change.at < node.synced_until(cut) for change in made)
        kept = len(made) if choice in {"all", "names"} else safe
        if choice.startswith("torn"):
            kept = int(np.random.default_rng([seed, node.number]).integers(safe, len(made) + 1))
        names = dict(node.names)
        for change in made[:kept]:
            if change.kind == "add" and change.node is not None:
                names.pop(change.old_name, None)
                names[change.name] = change.node
            else:
                names.pop(change.name, None)
        return names

    def _bytes(self, node: Node, cut: int, choice: str, seed: int) -> bytes:
        made, synced = [change for change in node.changes if change.at < cut], node.synced_until(cut)
        content, rng = bytearray(node.content), np.random.default_rng([seed, node.number])
        for change in made:
            is_safe = change.at < synced or choice in {"all", "bytes"}
            if not is_safe and not choice.startswith("torn"):
                continue
            if change.kind == "truncate" and (is_safe or rng.random() < 0.5):
                content = content[: change.offset].ljust(change.offset, b"\0")
            elif change.kind == "write":
                _put(content, change, None if is_safe else rng)
        return bytes(content)


def _put(content: bytearray, change: Change, rng: np.random.Generator | None) -> None:
    """Write bytes into a file's content; with chance given, each sector of them stays away half of the time."""
    end = change.offset + len(change.content)
    if rng is None:
        content.extend(b"\0" * (end - len(content)))
        content[change.offset : end] = change.content
        return
    for start in range(0, len(change.content), SECTOR):
        if rng.random() < 0.5:
            piece, offset = change.content[start : start + SECTOR], change.offset + start
            content.extend(b"\0" * (offset + len(piece) - len(content)))
            content[offset : offset + len(piece)] = piece


def digest(state: dict[str, bytes | None]) -> str:
    """Two equal states have the same digest."""
    total = hashlib.blake2b(digest_size=16)
    for path, content in sorted(state.items()):
        total.update(f"{path}\0{'folder' if content is None else len(content)}\0".encode() + (content or b""))
    return total.hexdigest()


def write_state(state: dict[str, bytes | None], folder: Path) -> None:
    """Make a state in a new folder, for its owner only."""
    for path, content in sorted(state.items()):
        place = folder / path
        if content is None:
            place.mkdir(mode=0o700, parents=True)
        else:
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as out:
                out.write(content)


def cuts(calls: Sequence[Call], limit: int) -> list[int]:
    """Where to cut: around each sync and each change of a name, in the midst of writes too; at most `limit`."""
    sharp = {0, len(calls)}
    for at, call in enumerate(calls):
        if call.kind != "write" or at % 7 == 0:
            sharp |= {at, at + 1}
    chosen = sorted(sharp)
    if len(chosen) <= limit:
        return chosen
    return sorted({chosen[int(n)] for n in np.linspace(0, len(chosen) - 1, limit)})
