"""Read the mailbox that bounces, complaints and unsubscriptions by mail come to, from files."""

import mailbox
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from patron.commands.outreach.messages.receive_receipts import ReceiptCounts, receive_receipts
from patron.commands.outreach.messages.subscriptions import find_subscription, unsubscribe
from patron.engage.providers.bounce_messages import ReturnedMessage, read_returned
from patron.engage.providers.receipts import Receipt
from patron.schema.common_sentences import FILE_UNREADABLE_CAUSE
from patron.schema.errors import BadFile, NotFound
from patron.schema.sentences import Sentence
from patron.storage.sandbox.sandbox import Sandbox, Stopped
from patron.storage.sandbox.sandbox_process import Bounds
from patron.storage.shop import Shop

FILE_OR_FOLDER = Sentence("file_or_folder", "Name a file or a folder.")

READER = Sandbox(Bounds(seconds=2.0, processes=1))
MAX_BYTES = 10_000_000
MBOX_START = b"From "


@dataclass(frozen=True)
class ReturnedCounts:
    """What a mailbox of returned messages held."""

    messages: int
    receipts: ReceiptCounts
    unsubscribed: int
    """Messages that unsubscribed somebody."""
    ignored: int
    """Messages that say nothing about one of ours, such as automatic replies."""
    unreadable: int
    """Messages that could not be read within bounds; where it is all of them, the reader itself does not start."""


def read_bounces(shop: Shop, path: Path, *, now: datetime) -> ReturnedCounts:
    """Read a message, an mbox, or a folder of messages (Maildir, too). Reading it again changes nothing.

    Raises BadFile for a path that cannot be read.
    """
    receipts: list[Receipt] = []
    messages = unsubscribed = ignored = unreadable = 0
    for content in _messages(path):
        messages += 1
        returned = _returned(content, now)
        if returned is None:
            unreadable += 1
        elif returned.receipt is not None:
            receipts.append(returned.receipt)
        elif returned.unsubscribe_token and _unsubscribe(shop, returned.unsubscribe_token, now):
            unsubscribed += 1
        else:
            ignored += 1
    return ReturnedCounts(messages, receive_receipts(shop, receipts, now=now), unsubscribed, ignored, unreadable)


def _returned(content: bytes, now: datetime) -> ReturnedMessage | None:
    """What a message says; None for one that cannot be read, as anybody can write to the address of bounces."""
    try:
        return READER.call(read_returned, content, now)
    except Stopped:
        return None


def _unsubscribe(shop: Shop, token: str, now: datetime) -> bool:
    try:
        subscription = find_subscription(shop, token)
    except NotFound:
        return False
    unsubscribe(shop, subscription, now=now)
    return True


def _messages(path: Path) -> Iterator[bytes]:
    try:
        if path.is_dir():
            for file in sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith(".")):
                yield _content(file)
            return
        with path.open("rb") as file:
            is_mbox = file.read(len(MBOX_START)) == MBOX_START
        if is_mbox:
            with closing(mailbox.mbox(path, create=False)) as box:
                yield from (box.get_bytes(key) for key in box.keys())  # noqa: SIM118 - it iterates over messages
        else:
            yield _content(path)
    except OSError as error:
        raise BadFile(FILE_UNREADABLE_CAUSE(cause=error.strerror), where=str(path), todo=FILE_OR_FOLDER) from error


def _content(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES)
