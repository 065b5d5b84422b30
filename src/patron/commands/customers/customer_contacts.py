"""Who customers are: masked for everybody, and revealed, one at a time, to whom the audit log then names."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from patron.govern.access import audit_log
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.customer_contacts import read_contacts, user_tokens
from patron.govern.customers.user_tokens import known_user_tokens
from patron.govern.vault import Vault
from patron.schema.access.access_rights import Action, Actor, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.customers.customer_contacts import (
    REVEAL_REASONS,
    CustomerContacts,
    mask_id,
    masked,
    unknown_customer,
)
from patron.schema.customers.customer_rights import READ_CUSTOMERS
from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

GIVE_ONE_OF = Sentence("give_one_of", "Give one of {names}.")
REVEAL_REASON_NEEDED = Sentence("reveal_reason_needed", "a reason is needed to see who a customer is")

__all__ = [
    "CustomerContacts",
    "RevealReason",
    "contacts_of",
    "masked",
    "masked_contacts",
    "masked_ids",
    "prepare_contacts",
    "read_note",
    "reveal_contacts",
]

"""Action in the audit log."""
PLACE = "reveal note"
MAX_CHARACTERS = 300
REVEAL = Right(Action.REVEAL, Area.CUSTOMERS)


ReasonCode = Annotated[str, Field(max_length=40, description=f"One of {', '.join(REVEAL_REASONS)}.")]
ReasonNote = Annotated[str, Field(max_length=300, description="A line of your own; kept encrypted in the audit log.")]


@dataclass(frozen=True)
class RevealReason:
    """Why somebody sees who a customer is."""

    code: str = ""
    """One of `REVEAL_REASONS`; empty where the settings ask for none."""
    note: str = ""
    """A line of their own; the audit log holds it encrypted, and an erasure of the customer makes it unreadable."""


def contacts_of(shop: Shop, customer_ids: Iterable[str]) -> dict[str, CustomerContacts]:
    """Names, addresses, numbers and the shop's own ids of customers, in clear, by customer_id.

    Unknown and erased customers are left out. To show somebody a customer use `masked_contacts` or `reveal_contacts`.
    Raises MasterKeyError.
    """
    return read_contacts(shop, customer_ids)


def prepare_contacts(shop: Shop) -> None:
    """Read what contacts are looked up by, so that the first reader need not wait; once a run."""
    known_user_tokens(shop)


def masked_contacts(shop: Shop, customer_ids: Iterable[str]) -> dict[str, CustomerContacts]:
    """The same, masked: what everybody who may read customers may see. Raises MasterKeyError."""
    return {customer_id: masked(one) for customer_id, one in read_contacts(shop, customer_ids).items()}


@operation(READ_CUSTOMERS, "GET /api/customers/{customer_id}/contacts")
def show_contacts(shop: Shop, customer_id: str) -> CustomerContacts:
    """Name, addresses, numbers and the shop's own ids of a customer, masked."""
    contacts = masked_contacts(shop, [customer_id]).get(customer_id)
    if contacts is None:
        raise unknown_customer(customer_id)
    return contacts


def masked_ids(shop: Shop, tokens: Sequence[str]) -> dict[str, str]:
    """The ids behind tokens, masked, by token; without those that were erased. Raises MasterKeyError."""
    values = Vault.open(shop).reveal(tokens)
    return {token: mask_id(value) for token, value in zip(tokens, values, strict=True) if value is not None}


@operation(REVEAL, "POST /api/customers/{customer_id}/reveal", audit=AuditAction.CONTACTS_REVEALED)
def show_contacts_in_clear(
    context: RequestContext, customer_id: str, reason: ReasonCode = "", note: ReasonNote = ""
) -> CustomerContacts:
    """Name, addresses, numbers and ids of a customer in clear; the audit log records who sees them, and why."""
    why = RevealReason(reason, note)
    return reveal_contacts(context.shop, customer_id, actor=context.actor, reason=why, now=context.now)


def reveal_contacts(
    shop: Shop, customer_id: str, *, actor: Actor, reason: RevealReason, now: datetime
) -> CustomerContacts:
    """Who a customer is, in clear; the audit log has who sees it, and why, before anybody does.

    Raises NotAllowed without the right, BadQuery without a reason where the settings ask for one, NotFound,
    MasterKeyError.
    """
    actor.require(REVEAL)
    _require_reason(shop, reason)
    contacts = read_contacts(shop, [customer_id]).get(customer_id)
    if contacts is None:
        raise unknown_customer(customer_id)
    details = {"customer_id": customer_id, "by": actor.name, "reason": reason.code}
    if reason.note.strip():
        details["note"] = _seal_note(shop, customer_id, reason.note.strip()[:MAX_CHARACTERS])
    with shop.store.begin() as connection:
        audit_log.append(shop, connection, AuditAction.CONTACTS_REVEALED, details, at=now)
    return contacts


def read_note(shop: Shop, details: Mapping[str, str]) -> str:
    """The line that somebody gave with a reason, from the details of the entry; empty without one, and once erased."""
    sealed = details.get("note", "")
    token, _, text = sealed.partition(" ")
    texts = Vault.open(shop).decrypt_under_tokens({token: b64decode(text)}, PLACE) if text else {}
    return texts.get(token, "")


def _require_reason(shop: Shop, reason: RevealReason) -> None:
    is_needed = shop.settings.access.needs_reveal_reason
    if reason.code not in REVEAL_REASONS and (reason.code or is_needed):
        todo = GIVE_ONE_OF(names=", ".join(REVEAL_REASONS))
        raise BadQuery(REVEAL_REASON_NEEDED, where="reason", todo=todo)


def _seal_note(shop: Shop, customer_id: str, note: str) -> str:
    """A note under the key of the customer's first user, with the token that it is under."""
    token = user_tokens(shop, [customer_id])[customer_id][0]
    [sealed] = Vault.open(shop).encrypt_under_tokens({token: note}, PLACE).values()
    return f"{token} {b64encode(sealed).decode()}"
