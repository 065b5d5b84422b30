"""Erase a person from the files of the workspace: outbox, reports and exports; list other files that name them."""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from patron.collect.inbox.workspace_inbox import LOST_SUFFIX
from patron.commands.customers.resolve_person import Person
from patron.engage.audience_destinations import AUDIENCES_FOLDER, remove_identifiers
from patron.engage.channels.file import message_files, without_messages
from patron.engage.outbox_offers import HELD_BACK
from patron.govern.privacy.person_mentions import mentions_any
from patron.govern.vault import Vault
from patron.schema.errors import BadFile
from patron.schema.sentences import Sentence
from patron.storage.durable_files import sync, write_durably
from patron.storage.outreach.audience_members import hashes_of
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.safe_csv import csv_text, plain_cell
from patron.storage.shop import Shop
from patron.storage.workspace.run_files import record_outbox_file
from patron.storage.workspace.workspace_files import DATA_FOLDERS, SCRATCH_FOLDER, WORKSPACE_FILE_NAMES

DAMAGED_NAMES = Sentence("damaged_names", "is damaged, so nobody can say whom it names")
DELETE_THEN_FORGET = Sentence(
    "delete_then_forget",
    "Delete it, then run the same `patron forget` again; `patron run` writes the file of its cutoff anew.",
)

WORKSPACE_FILES = WORKSPACE_FILE_NAMES | {*DATA_FOLDERS, SCRATCH_FOLDER}
"""Files and folders that are never a report, an export or somebody else's; models hold no ids."""
UNOPENED = (".tar.gz", LOST_SUFFIX, f"{LOST_SUFFIX}-wal")
"""Archives, and inboxes that were put aside: people have to look at them."""
STORE_SUFFIXES = (".db", ".db-wal", ".db-shm")
REPORT_MARK = '<meta name="generator" content="Patron">'
EXPORT_KEYS = {"customer_id", "identifiers", "tables"}
SHOWN_ID_LENGTH = 8
"""First characters of a customer id that a report shows."""
PARQUET = b"PAR1"
MAX_TRIES = 10
MAX_SEARCHED_BYTES = 50_000_000


def erase_from_files(shop: Shop, vault: Vault, person: Person) -> Iterator[tuple[str, int]]:
    """Erase a person from the files of the workspace; yield each place and how much was erased there."""
    rows = sum(_remove_from_outbox(shop, vault, person, path) for path in _outbox_files(shop))
    rows += _remove_messages(shop, person) + _remove_from_audiences(shop, person)
    yield "outbox rows, the files rewritten", rows
    gone = {"reports deleted": _is_report_of, "exports deleted": _is_export_of}
    for place, is_theirs in gone.items():
        theirs = [path for path in _foreign_files(shop) if is_theirs(path, person)]
        for path in theirs:
            path.unlink()
            sync(path.parent)
        yield place, len(theirs)
    for path in (shop.folder / "tmp").iterdir():  # why: what a process that was killed could not clear away
        delete_temporary_path(path)
    sync(shop.folder / "tmp")


def delete_temporary_path(path: Path) -> None:
    """Delete what another process may be working in, or deleting, at this moment. Raises OSError where it stays."""
    for _ in range(MAX_TRIES):
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not path.exists():
            return
    shutil.rmtree(path)


def files_left(shop: Shop, vault: Vault, person: Person) -> tuple[str, ...]:
    """Files in the workspace that Patron did not make and that name the person; archives too, which are not opened.

    So are files of hashed identifiers that people should have uploaded to an ad platform, and deleted, by then.

    A report of Patron's shows opaque ids only, and those of the person are gone by now: a number in it
    that happens to be one of the shop's ids is a figure.
    """
    foreign = [path for path in _foreign_files(shop) if not _is_report(path)]
    left = [path for path in foreign if path.name.endswith(UNOPENED) or _names_person(vault, person, path)]
    # why: hashes of whoever left an audience are in no table any more, so that nobody can say whose they are
    left += sorted((shop.folder / "outbox" / AUDIENCES_FOLDER).rglob("removed-*.csv"))
    return tuple(str(path.relative_to(shop.folder)) for path in left)


def _outbox_files(shop: Shop) -> list[Path]:
    """The files of the outbox, and offers that were held back there; none of them is of an audience."""
    folder = shop.folder / "outbox"
    files = (*folder.rglob("*.csv"), *folder.rglob(f"*{HELD_BACK}"))
    return sorted(path for path in files if folder / AUDIENCES_FOLDER not in path.parents)


def _remove_from_audiences(shop: Shop, person: Person) -> int:
    """Take a person out of the files that add people at an ad platform; return how many lines went."""
    with shop.store.begin() as connection:
        hashes = hashes_of(connection, person.customer_ids)
    files = (shop.folder / "outbox" / AUDIENCES_FOLDER).rglob("added-*.csv") if hashes else ()
    return sum(remove_identifiers(path, hashes) for path in sorted(files))


def _remove_from_outbox(shop: Shop, vault: Vault, person: Person, path: Path) -> int:
    """Rewrite an outbox file, which names people by the shop's ids, without the person; return how many rows went."""
    tokens = frozenset(person.tokens)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFile(
            DAMAGED_NAMES,
            where=str(path),
            todo=DELETE_THEN_FORGET,
        ) from error
    column = header.index("user_id") if "user_id" in header else 0
    # why: a cell that a spreadsheet would compute has an apostrophe
    kept = [
        row
        for row in rows
        if len(row) <= column  # why: a damaged line that ends before it names anybody
        or not {vault.token("user_id", one) for one in _with_and_without_apostrophe(row[column])} & tokens
    ]
    if len(kept) < len(rows):
        content = csv_text([header, *kept]).encode()
        # why: before the file: an erasure that is cut off is run again, and writes the same
        record_outbox_file(shop.store, path.parent.name, path.name, content)
        write_durably(path, content)
    return len(rows) - len(kept)


def _remove_messages(shop: Shop, person: Person) -> int:
    """Rewrite files of campaigns' messages without those to the person; return how many went."""
    chosen = sa.select(MESSAGES.c.message_id).where(MESSAGES.c.customer_id.in_(person.customer_ids))
    with shop.store.begin() as connection:
        theirs = frozenset(connection.scalars(chosen))
    count = 0
    for path in message_files(shop.folder / "outbox") if theirs else ():
        content, gone = without_messages(path.read_text(encoding="utf-8"), theirs)
        if gone:
            write_durably(path, content.encode())
        count += gone
    return count


def _with_and_without_apostrophe(cell: str) -> tuple[str, ...]:
    return (cell, cell.removeprefix("'"), plain_cell(cell))


def _foreign_files(shop: Shop) -> list[Path]:
    """Files that are not part of the workspace itself, also those next to the outbox's CSV files."""
    places = [
        path
        for path in shop.folder.iterdir()
        if path.name not in WORKSPACE_FILES and not path.name.endswith(STORE_SUFFIXES)
    ]
    files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
    files += [file for file in (shop.folder / "outbox").rglob("*") if file.suffix != ".csv"]
    return sorted(file for file in files if file.is_file())


def _is_report(path: Path) -> bool:
    is_page = path.name.endswith((".html", ".html.new"))
    return is_page and REPORT_MARK in path.read_text(encoding="utf-8", errors="replace")


def _is_report_of(path: Path, person: Person) -> bool:
    if not _is_report(path):
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    shown = (*person.tokens, *(customer_id[:SHOWN_ID_LENGTH] for customer_id in person.customer_ids))
    return any(one in text for one in shown)


def _is_export_of(path: Path, person: Person) -> bool:
    if not path.name.endswith((".json", ".json.new")):
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        return path.name.endswith(".new")  # why: an export that was cut off
    is_export = isinstance(content, dict) and content.keys() >= EXPORT_KEYS
    return is_export and any(one in text for one in (*person.customer_ids, *person.tokens))


def _names_person(vault: Vault, person: Person, path: Path) -> bool:
    if path.stat().st_size > MAX_SEARCHED_BYTES:
        return True  # why: too large to look at now, so a person looks
    content, tokens = path.read_bytes(), frozenset(person.tokens)
    if content.startswith(PARQUET):
        try:
            rows = pq.read_table(pa.BufferReader(content)).to_pylist()
        except pa.ArrowException:
            return True  # why: it cannot be read, so a person looks
        return mentions_any(vault, tokens, json.dumps(rows, default=str))
    return b"\0" not in content and mentions_any(vault, tokens, content.decode(errors="replace"))
