"""Requests of people about their data: entered by a privacy officer, and worked off.

What identifies the person, and the words of the request, are sealed under the id of the request. They are deleted when
the person is erased, and when a request ends about whom nothing is known.
"""

import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.commands.customers.person_events import write_person_events
from patron.commands.customers.resolve_person import Person, PersonIdentifier, find_identifier_tokens, find_person
from patron.commands.privacy.export import archive_of, export_customer, rows_of_person
from patron.commands.privacy.forget import ErasureCertificate, forget
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.sealed_texts import seal, unseal
from patron.govern.privacy.consent_ledger import WITHDRAWN
from patron.govern.vault import CUSTOMER_ID, PREFIXES, Vault
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NO_REQUEST, OPEN_DESK, USE_ONE_OF
from patron.schema.errors import BadPrivacyRequest, NotFound
from patron.schema.privacy.privacy_requests import (
    EXTENDED_MONTHS,
    EXTENSIONS,
    KINDS,
    MAX_CHARACTERS,
    REJECTIONS,
    SOURCES,
    RequestContent,
    due_time,
)
from patron.schema.sentences import Sentence
from patron.storage.models.model_decisions import utc
from patron.storage.privacy.privacy_tables import PRIVACY_REQUESTS
from patron.storage.shop import Shop

REQUEST_CLOSED = Sentence("request_closed", "the request is closed")
ENTER_AGAIN = Sentence("enter_again", "Enter it again if it has to be worked on.")
KIND_NOT_LISTED = Sentence("kind_not_listed", "the kind or the source is not on the list")
IDENTIFIER_MISSING = Sentence("identifier_missing", "the identifier is missing, or a text is too long")
ENTER_IDENTIFIER = Sentence("enter_identifier", "Enter an e-mail address, phone or id.")
RECEIVED_IN_FUTURE = Sentence("received_in_future", "the day on which it was received is in the future")
ENTER_RECEIVED_DAY = Sentence("enter_received_day", "Enter the day on which it was received.")
NOT_ERASURE = Sentence("not_erasure", "the request is not for an erasure")
ENTER_ERASURE = Sentence("enter_erasure", "Enter a request for an erasure.")
NO_PURPOSE = Sentence("no_purpose", "no purpose was chosen")
CHOOSE_OBJECTION = Sentence("choose_objection", "Choose what the person objects to.")
PERSON_NOT_ERASED = Sentence("person_not_erased", "the person is known and not yet erased")
ERASE_OR_REJECT = Sentence("erase_or_reject", "Erase the person, or reject the request.")
NO_REASON = Sentence("no_reason", "no reason was chosen")
IDENTIFIER_UNKNOWN = Sentence("identifier_unknown", "nobody is known by this identifier")
SEARCH_OR_CLOSE = Sentence("search_or_close", "Search again, or close the request.")
EXTENDED_ALREADY = Sentence("extended_already", "the deadline was extended already")
ANSWER_BY_NEW = Sentence("answer_by_new", "Answer it by the new deadline; it cannot be extended again.")
DEADLINE_OVER = Sentence("deadline_over", "the deadline is over")
ANSWER_NOW = Sentence("answer_now", "Answer it now: an extension is possible in the first month only.")

EVENT_SOURCE = "patron-privacy-desk"
"""Source of the consent events."""
CHANNEL = "privacy_desk"
PHONE = re.compile(r"\+?[\d\s()/.-]{6,}")


@dataclass(frozen=True)
class ErasurePreview:
    """What an erasure would erase."""

    account_count: int
    device_count: int
    address_count: int
    """E-mail addresses and telephone numbers that nobody else has."""
    rows: Mapping[str, int]
    """Rows by table, the most first."""


@dataclass(frozen=True)
class OpenRequest:
    """A request that is worked off."""

    request_id: str
    kind: str
    customer_id: str | None
    content: RequestContent

    @property
    def identifier(self) -> dict[str, str]:
        """The identifier, as commands about a person take it. Raises BadPrivacyRequest where nobody is known."""
        if self.customer_id is None:
            raise refusal(IDENTIFIER_UNKNOWN, SEARCH_OR_CLOSE)
        return {self.content.how: self.content.identifier}


def open_request(
    context: RequestContext,
    kind: str,
    identifier: str,
    *,
    words: str = "",
    source: str = "email",
    received_at: datetime,
) -> str:
    """Enter a request, due one month after it was received; look for the person. Returns its id.

    Raises BadPrivacyRequest.
    """
    identifier, words = identifier.strip(), words.strip()
    if kind not in KINDS or source not in SOURCES:
        raise refusal(KIND_NOT_LISTED, USE_ONE_OF(names=", ".join((*KINDS, *SOURCES))))
    if not identifier or max(len(identifier) * 10, len(words)) > MAX_CHARACTERS:
        raise refusal(IDENTIFIER_MISSING, ENTER_IDENTIFIER)
    if received_at > context.now:
        raise refusal(RECEIVED_IN_FUTURE, ENTER_RECEIVED_DAY)
    request_id = secrets.token_hex(6)
    content, customer_id = _identify(context.shop, identifier)
    row = {
        "request_id": request_id,
        "kind": kind,
        "customer_id": customer_id,
        "content": seal_content(context.shop, request_id, {**asdict(content), "words": words}),
        "source": source,
        "state": "open",
        "received_at": received_at,
        "due_at": due_time(received_at),
        "created_by": context.by,
        "closed_by": "",
        "result": "",
    }
    with context.shop.store.begin() as connection:
        connection.execute(sa.insert(PRIVACY_REQUESTS).values(row))
        details = {"request_id": request_id, "kind": kind}
        context.record(connection, AuditAction.PRIVACY_REQUEST_RECEIVED, details)
    return request_id


def identify_again(shop: Shop, request_id: str) -> bool:
    """Look for the person of an open request again; whether somebody is known now."""
    request = load_request(shop, request_id)
    fresh, customer_id = _identify(shop, request.content.identifier)
    content = {**asdict(request.content), "how": fresh.how, "match": fresh.match}
    values = {"customer_id": customer_id, "content": seal_content(shop, request_id, content)}
    with shop.store.begin() as connection:
        change_open_request(connection, request_id, values)
    return customer_id is not None


def export_archive(context: RequestContext, request_id: str) -> bytes:
    """Everything that is known of the person as a ZIP archive; the audit log records it.

    Raises BadPrivacyRequest, NotFound, WorkspaceBusy.
    """
    request = load_request(context.shop, request_id)
    return archive_of(export_customer(context, **request.identifier))


def preview_erasure(shop: Shop, request_id: str) -> ErasurePreview:
    """What the erasure of the person would erase from tables. Raises BadPrivacyRequest, NotFound."""
    request = load_request(shop, request_id)
    person = find_person(shop, Vault.open(shop), PersonIdentifier(**request.identifier))
    rows = rows_of_person(shop, shop.snapshot() or shop.newest_snapshot(), person)
    counts = {name: len(listed) for name, listed in rows.items() if listed}
    return ErasurePreview(
        person.token_count("user_id"),
        person.token_count("anonymous_id"),
        person.token_count("email") + person.token_count("phone"),
        dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))),
    )


def erase_person(context: RequestContext, request_id: str) -> ErasureCertificate:
    """Erase the person of a request, which ends with the certificate; repeatable until it has ended.

    Raises BadPrivacyRequest for a request of another kind, and as `forget` does.
    """
    request = load_request(context.shop, request_id)
    if request.kind != "erasure":
        raise refusal(NOT_ERASURE, ENTER_ERASURE)
    certificate = forget(context, **request.identifier)
    if certificate.files_left:
        content = seal_content(context.shop, request_id, {"files_left": certificate.files_left})
        with context.shop.store.begin() as connection:
            connection.execute(_chosen(request_id).values(content=content))
    return certificate


def confirm_files(context: RequestContext, request_id: str) -> None:
    """Confirm that the files which an erasure left were looked at; their names are deleted."""
    with context.shop.store.begin() as connection:
        connection.execute(_chosen(request_id).where(PRIVACY_REQUESTS.c.state == "done").values(content=None))
        details = {"request_id": request_id}
        context.record(connection, AuditAction.FILES_OF_AN_ERASURE_CHECKED, details)


def withdraw_consents(context: RequestContext, request_id: str, purposes: Collection[str]) -> None:
    """End the processing for some purposes, as the person requests: entries of the consent ledger; closes the request.

    Raises BadPrivacyRequest, NotFound, WorkspaceBusy.
    """
    request = load_request(context.shop, request_id)
    if not purposes:
        raise refusal(NO_PURPOSE, CHOOSE_OBJECTION)
    person = find_person(context.shop, Vault.open(context.shop), PersonIdentifier(**request.identifier))
    rows = [
        {
            "event_id": f"privacy-{request_id}-{purpose}-{number}"[:64],
            "name": WITHDRAWN,
            "occurred_at": context.now,
            kind: value,
            "channel": CHANNEL,
            "properties": json.dumps({"purpose": purpose}),
        }
        for purpose in sorted(purposes)
        for number, (kind, value) in enumerate(names_of_person(context.shop, person))
    ]
    write_person_events(context.shop, rows, source=EVENT_SOURCE, now=context.now)
    _close(context, request, "done", ",".join(sorted(purposes)))


def close_request(context: RequestContext, request_id: str, *, note: str = "") -> None:
    """Close a request that was answered, or about whom nothing is known. Raises BadPrivacyRequest for an erasure."""
    request = load_request(context.shop, request_id)
    if request.kind == "erasure" and request.customer_id is not None:
        raise refusal(PERSON_NOT_ERASED, ERASE_OR_REJECT)
    result = request.content.match if request.customer_id is None else "answered"
    _close(context, request, "done", result, note=note)


def reject_request(context: RequestContext, request_id: str, reason: str, *, note: str = "") -> None:
    """Reject a request, for a reason of the list. Raises BadPrivacyRequest."""
    if reason not in REJECTIONS:
        raise refusal(NO_REASON, USE_ONE_OF(names=", ".join(REJECTIONS)))
    _close(context, load_request(context.shop, request_id), "rejected", reason, note=note)


def extend_deadline(context: RequestContext, request_id: str, reason: str) -> datetime:
    """Extend the deadline of an open request by two months, once and before it is over (GDPR article 12(3)).

    The person must be told within the first month. Returns the new deadline. Raises BadPrivacyRequest, NotFound.
    """
    if reason not in EXTENSIONS:
        raise refusal(NO_REASON, USE_ONE_OF(names=", ".join(EXTENSIONS)))
    load_request(context.shop, request_id)
    table = PRIVACY_REQUESTS.c
    with context.shop.store.begin() as connection:
        row = connection.execute(
            sa.select(table.received_at, table.extension).where(table.request_id == request_id)
        ).one()
        received_at = utc(row.received_at)
        if row.extension:
            raise refusal(EXTENDED_ALREADY, ANSWER_BY_NEW)
        if context.now > due_time(received_at):
            raise refusal(DEADLINE_OVER, ANSWER_NOW)
        due_at = due_time(received_at, EXTENDED_MONTHS)
        connection.execute(_chosen(request_id).values(due_at=due_at, extension=reason))
        details = {"request_id": request_id, "result": reason}
        context.record(connection, AuditAction.PRIVACY_REQUEST_EXTENDED, details)
    return due_at


def find_customer_id(shop: Shop, identifier: str) -> str | None:
    """Opaque id of whoever an identifier of any kind names; None for nobody."""
    return _identify(shop, identifier.strip())[1]


def _close(context: RequestContext, request: OpenRequest, state: str, result: str, *, note: str = "") -> None:
    content = None
    if request.customer_id is not None:  # why: of whom nothing is known, nothing is kept
        note = note.strip()[:MAX_CHARACTERS]
        content = seal_content(context.shop, request.request_id, {**asdict(request.content), "note": note})
    values = {"state": state, "result": result, "closed_at": context.now, "closed_by": context.by, "content": content}
    with context.shop.store.begin() as connection:
        change_open_request(connection, request.request_id, values)
        details = {"request_id": request.request_id, "kind": request.kind, "result": result}
        context.record(connection, AuditAction(f"privacy request {state}"), details)


def load_request(shop: Shop, request_id: str) -> OpenRequest:
    """A request that is worked off. Raises NotFound, and BadPrivacyRequest for a closed one."""
    chosen = sa.select(PRIVACY_REQUESTS).where(PRIVACY_REQUESTS.c.request_id == request_id)
    with shop.store.begin() as connection:
        row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound(NO_REQUEST, where=request_id, todo=OPEN_DESK)
    if row["state"] != "open" or row["content"] is None:
        raise _closed_problem()
    content = RequestContent.of(json.loads(unseal(shop, request_id, row["content"])))
    return OpenRequest(request_id, row["kind"], row["customer_id"], content)


def _identify(shop: Shop, identifier: str) -> tuple[RequestContent, str | None]:
    """How an identifier names somebody, and whom; a person who was erased is nobody's customer."""
    vault = Vault.open(shop)
    for how in _ways(identifier):
        name = PersonIdentifier(**{how: identifier})
        if how != "customer_id" and not find_identifier_tokens(shop, name):
            continue
        try:
            person = find_person(shop, vault, name)
        except NotFound:
            continue
        if vault.forgotten.issuperset(person.tokens):
            return RequestContent(how, identifier, match="erased"), None
        return RequestContent(how, identifier, match="customer"), person.customer_id
    return RequestContent(next(_ways(identifier)), identifier, match="nobody"), None


def _ways(identifier: str) -> Iterator[str]:
    """What kinds of identifiers a text may be, the likeliest first."""
    if "@" in identifier:
        yield "email"
    yield "user_id"
    if PHONE.fullmatch(identifier):
        yield "phone"
    if CUSTOMER_ID.fullmatch(identifier):
        yield "customer_id"
    yield "anonymous_id"


def names_of_person(shop: Shop, person: Person) -> list[tuple[str, str]]:
    """Every user id of a person, or every device of one who has none, as events name them."""
    for kind in ("user_id", "anonymous_id"):
        tokens = [token for token in person.tokens if token.startswith(PREFIXES[kind])]
        names = [(kind, value) for value in Vault.open(shop).reveal(tokens) if value is not None]
        if names:
            return names
    return []


def _chosen(request_id: str) -> sa.Update:
    return sa.update(PRIVACY_REQUESTS).where(PRIVACY_REQUESTS.c.request_id == request_id)


def change_open_request(connection: sa.Connection, request_id: str, values: Mapping[str, Any]) -> None:
    """Change a request unless it was closed, or emptied by an erasure, meanwhile. Raises BadPrivacyRequest."""
    still_open = _chosen(request_id).where(PRIVACY_REQUESTS.c.state == "open")
    if not connection.execute(still_open.values(**values)).rowcount:
        raise _closed_problem()


def seal_content(shop: Shop, request_id: str, content: Mapping[str, Any]) -> bytes:
    """What a request says, as it is stored."""
    return seal(shop, request_id, json.dumps(content, ensure_ascii=False))


def _closed_problem() -> BadPrivacyRequest:
    return refusal(REQUEST_CLOSED, ENTER_AGAIN)


def refusal(what: str, todo: str) -> BadPrivacyRequest:
    """Refusal of a step of a request."""
    return BadPrivacyRequest(what, where="privacy request", todo=todo)
