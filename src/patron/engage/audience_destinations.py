"""Where changes of an audience go: files that people upload, or signed requests. The same change may come twice."""

import asyncio
import csv
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, Self

import httpx

from patron.engage.channels.guarded_http import GuardedClient
from patron.engage.providers.standard_webhooks import keys_of, signature_headers
from patron.schema.common_sentences import SECRET_UNREADABLE
from patron.schema.errors import ChannelUnavailable
from patron.schema.sentences import Sentence
from patron.storage.durable_files import sync
from patron.storage.outreach.audience_file import Audience, Destination
from patron.storage.safe_csv import write_csv

AUDIENCE_STATUS = Sentence("audience_status", "the address of the audience {name!r} answered HTTP {status}")
WRITE_SECRET = Sentence(
    "write_secret",
    "Write a secret into it, as whsec_ and base64 of 24 to 64 random bytes, and give it to the receiver.",
)
AUDIENCE_UNREACHABLE = Sentence(
    "audience_unreachable", "the address of the audience {name!r} cannot be reached, or does not answer ({cause})"
)

AUDIENCES_FOLDER = "audiences"
"""Within the outbox."""
HEADER = {"email": "Email", "phone": "Phone"}
"""Columns of a file, as upload pages of ad platforms name them."""
PEOPLE_PER_FILE = 200_000
TYPE = "audience.changed"
Operation = Literal["add", "remove"]
FILE_NAMES: Mapping[Operation, str] = {"add": "added", "remove": "removed"}
TODO = Sentence(
    "correct_destination",
    "Correct [destination] and save the audience again, or try later: the next sync repeats what is not confirmed.",
)


@dataclass(frozen=True)
class AudienceBatch:
    """People to add to an audience, or to remove, by their hashed identifiers; to do it twice changes nothing."""

    audience: str
    operation: Operation
    people: Sequence[Mapping[str, str]]
    """Hashed identifiers of each person, by kind."""
    since: datetime
    """The latest change of one of them before: the same of a repeated batch, another once they come or go again."""

    @property
    def batch_id(self) -> str:
        """Follows from the content and occasion, so that a repeated batch has the same, and no other one has it."""
        occasion = self.since.astimezone(UTC).isoformat()
        content = json.dumps([self.audience, self.operation, occasion, list(self.people)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    @property
    def hashes(self) -> frozenset[str]:
        """All hashed identifiers."""
        return frozenset(one for person in self.people for one in person.values())


class AudienceDestination(Protocol):
    """What takes the changes."""

    batch_size: int

    def deliver(self, batch: AudienceBatch, at: datetime) -> None:
        """Hand over a batch; return once it is surely taken. Raises ChannelUnavailable."""
        ...


@dataclass
class FileDestination:
    """CSV files for upload. An identifier is in the newest file about it alone, so that uploads have no order."""

    folder: Path
    kinds: Sequence[str]
    batch_size: int = PEOPLE_PER_FILE
    files: list[Path] = field(default_factory=list)
    """Files written."""

    def deliver(self, batch: AudienceBatch, at: datetime) -> None:
        """Write a file, durably, and take its identifiers out of earlier files that do the opposite."""
        opposite = FILE_NAMES["remove" if batch.operation == "add" else "add"]
        for path in sorted(self.folder.glob(f"{opposite}-*.csv")):
            remove_identifiers(path, batch.hashes)
        known = next(self.folder.glob(f"{FILE_NAMES[batch.operation]}-*-{batch.batch_id[:12]}.csv"), None)
        name = f"{FILE_NAMES[batch.operation]}-{at:%Y%m%dT%H%M%S}-{batch.batch_id[:12]}.csv"
        path = known or self.folder / name
        lines = ([person.get(kind, "") for kind in self.kinds] for person in batch.people)
        write_csv(path, [HEADER[kind] for kind in self.kinds], lines)
        self.files.append(path)


@dataclass
class HttpDestination:
    """Signed requests (Standard Webhooks); what answers anything but 2xx has not taken the batch."""

    settings: Destination
    keys: tuple[bytes, ...] = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)
    """When a request is signed."""
    batch_size: int

    @classmethod
    def of(cls, settings: Destination, folder: Path, clock: Callable[[], datetime]) -> Self:
        """The destination with its secrets. Raises ChannelUnavailable."""
        file = folder / settings.secret_file
        try:
            keys = keys_of(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            todo = WRITE_SECRET
            raise ChannelUnavailable(SECRET_UNREADABLE(cause=reason), where=str(file), todo=todo) from error
        return cls(settings, keys, clock, settings.batch_size)

    def deliver(self, batch: AudienceBatch, at: datetime) -> None:
        """Send a request, and wait for its answer. Raises ChannelUnavailable; it may have been taken all the same."""
        status = asyncio.run(self._post(batch, at))
        if not 200 <= status < 300:
            what = AUDIENCE_STATUS(name=batch.audience, status=status)
            raise ChannelUnavailable(what, where="destination", todo=TODO)

    async def _post(self, batch: AudienceBatch, at: datetime) -> int:
        body = request_body(batch, at)
        signed = signature_headers(self.keys, batch.batch_id, self.clock(), body)
        settings = self.settings
        guarded = GuardedClient(
            local_hosts=settings.local_hosts, timeout_seconds=settings.timeout_seconds, connections=1
        )
        async with guarded as client:
            try:
                headers = signed | {"Content-Type": "application/json"}
                response = await client.post(settings.url, content=body, headers=headers)
            except httpx.HTTPError as error:
                what = AUDIENCE_UNREACHABLE(name=batch.audience, cause=error)
                raise ChannelUnavailable(what, where="destination", todo=TODO) from error
        return response.status_code


def destination_of(
    audience: Audience, folder: Path, clock: Callable[[], datetime]
) -> FileDestination | HttpDestination:
    """Where an audience's changes go; `folder` is the workspace. Raises ChannelUnavailable."""
    if audience.destination.kind == "http":
        return HttpDestination.of(audience.destination, folder, clock)
    return FileDestination(files_folder(folder / "outbox", audience.name), sorted(audience.identifiers))


def request_body(batch: AudienceBatch, at: datetime) -> bytes:
    """What is sent for a batch, JSON."""
    lists: dict[str, list[Mapping[str, str]]] = {"add": [], "remove": []}
    lists[batch.operation] = list(batch.people)
    data = {"audience": batch.audience, **lists}
    content = {"type": TYPE, "timestamp": at.isoformat(timespec="seconds"), "data": data}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def files_folder(outbox: Path, audience: str) -> Path:
    """Folder of an audience's files; two names never share one."""
    readable = re.sub(r"[^0-9A-Za-z]+", "-", audience).strip("-")[:40].lower()
    return outbox / AUDIENCES_FOLDER / f"{readable}-{hashlib.sha256(audience.encode()).hexdigest()[:8]}".lstrip("-")


def remove_identifiers(path: Path, hashes: frozenset[str]) -> int:
    """Rewrite an audience file without these identifiers, and delete it once it has none; return how many lines had."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    changed = sum(not hashes.isdisjoint(row) for row in rows)
    if changed:
        cleared = [["" if cell in hashes else cell for cell in row] for row in rows]
        kept = [row for row in cleared if any(row)]
        if kept:
            write_csv(path, header, kept)
        else:
            path.unlink()
            sync(path.parent)
    return changed
