"""The audit log: what was done, by whom and when; entries are appended, and their history is never changed.

An entry's hash is a code under a key (HMAC-SHA256) of its content and of the hash before it: a changed or missing entry
breaks the chain, and nobody without the master key can write another chain. The last entry's hash is kept next to the
master key, so that a log that was cut off is found, too. Only texts that earlier versions wrote into entries are
replaced, once, and an entry says so.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.schema.access.audit_actions import AuditAction
from patron.schema.access.log_check import LogCheck
from patron.schema.errors import PatronError
from patron.storage.access.audit_head import BEFORE_THE_FIRST, AuditHead
from patron.storage.shop import Shop
from patron.storage.store.statements import lock_table
from patron.storage.store.store import AUDIT, Store, after_commit


@dataclass(frozen=True)
class Entry:
    """One entry of the log."""

    entry: int
    at: str
    action: str
    details: str
    previous: str
    hash: str


def append(
    shop: Shop,
    connection: sa.Connection,
    action: AuditAction,
    details: Mapping[str, object],
    *,
    at: datetime,
    by: str = "",
) -> Entry:
    """Append an entry within a transaction; details may hold opaque ids and numbers, no personal value of customers.

    `by` is who did it, as steps write an actor; empty where nobody is known.
    """
    details = {**details, "by": by} if by else details
    _lock_log(connection)
    newest = sa.select(AUDIT.c.entry, AUDIT.c.hash).order_by(AUDIT.c.entry.desc()).limit(1)
    number, previous = connection.execute(newest).first() or (0, BEFORE_THE_FIRST)
    is_head_in = _is_head_in(shop, connection, number)
    content = (number + 1, at.astimezone(UTC).isoformat(), action.value, json.dumps(details, sort_keys=True))
    entry = Entry(*content, previous, _code(shop.audit_head.key, (*content, previous)))
    connection.execute(sa.insert(AUDIT).values(vars(entry)))
    if is_head_in:
        after_commit(connection, lambda: _move_head(shop, entry))
    return entry


def replace_details(
    shop: Shop, connection: sa.Connection, replaced: Mapping[int, str], *, at: datetime, by: str
) -> Entry:
    """Write other details into entries of a sound log, within a transaction, and chain it anew from the first of them.

    A last entry says so, under the key: how many entries, from which one on, and number and hash of the last entry
    before, so that a copy of the log from earlier can be told from a forged one.
    """
    _lock_log(connection)
    log = [Entry(**row) for row in connection.execute(sa.select(AUDIT).order_by(AUDIT.c.entry)).mappings()]
    head, first, last = shop.audit_head.read(), min(replaced), log[-1]
    previous = log[first - 1].previous
    for one in log[first - 1 :]:
        content = (one.entry, one.at, one.action, replaced.get(one.entry, one.details))
        code = _code(shop.audit_head.key, (*content, previous))
        values = {"details": content[-1], "previous": previous, "hash": code}
        connection.execute(sa.update(AUDIT).where(AUDIT.c.entry == one.entry).values(values))
        previous = code
    seam = {"entry_count": len(replaced), "first_entry": first, "last_entry": last.entry, "last_hash": last.hash}
    entry = append(shop, connection, AuditAction.TEXTS_REPLACED, seam, at=at, by=by)
    keyed_from = min(head.keyed_from, first) if head else first
    after_commit(connection, lambda: _write_head(shop, AuditHead(entry.entry, entry.hash, keyed_from)))
    return entry


def _write_head(shop: Shop, head: AuditHead) -> None:
    """Write a head; where that fails, the entry that says what was replaced names the one before."""
    with suppress(OSError, PatronError):
        shop.audit_head.write(head)


def _move_head(shop: Shop, entry: Entry) -> None:
    """Move the head to an entry; where that fails the entry is written all the same, and the head is only older."""
    with suppress(OSError, PatronError):
        shop.audit_head.move_to(entry.entry, entry.hash)


def entries(store: Store) -> list[Entry]:
    """All entries, oldest first."""
    with store.begin() as connection:
        rows = connection.execute(sa.select(AUDIT).order_by(AUDIT.c.entry)).mappings().all()
    return [Entry(**row) for row in rows]


def size(store: Store) -> int:
    """Entries of the log."""
    with store.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(AUDIT)) or 0


def first_damaged_entry(log: list[Entry], key: bytes, keyed_from: int = 1) -> int | None:
    """Number of the first entry that was changed, or that follows a missing one; None when the log is intact.

    Entries before `keyed_from` were written under workspace layout 1: their hash is a plain SHA-256.
    """
    previous = BEFORE_THE_FIRST
    for number, one in enumerate(log, 1):
        content = (one.entry, one.at, one.action, one.details, previous)
        right = _code(key, content) if number >= keyed_from else _plain_hash(content)
        if one.entry != number or one.previous != previous or not hmac.compare_digest(one.hash, right):
            return number
        previous = one.hash
    return None


def check_log(shop: Shop) -> LogCheck:
    """Check every entry of the log, and that none is missing at its end."""
    try:
        head = shop.audit_head.read()  # why: before the log, which may grow meanwhile
    except PatronError as damaged:
        return LogCheck(size(shop.store), None, f"{damaged.where}: {damaged.what}")
    log = entries(shop.store)
    keyed_from = _keyed_from(shop, log)
    broken = first_damaged_entry(log, shop.audit_head.key, min(head.keyed_from, keyed_from) if head else keyed_from)
    if broken is not None:
        return LogCheck(len(log), broken, f"entry {broken} was changed, or one before it is missing")
    if head is None:
        return LogCheck(len(log), None, f"its head is missing: {shop.audit_head.path}")
    last = log[head.entry - 1].hash if 0 < head.entry <= len(log) else BEFORE_THE_FIRST
    if head.entry > len(log):
        what = f"it ends with entry {len(log)}, but {head.entry} were written"
        return LogCheck(len(log), len(log) + 1, what)
    if last != head.hash and not any(_is_seam_after(head, one) for one in log[head.entry :]):
        return LogCheck(len(log), head.entry, f"entry {head.entry} is not the one that was written")
    return LogCheck(len(log))


def log_problem(shop: Shop) -> str:
    """What is wrong with the log; empty when every entry is as it was written, up to the last."""
    return check_log(shop).problem


def renew_head(shop: Shop) -> None:
    """Take the log as it is from now on, after a backup was restored or a loss was accepted."""
    log = entries(shop.store)
    last = log[-1].hash if log else BEFORE_THE_FIRST
    shop.audit_head.write(AuditHead(len(log), last, _keyed_from(shop, log)))


def _is_head_in(shop: Shop, connection: sa.Connection, last: int) -> bool:
    """Whether the log still has the entry that its head names: if not, the head stays, and `patron doctor` finds it."""
    try:
        head = shop.audit_head.read()
    except PatronError:
        return False
    if head is None:  # why: machines that share a store on a server have a head each
        return last == 0 or shop.store.file is None
    written = connection.scalar(sa.select(AUDIT.c.hash).where(AUDIT.c.entry == head.entry))
    if head.hash == (written or BEFORE_THE_FIRST):
        return True
    seams = sa.select(AUDIT).where(AUDIT.c.action == AuditAction.TEXTS_REPLACED.value, AUDIT.c.entry > head.entry)
    return any(_is_seam_after(head, Entry(**row)) for row in connection.execute(seams).mappings())


def _is_seam_after(head: AuditHead, entry: Entry) -> bool:
    """Whether an entry says that the log was chained anew when it ended with this head, which was not moved since."""
    if entry.action != AuditAction.TEXTS_REPLACED.value:
        return False
    seam = json.loads(entry.details)
    return (seam["last_entry"], seam["last_hash"]) == (head.entry, head.hash)


def _keyed_from(shop: Shop, log: list[Entry]) -> int:
    """First entry under the key; the entries before it hold its place in the chain."""
    key = shop.audit_head.key
    keyed = (
        one.entry for one in log if one.hash == _code(key, (one.entry, one.at, one.action, one.details, one.previous))
    )
    return next(keyed, len(log) + 1)


def _code(key: bytes, content: tuple[object, ...]) -> str:
    return hmac.digest(key, json.dumps(content).encode(), hashlib.sha256).hex()


def _plain_hash(content: tuple[object, ...]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _lock_log(connection: sa.Connection) -> None:
    """Keep other processes from appending until this transaction ends."""
    lock_table(connection, AUDIT)
