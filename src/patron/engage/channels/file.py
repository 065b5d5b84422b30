"""Messages as files, for shops with a mail system of their own: JSON lines in outbox/messages/, whole or not there."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Self

from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.schema.errors import ChannelUnavailable, NoSpace
from patron.schema.outreach.channels.channel_description import AddressKind
from patron.schema.outreach.channels.file import FILE
from patron.storage.durable_files import make_private_folder, write_durably
from patron.storage.shop import Shop

FOLDER = "messages"
SUFFIX = ".jsonl"
MESSAGES_OF_A_FILE = 100


@dataclass(frozen=True)
class FileChannel:
    """Writes a file for every hundred messages; a mail system takes them from the folder, and deletes them."""

    folder: Path
    name: str = FILE.name
    address_kind: AddressKind = FILE.address_kind

    @classmethod
    def of(cls, shop: Shop, *, clock: Callable[[], datetime]) -> Self:  # noqa: ARG003 - as every channel is made
        """The channel of a shop."""
        return cls(shop.folder / "outbox" / FOLDER)

    async def hand_over(self, messages: Iterable[OutgoingMessage]) -> AsyncIterator[Handover]:
        """Write messages; those of a file are sent once it is on disk. Raises ChannelUnavailable on a full disk."""
        waiting = iter(messages)
        while some := list(islice(waiting, MESSAGES_OF_A_FILE)):
            self._write(some)
            for one in some:
                yield Handover(one.message_id, Outcome.SENT)

    def _write(self, messages: list[OutgoingMessage]) -> None:
        lines = (json.dumps(asdict(one), ensure_ascii=False) for one in messages)
        path = self.folder / f"{messages[0].message_id}{SUFFIX}"
        try:
            make_private_folder(self.folder)
            write_durably(path, "".join(f"{one}\n" for one in lines).encode())
        except (NoSpace, OSError) as error:
            what = f"cannot be written ({getattr(error, 'what', None) or error})"
            todo = "Make it writable, or free some space, then send again."
            raise ChannelUnavailable(what, where=str(path), todo=todo) from error


def without_messages(content: str, message_ids: frozenset[str]) -> tuple[str, int]:
    """The lines of a file without those of some messages, and how many went; what is no message stays."""
    kept = [line for line in content.splitlines(keepends=True) if _id_of(line) not in message_ids]
    return "".join(kept), content.count("\n") - "".join(kept).count("\n")


def message_files(outbox: Path) -> Iterator[Path]:
    """Every file of the channel in an outbox."""
    yield from sorted((outbox / FOLDER).glob(f"*{SUFFIX}"))


def _id_of(line: str) -> str:
    try:
        return str(json.loads(line)["message_id"])
    except (ValueError, KeyError, TypeError):
        return ""
