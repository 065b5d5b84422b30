"""Forget a person: nothing in the workspace is about them afterwards, and nothing of them is accepted again.

First the tokens of the person are recorded, then each step erases them in one place and may be repeated. An interrupted
erasure is completed by running it again; until then `patron doctor` reports it.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import has_inbox, inbox_position, open_inbox
from patron.collect.validation import problem_message
from patron.commands.customers.resolve_person import (
    NamedPerson,
    Person,
    PersonIdentifier,
    find_person,
    require_visible_person,
)
from patron.commands.privacy.forget_files import erase_from_files, files_left
from patron.commands.privacy.forget_lake import (
    delete_old_versions,
    erase_rows,
    repin_last_run,
    shared_devices,
    values_only_theirs,
)
from patron.commands.privacy.forget_models import erase_from_models
from patron.govern.access import audit_log
from patron.govern.access.audit_texts import replace_old_texts
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.sealed_texts import unseal
from patron.govern.privacy.consent_ledger import erase_wordings
from patron.govern.privacy.person_mentions import mentions_any
from patron.govern.vault import IDENTIFIER, Vault
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.data.dead_letter_reasons import FORGOTTEN as REASON
from patron.schema.errors import ProfilesBehind
from patron.storage.outreach.audience_members import forget_members
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.privacy.privacy_tables import PRIVACY_REQUESTS
from patron.storage.shop import Shop
from patron.storage.store.store import BY_CUSTOMER, DEAD_LETTERS, ERASURES, FORGOTTEN, VAULT_TEXTS
from patron.understand.profiles.profile_store import delete_all_profiles, delete_profiles
from patron.understand.profiles.profile_writer import are_profiles_current, erase_profiles, update_profiles

AUDIENCES = "audience members, removed from ad platforms by the next sync"
"""Place of a certificate that needs somebody to do something."""


@dataclass(frozen=True)
class ErasureCertificate:
    """What an erasure did; the audit log keeps the same without files."""

    certificate_id: str
    forgotten_at: datetime
    erased: Mapping[str, int]
    """How much was erased, by place: rows of a table, letters, keys, texts, files."""
    files_left: tuple[str, ...]
    """Archives, and files that Patron did not make and that name the person: somebody must delete them."""
    audit_entry: int
    audit_hash: str
    """Hash of the entry in the audit log."""


@dataclass
class Erasure:
    """An erasure in progress."""

    shop: Shop
    vault: Vault
    certificate_id: str
    person: Person
    at: datetime
    by: str
    shared_devices: frozenset[str] = frozenset()
    """Devices of theirs that others use too."""
    was_current: bool = False
    """Whether live profiles held all of the lake before."""
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, erased: Iterable[tuple[str, int]]) -> None:
        """Store how much was erased where, so that the certificate of an interrupted erasure is complete, too."""
        for place, count in erased:
            # why: a step that is repeated may find again what it had erased before it was cut off
            if count > self.counts.get(place, 0):
                self.counts[place] = count
                certificate = ERASURES.c.certificate_id == self.certificate_id
                with self.shop.store.begin() as connection:
                    connection.execute(sa.update(ERASURES).where(certificate).values(counts=self.counts))


def identify_person(shop: Shop, **identifier: str | None) -> Person:
    """The person that an erasure would erase, from the lake; the erasure itself looks at pending requests, too.

    Raises NotFound, SettingsError unless named in one way.
    """
    return find_person(shop, Vault.open(shop), PersonIdentifier(**identifier))


@operation(Right(Action.ACT, Area.PRIVACY), "POST /api/people/forget", audit=AuditAction.FORGOTTEN)
def forget_person(context: RequestContext, person: NamedPerson) -> ErasureCertificate:
    """Erase a person permanently, and accept nothing about them any more; the certificate is in the audit log too."""
    require_visible_person(context, PersonIdentifier(**person.identifier))
    return forget(context, **person.identifier)


def forget(context: RequestContext, **identifier: str | None) -> ErasureCertificate:
    """Forget the person named by `user_id`, `email`, `phone`, `anonymous_id` or `customer_id`; repeatable.

    `by` is who did it. Privacy requests of the person are emptied, and end with the certificate.
    Raises NotFound, SettingsError unless named in one way, WorkspaceBusy, InboxDamaged, MasterKeyError, NoSpace.
    """
    name = PersonIdentifier(**identifier)
    with context.shop.lock():
        drain_inbox(context.shop)
        if has_inbox(context.shop):
            with suppress(ProfilesBehind):  # why: of profiles that hold all of the lake only theirs have to go
                update_profiles(context.shop, inbox_position(context.shop), may_rebuild=False)
        erasure = _begin_erasure(context.shop, name, context.now, context.by)
        erasure.shared_devices = shared_devices(context.shop, erasure.person)
        erasure.was_current = are_profiles_current(context.shop)
        for step in STEPS:
            step(erasure)
        return _certify(erasure)


def _begin_erasure(shop: Shop, identifier: PersonIdentifier, at: datetime, by: str) -> Erasure:
    """Record the tokens to erase, and refuse them from now on; an interrupted erasure of the person is continued."""
    vault = Vault.open(shop)
    tokens = set(find_person(shop, vault, identifier).tokens)
    with shop.store.begin() as connection:
        unfinished = connection.execute(sa.select(ERASURES).order_by(ERASURES.c.certificate_id)).all()
        earlier = next((row for row in unfinished if tokens & set(row.tokens)), None)
        tokens |= set(earlier.tokens) if earlier else set()
        erasure = Erasure(
            shop,
            vault,
            certificate_id=earlier.certificate_id if earlier else secrets.token_hex(8),
            person=Person(tuple(sorted(tokens))),
            at=at,
            by=by,
            counts=dict(earlier.counts) if earlier else {},
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


def _erase_files(erasure: Erasure) -> None:
    erasure.count(erase_from_files(erasure.shop, erasure.vault, erasure.person))


def _empty_dead_letters(erasure: Erasure) -> None:
    """Empty the dead letters that name the person; their rows stay, so that counts stay right."""
    vault = erasure.vault
    tokens = frozenset(erasure.person.tokens)
    letter = DEAD_LETTERS.c
    chosen = sa.select(letter.dead_letter_id, letter.payload).where(letter.reason != REASON)
    with erasure.shop.store.begin() as connection:
        matching = [
            dead_letter_id
            for dead_letter_id, payload in connection.execute(chosen)
            if mentions_any(vault, tokens, vault.unseal(payload, dead_letter_id).decode())
        ]
        for dead_letter_id in matching:
            empty = {
                "reason": REASON,
                "message": problem_message(REASON)[1],
                "payload": vault.seal(b"", dead_letter_id),
            }
            connection.execute(sa.update(DEAD_LETTERS).where(letter.dead_letter_id == dead_letter_id).values(empty))
    erasure.count([("dead letters emptied", len(matching))])


def _erase_what_only_they_had(erasure: Erasure) -> None:
    """Erase from models and the vault what only this person's events held; it must be known before the events go."""
    values = values_only_theirs(erasure.shop, erasure.person)
    erasure.count(erase_from_models(erasure.shop, values))
    shredded = erasure.vault.shred([value for value in values if IDENTIFIER.fullmatch(value)])
    erasure.count([("keys of orders and products", shredded)])


def _erase_lake_rows(erasure: Erasure) -> None:
    erasure.count((f"rows of {table}", count) for table, count in erase_rows(erasure.shop, erasure.person))


def _erase_store_rows(erasure: Erasure) -> None:
    tokens, erased = erasure.person.tokens, {}
    with erasure.shop.store.begin() as connection:
        theirs = sa.select(MESSAGES.c.message_id).where(MESSAGES.c.customer_id.in_(erasure.person.customer_ids))
        receipts = sa.delete(RECEIPTS).where(RECEIPTS.c.message_id.in_(theirs))
        erased[f"rows of {RECEIPTS.name}"] = connection.execute(receipts).rowcount
        # why: what an ad platform has of them can only be removed there by whoever still knows it
        count = forget_members(connection, erasure.person.customer_ids)
        erased[AUDIENCES] = count
        erased["privacy requests emptied"] = _empty_requests(erasure, connection)
        for table in BY_CUSTOMER:
            matching = table.c.customer_id.in_(erasure.person.customer_ids)
            erased[f"rows of {table.name}"] = connection.execute(sa.delete(table).where(matching)).rowcount
        # why: who shared a device with them is named in its profile; it is rebuilt
        erased["live profiles"] = delete_profiles(connection, sorted({*tokens, *erasure.shared_devices}))
        counted = sa.select(sa.func.count()).select_from(VAULT_TEXTS).where(VAULT_TEXTS.c.token.in_(tokens))
        erased["texts"] = connection.scalar(counted) or 0
    erased["words shown to nobody else"] = erase_wordings(erasure.shop.store, tokens)
    erased["keys of identifiers"] = erasure.vault.shred(tokens)
    erasure.count(erased.items())


def _empty_requests(erasure: Erasure, connection: sa.Connection) -> int:
    """Empty the privacy requests of the person; their rows stay, and open ones end with the certificate."""
    table, ids = PRIVACY_REQUESTS.c, erasure.person.customer_ids
    theirs = list(connection.scalars(sa.select(table.request_id).where(table.customer_id.in_(ids))))
    tokens = frozenset(erasure.person.tokens)
    of_nobody = sa.select(table.request_id, table.content).where(
        table.customer_id.is_(None), table.content.is_not(None)
    )
    theirs += [
        request_id
        for request_id, content in connection.execute(of_nobody)
        if mentions_any(erasure.vault, tokens, unseal(erasure.shop, request_id, content))
    ]
    chosen = sa.update(PRIVACY_REQUESTS).where(table.request_id.in_(theirs))
    end = {"state": "done", "closed_at": erasure.at, "closed_by": erasure.by, "result": erasure.certificate_id}
    connection.execute(chosen.where(table.state == "open").values(end))
    connection.execute(chosen.values(content=None, customer_id=None))
    return len(theirs)


def _erase_profiles(erasure: Erasure) -> None:
    """Erase the person from the live profiles; delete all of them, to be rebuilt, if they were behind the lake."""
    if not erasure.was_current:
        delete_all_profiles(erasure.shop.store)
        return
    with suppress(ProfilesBehind):
        shop, position = erasure.shop, inbox_position(erasure.shop)
        erase_profiles(shop, erasure.person.tokens, erasure.shared_devices, position)


def _replace_old_texts(erasure: Erasure) -> None:
    """Replace what earlier versions wrote into the audit log in clear, of this person and all others, once."""
    count = replace_old_texts(erasure.shop, at=erasure.at, by=erasure.by)
    erasure.count([("texts in the audit log", count)] if count else [])


def _scrub_storage(erasure: Erasure) -> None:
    """Leave nothing in free pages and write-ahead logs."""
    erasure.shop.store.scrub()
    if has_inbox(erasure.shop):
        with open_inbox(erasure.shop) as inbox:
            inbox.release(
                inbox.moved_seq()
            )  # why: what profiles had not taken is theirs again when they are built anew
            inbox.scrub()


STEPS: tuple[Callable[[Erasure], None], ...] = (
    _erase_files,
    _empty_dead_letters,
    _erase_what_only_they_had,
    _erase_lake_rows,
    lambda erasure: repin_last_run(erasure.shop),
    lambda erasure: delete_old_versions(erasure.shop),
    _erase_store_rows,
    _erase_profiles,
    _replace_old_texts,
    _scrub_storage,
)
"""What is done, in this order; each may be repeated."""


def _certify(erasure: Erasure) -> ErasureCertificate:
    at = erasure.at
    left = files_left(erasure.shop, erasure.vault, erasure.person)
    facts = {"certificate_id": erasure.certificate_id, "erased": erasure.counts}
    with erasure.shop.store.begin() as connection:
        entry = audit_log.append(erasure.shop, connection, AuditAction.FORGOTTEN, facts, at=at, by=erasure.by)
        connection.execute(sa.delete(ERASURES).where(ERASURES.c.certificate_id == erasure.certificate_id))
    return ErasureCertificate(
        erasure.certificate_id,
        at,
        erased=erasure.counts,
        files_left=left,
        audit_entry=entry.entry,
        audit_hash=entry.hash,
    )
