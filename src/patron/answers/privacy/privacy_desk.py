"""The privacy desk as officers read it: requests by their deadline, one of them, and the certificate of an erasure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.answers.privacy.consent_trail import READ_PRIVACY
from patron.govern.access.operations import operation
from patron.govern.customers.sealed_texts import unseal
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NO_REQUEST, OPEN_DESK
from patron.schema.errors import NotFound
from patron.schema.list_pages import Cursor, microseconds_of, time_of
from patron.schema.privacy.privacy_requests import RequestContent
from patron.schema.sentences import Sentence
from patron.storage.models.model_decisions import utc
from patron.storage.privacy.privacy_tables import PRIVACY_REQUESTS
from patron.storage.shop import Shop
from patron.storage.store.store import AUDIT

NO_ERASURE = Sentence("no_erasure", "this request did not end with an erasure")
OPEN_REQUEST = Sentence("open_request", "Open the request.")

OPEN, CLOSED = "open", "closed"
STATES = (OPEN, CLOSED)
PAGE_LENGTH = 50
CERTIFICATE_ID = re.compile("[0-9a-f]{16}")
MASK = "\N{BULLET}\N{BULLET}\N{BULLET}"
HEADER = ("request_id", "kind", "state", "result", "source", "received_at", "due_at", "closed_at", "closed_by")


@dataclass(frozen=True)
class PrivacyRequest:
    """A request, without what identifies its person."""

    request_id: str
    kind: str
    customer_id: str | None
    """Whom it is about; None for nobody that is known, and once the person was erased."""
    source: str
    state: str
    """open, done or rejected."""
    result: str
    """Of a closed one: id of a certificate, purposes that were withdrawn, or a code."""
    received_at: datetime
    due_at: datetime
    is_overdue: bool
    created_by: str
    closed_at: datetime | None
    closed_by: str
    masked_identifier: str
    """Empty once it was deleted."""
    extension: str
    """Why it is due two months later; empty where it is not."""
    has_certificate: bool
    """Whether it ended with the erasure of its person."""


@dataclass(frozen=True)
class PrivacyDesk:
    """Some requests: open ones by their deadline, closed ones the newest first."""

    state: str
    requests: tuple[PrivacyRequest, ...]
    open_count: int
    overdue_count: int
    page: int
    """As it was asked for."""
    has_more: bool


@dataclass(frozen=True)
class PrivacyRequestPage(PrivacyDesk):
    """Some requests, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


@dataclass(frozen=True)
class Certificate:
    """Proof of an erasure, from the audit log."""

    certificate_id: str
    forgotten_at: datetime
    erased: Mapping[str, int]
    """How much was erased, by place."""
    by: str
    audit_entry: int
    audit_hash: str


def privacy_desk(
    shop: Shop,
    *,
    state: str = OPEN,
    page: int = 1,
    length: int = PAGE_LENGTH,
    after: tuple[datetime, str] | None = None,
    now: datetime,
) -> PrivacyDesk:
    """Requests of a state; `after` is time and id of the last one of the page before, instead of a page."""
    table = PRIVACY_REQUESTS.c
    is_open = table.state == OPEN
    of_state, time = (is_open, table.due_at) if state == OPEN else (~is_open, table.closed_at)
    order = (time if state == OPEN else time.desc(), table.request_id)
    chosen, start = sa.select(PRIVACY_REQUESTS).where(of_state), (page - 1) * length
    if after:
        is_later = time > after[0] if state == OPEN else time < after[0]
        chosen, start = chosen.where(is_later | ((time == after[0]) & (table.request_id > after[1]))), 0
    paged = chosen.order_by(*order).offset(start).limit(length + 1)
    counted = sa.select(sa.func.count()).select_from(PRIVACY_REQUESTS).where(is_open)
    with shop.store.begin() as connection:
        rows = connection.execute(paged).mappings().all()
        open_count = connection.scalar(counted) or 0
        overdue_count = connection.scalar(counted.where(table.due_at < now)) or 0
    requests = tuple(_request_of(shop, row, now) for row in rows[:length])
    state = CLOSED if state != OPEN else OPEN
    return PrivacyDesk(
        state, requests, open_count=open_count, overdue_count=overdue_count, page=page, has_more=len(rows) > length
    )


def request_page(
    shop: Shop, state: str, page: int = 1, cursor: str = "", limit: int | None = None, *, now: datetime
) -> PrivacyRequestPage:
    """A page of the requests of a state, by its number or from a cursor on. Raises BadQuery."""
    after, name = None, f"privacy requests {state}"
    if cursor:
        at, request_id = Cursor.in_list(cursor, name, int, str).place
        after = (time_of(at), request_id)
    desk = privacy_desk(shop, state=state, page=page, length=limit or PAGE_LENGTH, after=after, now=now)
    following = str(Cursor(name, _place_of(desk.requests[-1]))) if desk.has_more else None
    return PrivacyRequestPage(**vars(desk), next_cursor=following)


def _place_of(one: PrivacyRequest) -> tuple[int, str]:
    """Where a request is in the order of its state: by its deadline, or by when it was closed."""
    return (microseconds_of(one.due_at if one.state == OPEN else one.closed_at or one.due_at), one.request_id)


@operation(READ_PRIVACY, "GET /api/privacy/requests/{request_id}")
def privacy_request(shop: Shop, request_id: str, *, now: datetime) -> PrivacyRequest:
    """One request."""
    return _request_of(shop, _row(shop, request_id), now)


def request_content(shop: Shop, request_id: str) -> RequestContent:
    """What a request says, in clear: for who works on it. Empty once it was deleted. Raises NotFound."""
    return _content(shop, _row(shop, request_id))


@operation(READ_PRIVACY, "GET /api/privacy/requests/{request_id}/certificate")
def erasure_certificate(shop: Shop, request_id: str) -> Certificate:
    """The certificate of an erasure, from the audit log."""
    row = _row(shop, request_id)
    certificate_id = row["result"]
    chosen = (
        sa.select(AUDIT)
        .where(AUDIT.c.action == AuditAction.FORGOTTEN)
        .where(AUDIT.c.details.contains(f'"certificate_id": {json.dumps(certificate_id)}', autoescape=True))
    )
    with shop.store.begin() as connection:
        entry = connection.execute(chosen.order_by(AUDIT.c.entry.desc()).limit(1)).mappings().first()
    if not certificate_id or entry is None:
        raise NotFound(NO_ERASURE, where=request_id, todo=OPEN_REQUEST)
    details = json.loads(entry["details"])
    at = datetime.fromisoformat(entry["at"])
    return Certificate(
        certificate_id,
        at,
        erased=details["erased"],
        by=details.get("by", ""),
        audit_entry=entry["entry"],
        audit_hash=entry["hash"],
    )


def request_rows(desk: PrivacyDesk) -> Iterator[tuple[str, ...]]:
    """The requests as rows of a CSV file, the header first; nobody is named in it."""
    yield HEADER
    for request in desk.requests:
        times = tuple(
            time.isoformat() if time else "" for time in (request.received_at, request.due_at, request.closed_at)
        )
        yield (
            request.request_id,
            request.kind,
            request.state,
            request.result,
            request.source,
            *times,
            request.closed_by,
        )


def mask_identifier(identifier: str) -> str:
    """The first character of an identifier, of an address that of its host too."""
    name, at, host = identifier.partition("@")
    return f"{name[:1]}{MASK}" + (f"@{host[:1]}{MASK}" if at else "")


def _row(shop: Shop, request_id: str) -> sa.RowMapping:
    chosen = sa.select(PRIVACY_REQUESTS).where(PRIVACY_REQUESTS.c.request_id == request_id)
    with shop.store.begin() as connection:
        row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound(NO_REQUEST, where=request_id, todo=OPEN_DESK)
    return row


def _content(shop: Shop, row: sa.RowMapping) -> RequestContent:
    if row["content"] is None:
        return RequestContent()
    return RequestContent.of(json.loads(unseal(shop, row["request_id"], row["content"])))


def _request_of(shop: Shop, row: sa.RowMapping, now: datetime) -> PrivacyRequest:
    content = _content(shop, row)
    values: dict[str, Any] = {
        name: row[name]
        for name in (
            "request_id",
            "kind",
            "customer_id",
            "source",
            "state",
            "result",
            "created_by",
            "closed_by",
            "extension",
        )
    }
    due_at, closed_at = utc(row["due_at"]), row["closed_at"]
    return PrivacyRequest(
        **values,
        received_at=utc(row["received_at"]),
        due_at=due_at,
        is_overdue=row["state"] == OPEN and due_at < now,
        closed_at=utc(closed_at) if closed_at else None,
        masked_identifier=mask_identifier(content.identifier) if content.identifier else "",
        has_certificate=row["state"] == "done" and CERTIFICATE_ID.fullmatch(row["result"]) is not None,
    )
