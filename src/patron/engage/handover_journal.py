"""What a sender's channel took and answered, in a file that outlives the sender: a kill leaves little unknown.

The store is told of messages in groups, since a commit takes long. This file is told of each one, with no sync: what a
process wrote into it stays in the memory of the machine when the process is killed. So it is worth nothing once the
machine has started again, and a header says for which start, and for which file, it was written. Each line has a
checksum over all lines up to it. Whatever is wrong with a journal, nobody believes a word of it, and every message on
its way is of unknown outcome. It holds ids, times, outcomes and status codes; no words of a provider.
"""

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zlib import crc32

from patron.engage.channels.channel import Handover, Outcome
from patron.schema.common_sentences import CANNOT_BE_WRITTEN
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import PRIVATE_FILE
from patron.storage.workspace.workspace_files import SCRATCH_FOLDER

DELETE_JOURNAL = Sentence("delete_journal", "Delete it, or make its folder writable, then send again.")

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FORMAT = "patron-handovers-1"
MAX_BYTES = 10_000_000
"""A batch of 500 messages takes some 100 kB."""
STATUS_CODES = re.compile(r"(?:HTTP )?\d{3}(?: [245]\.\d{1,3}\.\d{1,3})?(?![\d.])")
"""At the start of a detail; the rest of it are words of a provider, in which anything may stand."""


@dataclass(frozen=True)
class JournalEntry:
    """What is known of a message that was marked as on its way."""

    marked_at: datetime
    end: datetime
    """From when on it is not sent any more."""
    is_taken: bool = False
    """Whether the channel has got it."""
    answer: Handover | None = None


class HandoverJournal:
    """The journal of one batch of messages of a campaign or journey; whoever sends them holds its lock.

    Where it cannot be written there is none, and what a kill leaves on its way is of unknown outcome.
    """

    def __init__(self, workspace: Path, campaign: str) -> None:
        """Begin a journal. Raises WorkspaceError where that of an earlier sender cannot be removed."""
        self._path = journal_path(workspace, campaign)
        self._checksum = 0
        self._file: int | None = None
        self._problem: WorkspaceError | None = None
        remove_journal(workspace, campaign)
        boot = boot_id()
        if boot:
            with suppress(OSError):
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                self._file = os.open(self._path, flags, PRIVATE_FILE)
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._write([_header(boot, os.fstat(self._file))])

    def mark(self, ends: Iterable[tuple[str, datetime]], at: datetime) -> None:
        """Record which messages are on their way as of a commit that follows, each with the end of its time.

        Raises WorkspaceError where the journal can neither be written nor removed, as `take` does.
        """
        self._write([f"marked {message_id} {at.isoformat()} {end.isoformat()}" for message_id, end in ends])
        self._require_true()

    def take(self, message_id: str) -> None:
        """Record that the channel gets a message, before it does."""
        self._write([f"taken {message_id}"])
        self._require_true()

    def answer(self, answer: Handover) -> None:
        """Record what became of a message."""
        codes = STATUS_CODES.match(answer.detail)
        words = f"answered {answer.message_id} {answer.outcome} {int(answer.is_gone)} {codes[0] if codes else ''}"
        self._write([words.rstrip()])

    def close(self, *, is_done: bool) -> None:
        """End the journal; it stays for the next sender unless all is on record."""
        if self._file is not None and is_done:
            with suppress(OSError):  # why: nothing is on its way, and the next journal must remove it
                self._path.unlink(missing_ok=True)
        self._close()

    def _write(self, lines: Iterable[str]) -> None:
        if self._file is None:
            return
        content, checksum = b"", self._checksum
        for line in lines:
            checksum = crc32(line.encode(), checksum)
            content += b"%08x %s\n" % (checksum, line.encode())
        try:
            is_whole = os.write(self._file, content) == len(content)
        except OSError:
            is_whole = False
        if is_whole:
            self._checksum = checksum
            return
        self._close()
        try:  # why: it lacks what happens from now on
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._problem = _stuck(self._path, error)

    def _require_true(self) -> None:
        """Raise WorkspaceError where a journal is left that lacks what happened."""
        if self._problem:
            raise self._problem

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def journal_path(workspace: Path, campaign: str) -> Path:
    """Where the journal of a campaign or journey is: an erasure empties the folder."""
    return workspace / SCRATCH_FOLDER / f"handovers-{hashlib.sha256(campaign.encode()).hexdigest()[:16]}"


def remove_journal(workspace: Path, campaign: str) -> None:
    """Remove the journal of a campaign or journey. Raises WorkspaceError."""
    path = journal_path(workspace, campaign)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _stuck(path, error) from error


def boot_id() -> str:
    """Id of this start of the machine; empty where the system has none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def read_journal(workspace: Path, campaign: str) -> dict[str, JournalEntry]:
    """What the last sender of a campaign or journey left on record, by message id.

    Empty where there is nothing to be believed: no journal, a damaged one, one of another start of the machine, a copy
    of one, or one whose sender is still at work.
    """
    entries: dict[str, JournalEntry] = {}
    try:
        file = os.open(journal_path(workspace, campaign), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return entries
    try:
        header, *lines = _lines(file)
        if not boot_id() or header != _header(boot_id(), os.fstat(file)):
            return {}
        for line in lines:
            _add_entry(entries, line)
    except (OSError, ValueError, KeyError):
        return {}
    finally:
        os.close(file)
    return entries


def _lines(file: int) -> list[str]:
    """The lines of a journal. Raises OSError where its sender is at work, ValueError for a damaged one."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise ValueError("not a file")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with os.fdopen(os.dup(file), "rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    *lines, rest = content.split(b"\n")
    checksum, words = 0, list[str]()
    for line in lines:
        checksum = crc32(line[9:], checksum)
        if line[:9] != b"%08x " % checksum:
            raise ValueError("damaged")
        words.append(line[9:].decode("ascii"))
    if rest or len(content) > MAX_BYTES:
        raise ValueError("cut off")
    return words


def _add_entry(entries: dict[str, JournalEntry], line: str) -> None:
    """Add a line to what is known. Raises ValueError, KeyError for one that cannot follow those before it."""
    kind, message_id, *words = line.split(" ")
    if kind == "marked":
        at, end = words
        entries[message_id] = JournalEntry(datetime.fromisoformat(at), datetime.fromisoformat(end))
    elif kind == "taken":
        entries[message_id] = replace(entries[message_id], is_taken=True)
    elif kind == "answered" and entries[message_id].is_taken:
        outcome, is_gone, *codes = words
        answer = Handover(message_id, Outcome(outcome), " ".join(codes), is_gone=is_gone == "1")
        entries[message_id] = replace(entries[message_id], answer=answer)
    else:
        raise ValueError("unknown line")


def _header(boot: str, file: os.stat_result) -> str:
    """The first line; a copy is another file, and may be older than the store that it is read with."""
    return f"{FORMAT} {boot} {file.st_dev} {file.st_ino}"


def _stuck(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(CANNOT_BE_WRITTEN(cause=error.strerror), where=str(path), todo=DELETE_JOURNAL)
