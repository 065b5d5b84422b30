"""What the log of a mail server says of messages: which it took, and whether they were returned. Postfix and Exim.

A line counts only where the server itself writes what is looked for: senders and other servers decide on subjects,
names and answers, which stand in the log too. The server took a message once it tried to deliver it (Postfix), or says
that it arrived (Exim). That a log does not name a message says nothing: it may be of another day.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from patron.engage.providers.receipts import status_in
from patron.schema.common_sentences import FILE_UNREADABLE_CAUSE
from patron.schema.errors import BadFile
from patron.schema.sentences import Sentence

LOG_NO_FILE = Sentence("log_no_file", "is not a file")
LOG_COMPRESSED = Sentence("log_compressed", "is compressed")
NO_MAIL_LOG = Sentence("no_mail_log", "is not a log of Postfix or the main log of Exim")
UNPACK_LOG = Sentence("unpack_log", "Unpack it, such as by `gunzip -k`, and name what comes out.")
NAME_MAIL_LOG = Sentence("name_mail_log", "Name the mail server's log, such as /var/log/mail.log or Exim's mainlog.")

MAX_LINE_BYTES = 16_384
"""What is longer is left out: neither server writes such a line."""
COMPRESSED = (
    b"\x1f\x8b",
    b"\x1f\x9d",
    b"BZh",
    b"\xfd7zXZ\0",
    b"(\xb5/\xfd",
    b"PK\x03\x04",
    b"7z\xbc\xaf",
    b'\x04"M\x18',
)
"""What files of gzip, compress, bzip2, xz, zstd, zip, 7z and lz4 begin with."""
SYSLOG_TIME = rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,]{8,20}(?:Z|[+-]\d\d:?\d\d))"
POSTFIX = re.compile(
    SYSLOG_TIME + rb" [^ ]+ postfix[\w.-]*(?:/[\w.-]+)*/(?P<program>[\w.-]+)\[\d+\]: (?P<queue_id>[0-9A-Za-z]{5,20}): "
)
POSTFIX_ID = re.compile(rb"message-id=<([0-9a-f]{32})@[^\s<>@]+>\s*")
POSTFIX_STATUS = re.compile(
    rb"to=<[^<>]*>, (?:orig_to=<[^<>]*>, )?relay=[^,]*, (?:[a-z_]+=[^,()]*, )*"
    rb"dsn=(?P<code>[245]\.\d{1,3}\.\d{1,3}), status=(?P<status>sent|deferred|bounced|expired) \("
)
EXIM = re.compile(
    rb"(?:" + SYSLOG_TIME + rb" [^ ]+ exim\d?(?:\[\d+\])?: )?"
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?(?: \[\d+\])? "
    rb"(?P<queue_id>[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}) (?P<kind><=|=>|->|==|\*\*|Completed)"
)
EXIM_ID = re.compile(rb" id=<?([0-9a-f]{32})@[^\s<>@]+>?(?= |$)")
EXIM_SUBJECT = re.compile(rb' T="')
"""A subject is the sender's, and so is all after it."""


@dataclass
class MailLog:
    """What logs say of some messages; read in order, a later one goes on where an earlier one ended."""

    wanted: Collection[str]
    """Ids of messages that are looked for; others are ignored."""
    taken: set[str] = field(default_factory=set)
    """Those that the server took."""
    returned: dict[str, str] = field(default_factory=dict)
    """Those that it could not deliver for good, with the status code; empty where it says none."""
    _queue: dict[bytes, str] = field(default_factory=dict)
    """Messages by their id in the server's queue, which is used again once they have left it."""

    def read(self, path: Path) -> None:
        """Read a log. Raises BadFile for what is none."""
        try:
            if not path.is_file():
                raise BadFile(LOG_NO_FILE, where=str(path), todo=NAME_MAIL_LOG)
            line_count = sum(map(self._read_line, _lines(path)))
        except OSError as error:
            what = FILE_UNREADABLE_CAUSE(cause=error.strerror)
            raise BadFile(what, where=str(path), todo=NAME_MAIL_LOG) from error
        if not line_count:
            raise BadFile(NO_MAIL_LOG, where=str(path), todo=NAME_MAIL_LOG)

    def _read_line(self, line: bytes) -> bool:
        """Read a line; returns whether a mail server wrote it."""
        readers: Iterable[tuple[re.Pattern[bytes], Callable[[re.Match[bytes], bytes], None]]] = (
            (POSTFIX, self._read_postfix),
            (EXIM, self._read_exim),
        )
        for pattern, read in readers:
            if match := pattern.match(line):
                read(match, line[match.end() :])
                return True
        return False

    def _read_postfix(self, match: re.Match[bytes], rest: bytes) -> None:
        queue_id = match["queue_id"]
        if match["program"] == b"cleanup" and rest.startswith(b"message-id="):
            named = POSTFIX_ID.fullmatch(rest)
            self._enter(queue_id, named[1] if named else b"")
        elif queue_id in self._queue:
            if match["program"] == b"qmgr" and rest.strip() == b"removed":
                del self._queue[queue_id]
            elif status := POSTFIX_STATUS.match(rest):
                self._take(queue_id, status["code"].decode() if status["status"] in {b"bounced", b"expired"} else None)

    def _read_exim(self, match: re.Match[bytes], rest: bytes) -> None:
        queue_id, kind = match["queue_id"], match["kind"]
        if kind == b"<=":
            subject = EXIM_SUBJECT.search(rest)
            named = EXIM_ID.search(rest[: subject.start()] if subject else rest.rstrip())
            self._enter(queue_id, named[1] if named else b"")
            if queue_id in self._queue:
                self._take(queue_id, None)
        elif queue_id in self._queue:
            if kind == b"Completed":
                del self._queue[queue_id]
            elif kind == b"**":
                self._take(queue_id, status_in(rest.decode("ascii", "replace")))

    def _enter(self, queue_id: bytes, message_id: bytes) -> None:
        """Note who has an id of the queue from now on."""
        self._queue.pop(queue_id, None)
        if message_id.decode("ascii") in self.wanted:
            self._queue[queue_id] = message_id.decode("ascii")

    def _take(self, queue_id: bytes, returned: str | None) -> None:
        message_id = self._queue[queue_id]
        self.taken.add(message_id)
        if returned is not None:
            self.returned[message_id] = returned


def require_not_compressed(path: Path, start: bytes) -> None:
    """Raise BadFile for a file that must be unpacked first, as its first bytes say."""
    if start.startswith(COMPRESSED):
        raise BadFile(LOG_COMPRESSED, where=str(path), todo=UNPACK_LOG)


def _lines(path: Path) -> Iterator[bytes]:
    """Lines of a file but those that are too long, one at a time: logs may be larger than the memory."""
    with path.open("rb") as file:
        require_not_compressed(path, file.peek(8))
        is_rest = False
        while line := file.readline(MAX_LINE_BYTES):
            is_whole = line.endswith(b"\n")
            if not is_rest and (is_whole or len(line) < MAX_LINE_BYTES):
                yield line.rstrip(b"\r\n")
            is_rest = not is_whole
