"""The ledger of consents as officers read it: newest first or one customer's, with the words that were shown."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import pyarrow as pa
import sqlalchemy as sa
from pydantic import Field

from patron.govern.access.operations import operation
from patron.govern.privacy.consent_ledger import first_damaged_entry, size, words_place
from patron.govern.vault import Vault
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.log_check import LogCheck
from patron.schema.list_pages import BeforeEntry, Cursor, CursorText, Limit
from patron.schema.table_definition import TEXT
from patron.storage.shop import Shop
from patron.storage.store.store import CONSENT_LEDGER, WORDINGS

READ_PRIVACY = Right(Action.READ, Area.PRIVACY)
OpaqueId = Annotated[str, Field(max_length=64, description="Opaque id; empty: everybody.")]
PAGE_LENGTH = 50
MAX_EXPORTED = 100_000
"""Entries that a file has at most."""


@dataclass(frozen=True)
class ConsentEntry:
    """One answer of a person to one purpose."""

    entry: int
    customer_id: str | None
    """None for a person who was erased, or whose events no run has read yet."""
    purpose: str
    is_granted: bool
    basis: str
    wording: str
    """The words that were shown; empty without any, or once they were erased."""
    wording_version: str
    policy_version: str
    locale: str
    channel: str
    occurred_at: datetime
    known_at: datetime
    hash: str


@dataclass(frozen=True)
class ConsentPage:
    """Some entries, newest first."""

    customer_id: str
    """Whose entries; empty for everybody's."""
    entries: tuple[ConsentEntry, ...]
    next_before: int | None
    total_count: int


@dataclass(frozen=True)
class ConsentCursorPage(ConsentPage):
    """Some entries of the ledger, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


def consent_trail(
    shop: Shop, *, customer_id: str = "", before: int | None = None, length: int = PAGE_LENGTH
) -> ConsentPage:
    """Entries of the ledger, of one customer or of all, newest first."""
    chosen = sa.select(CONSENT_LEDGER, WORDINGS.c.words).outerjoin(
        WORDINGS, WORDINGS.c.wording == CONSENT_LEDGER.c.wording
    )
    counted = sa.select(sa.func.count()).select_from(CONSENT_LEDGER)
    if customer_id:
        is_theirs = CONSENT_LEDGER.c.token.in_(_tokens_of(shop, customer_id))
        chosen, counted = chosen.where(is_theirs), counted.where(is_theirs)
    if before is not None:
        chosen = chosen.where(CONSENT_LEDGER.c.entry < before)
    with shop.store.begin() as connection:
        paged = chosen.order_by(CONSENT_LEDGER.c.entry.desc()).limit(length + 1)
        rows = connection.execute(paged).mappings().all()
        total = connection.scalar(counted) or 0
    customers, vault = _customers_of(shop, {row["token"] for row in rows}), Vault.open(shop)
    entries = tuple(_entry_of(row, customers, vault) for row in rows[:length])
    return ConsentPage(customer_id, entries, entries[-1].entry if len(rows) > length else None, total)


@operation(READ_PRIVACY, "GET /api/privacy/consents")
def list_consents(
    shop: Shop,
    customer: OpaqueId = "",
    before: BeforeEntry = None,
    cursor: CursorText = "",
    limit: Limit = None,
) -> ConsentCursorPage:
    """The ledger of consents, newest first."""
    if cursor:
        (before,) = Cursor.in_list(cursor, "consents", int).place
    trail = consent_trail(shop, customer_id=customer, before=before, length=limit or PAGE_LENGTH)
    following = str(Cursor("consents", (trail.next_before,))) if trail.next_before else None
    return ConsentCursorPage(**vars(trail), next_cursor=following)


@operation(READ_PRIVACY, "GET /api/privacy/consents/verification")
def verify_consents(shop: Shop) -> LogCheck:
    """Whether the chain of the ledger is intact."""
    damaged = first_damaged_entry(shop.store)
    problem = "" if damaged is None else f"entry {damaged} was changed, or one before it is missing"
    return LogCheck(size(shop.store), damaged, problem)


def _tokens_of(shop: Shop, customer_id: str) -> list[str]:
    view = shop.snapshot() or shop.newest_snapshot()
    rows = view.query("select token from identities where customer_id = $customer", {"customer": customer_id})
    return rows["token"].to_pylist()


def _customers_of(shop: Shop, tokens: Iterable[str]) -> dict[str, str]:
    view = shop.snapshot() or shop.newest_snapshot()
    rows = view.query(
        "select i.token, i.customer_id from identities i join selected s on s.token = i.token",
        selected=pa.table({"token": pa.array(sorted(tokens), TEXT)}),
    )
    return dict(zip(rows["token"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))


def _entry_of(row: sa.RowMapping, customers: dict[str, str], vault: Vault) -> ConsentEntry:
    return ConsentEntry(
        entry=row["entry"],
        customer_id=customers.get(row["token"]),
        purpose=row["purpose"],
        is_granted=bool(row["is_granted"]),
        basis=row["basis"],
        wording=vault.unseal_text(row["words"], words_place(row["wording"])) if row["words"] else "",
        wording_version=row["wording_version"] or "",
        policy_version=row["policy_version"] or "",
        locale=row["locale"] or "",
        channel=row["channel"] or "",
        occurred_at=datetime.fromisoformat(row["occurred_at"]),
        known_at=datetime.fromisoformat(row["known_at"]),
        hash=row["hash"],
    )
