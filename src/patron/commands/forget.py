"""Forget a person: nothing in the workspace is about them afterwards, and nothing of them is accepted again.

First it is written down whose tokens go, then each step erases in one place and may be repeated. An erasure that was
cut off ends by running it again; until then `patron doctor` reports it.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.collect.validation import problem_message
from patron.collect.workspace_inbox import has_inbox, inbox_position, open_inbox
from patron.commands.forget_files import erase_from_files, files_left
from patron.commands.forget_lake import erase_rows, forget_versions, read_newest, shared_devices
from patron.commands.resolve_person import Person, PersonName, find_person
from patron.govern import audit_log
from patron.govern.consent_ledger import erase_wordings
from patron.govern.mentions import mentions_any
from patron.govern.vault import Vault
from patron.run import drain_inbox
from patron.schema.dead_letter_reasons import FORGOTTEN as REASON
from patron.schema.errors import ProfilesBehind
from patron.storage.shop import Shop
from patron.storage.store import BY_CUSTOMER, DEAD_LETTERS, ERASURES, FORGOTTEN, VAULT_TEXTS
from patron.understand.profiles.profile_store import delete_all_profiles, delete_profiles
from patron.understand.profiles.profile_writer import are_profiles_current, erase_profiles, update_profiles


@dataclass(frozen=True)
class ErasureCertificate:
    """What an erasure did; the audit log keeps the same without files."""

    certificate_id: str
    forgotten_at: datetime
    erased: Mapping[str, int]
    """How much was erased, by place: rows of a table, letters, keys, texts, files."""
    files_left: tuple[str, ...]
    """Files in the workspace that Patron did not make and that name the person, or archives: theirs to delete."""
    audit_entry: int
    audit_hash: str
    """Hash of the entry in the audit log."""


@dataclass
class Erasure:
    """An erasure at work."""

    shop: Shop
    vault: Vault
    certificate_id: str
    person: Person
    shared_devices: frozenset[str] = frozenset()
    """Devices of theirs that others use too."""
    was_current: bool = False
    """Whether live profiles held all of the lake before."""
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, erased: Iterable[tuple[str, int]]) -> None:
        """Remember how much was erased where, so that an erasure that is cut off still says so in the end."""
        for place, count in erased:
            # why: a step that is repeated may find again what it had erased before it was cut off
            if count > self.counts.get(place, 0):
                self.counts[place] = count
                this = ERASURES.c.certificate_id == self.certificate_id
                with self.shop.store.begin() as connection:
                    connection.execute(sa.update(ERASURES).where(this).values(counts=self.counts))


def identify_person(shop: Shop, **named: str | None) -> Person:
    """Whom an erasure would erase, as the lake knows them now; what still waits is looked at by the erasure itself.

    Raises NotFound, SettingsError unless named in one way.
    """
    return find_person(shop, Vault.open(shop), PersonName(**named))


def forget(shop: Shop, **named: str | None) -> ErasureCertificate:
    """Forget the person named by `user_id`, `email`, `phone`, `anonymous_id` or `customer_id`; repeatable.

    Raises NotFound, SettingsError unless named in one way, WorkspaceBusy, InboxDamaged, MasterKeyError, NoSpace.
    """
    name = PersonName(**named)
    with shop.lock():
        drain_inbox(shop)
        if has_inbox(shop):
            with suppress(ProfilesBehind):  # why: of profiles that hold all of the lake only theirs have to go
                update_profiles(shop, inbox_position(shop), may_rebuild=False)
        erasure = _begin(shop, name, datetime.now(UTC))
        erasure.shared_devices = shared_devices(shop, erasure.person)
        erasure.was_current = are_profiles_current(shop)
        for step in STEPS:
            step(erasure)
        return _certify(erasure, datetime.now(UTC))


def _begin(shop: Shop, named: PersonName, at: datetime) -> Erasure:
    """Write down whose tokens go, and refuse them from now on; an erasure of theirs that was cut off goes on."""
    vault = Vault.open(shop)
    tokens = set(find_person(shop, vault, named).tokens)
    with shop.store.begin() as connection:
        unfinished = connection.execute(sa.select(ERASURES).order_by(ERASURES.c.certificate_id)).all()
        mine = next((row for row in unfinished if tokens & set(row.tokens)), None)
        tokens |= set(mine.tokens) if mine else set()
        erasure = Erasure(
            shop,
            vault,
            mine.certificate_id if mine else secrets.token_hex(8),
            Person(tuple(sorted(tokens))),
            counts=dict(mine.counts) if mine else {},
        )
        connection.execute(sa.delete(ERASURES).where(ERASURES.c.certificate_id == erasure.certificate_id))
        row = {
            "certificate_id": erasure.certificate_id,
            "tokens": list(erasure.person.tokens),
            "counts": erasure.counts,
        }
        connection.execute(sa.insert(ERASURES).values(**row, started_at=at))
        new = sorted(tokens - vault.forgotten)
        if new:
            connection.execute(sa.insert(FORGOTTEN), [{"token": token, "forgotten_at": at} for token in new])
    return erasure


def _files(erasure: Erasure) -> None:
    erasure.count(erase_from_files(erasure.shop, erasure.vault, erasure.person))


def _letters(erasure: Erasure) -> None:
    """Take the content out of dead letters that name the person; that there was a letter stays counted."""
    vault, tokens, letter = erasure.vault, frozenset(erasure.person.tokens), DEAD_LETTERS.c
    chosen = sa.select(letter.dead_letter_id, letter.payload).where(letter.reason != REASON)
    with erasure.shop.store.begin() as connection:
        theirs = [
            dead_letter_id
            for dead_letter_id, payload in connection.execute(chosen)
            if mentions_any(vault, tokens, vault.unseal(payload, dead_letter_id).decode())
        ]
        for dead_letter_id in theirs:
            empty = {
                "reason": REASON,
                "message": problem_message(REASON)[1],
                "payload": vault.seal(b"", dead_letter_id),
            }
            connection.execute(sa.update(DEAD_LETTERS).where(letter.dead_letter_id == dead_letter_id).values(empty))
    erasure.count([("dead letters emptied", len(theirs))])


def _lake(erasure: Erasure) -> None:
    erasure.count((f"rows of {table}", count) for table, count in erase_rows(erasure.shop, erasure.person))


def _store(erasure: Erasure) -> None:
    tokens, erased = erasure.person.tokens, {}
    with erasure.shop.store.begin() as connection:
        for table in BY_CUSTOMER:
            theirs = table.c.customer_id.in_(erasure.person.customer_ids)
            erased[f"rows of {table.name}"] = connection.execute(sa.delete(table).where(theirs)).rowcount
        # why: who shared a device with them is named in its profile; it is rebuilt
        erased["live profiles"] = delete_profiles(connection, sorted({*tokens, *erasure.shared_devices}))
        counted = sa.select(sa.func.count()).select_from(VAULT_TEXTS).where(VAULT_TEXTS.c.token.in_(tokens))
        erased["texts"] = connection.scalar(counted) or 0
    erased["words shown to nobody else"] = erase_wordings(erasure.shop.store, tokens)
    erased["keys of identifiers"] = erasure.vault.shred(tokens)
    erasure.count(erased.items())


def _profiles(erasure: Erasure) -> None:
    """Let live profiles go on without the person; those that were behind, or of which nobody can tell, go all."""
    if not erasure.was_current:
        delete_all_profiles(erasure.shop.store)
        return
    with suppress(ProfilesBehind):
        shop, position = erasure.shop, inbox_position(erasure.shop)
        erase_profiles(shop, erasure.person.tokens, erasure.shared_devices, position)


def _scrub(erasure: Erasure) -> None:
    """Leave nothing in free pages and write-ahead logs."""
    erasure.shop.store.scrub()
    if has_inbox(erasure.shop):
        with open_inbox(erasure.shop) as inbox:
            inbox.release(
                inbox.moved_seq()
            )  # why: what profiles had not taken is theirs again when they are built anew
            inbox.scrub()


STEPS: tuple[Callable[[Erasure], None], ...] = (
    _files,
    _letters,
    _lake,
    lambda erasure: read_newest(erasure.shop),
    lambda erasure: forget_versions(erasure.shop),
    _store,
    _profiles,
    _scrub,
)
"""What is done, in this order; each may be repeated."""


def _certify(erasure: Erasure, at: datetime) -> ErasureCertificate:
    left = files_left(erasure.shop, erasure.vault, erasure.person)
    facts = {"certificate_id": erasure.certificate_id, "erased": erasure.counts}
    with erasure.shop.store.begin() as connection:
        entry = audit_log.append(connection, "forgotten", facts, at=at)
        connection.execute(sa.delete(ERASURES).where(ERASURES.c.certificate_id == erasure.certificate_id))
    return ErasureCertificate(erasure.certificate_id, at, erasure.counts, left, entry.entry, entry.hash)
