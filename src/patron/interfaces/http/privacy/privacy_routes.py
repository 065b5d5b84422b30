"""Privacy for programs: export, erasure and explanation of one person; requests, consents, the register."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from patron.answers.privacy.consent_trail import MAX_EXPORTED, list_consents, verify_consents
from patron.answers.privacy.customer_explanation import customer_explanation
from patron.answers.privacy.privacy_desk import (
    PrivacyRequestPage,
    erasure_certificate,
    privacy_desk,
    privacy_request,
    request_page,
    request_rows,
)
from patron.answers.privacy.processing_register import processing_register
from patron.commands.access.record_list_export import record_list_export
from patron.commands.customers.resolve_person import (
    NamedPerson,
    PersonIdentifier,
    find_identifier_tokens,
    require_visible_person,
)
from patron.commands.privacy.export import export_person
from patron.commands.privacy.forget import forget_person
from patron.interfaces.console.privacy.explanation_texts import explanation_sentences
from patron.interfaces.http.access.access_control import actor_of, context_of, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.csv_answers import csv_answer
from patron.interfaces.http.operation_routes import operation_routes
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList
from patron.schema.list_pages import CursorText, Limit, PageNumber
from patron.storage.runs.last_run import last_run

router = operation_routes(
    forget_person,
    export_person,
    privacy_request,
    erasure_certificate,
    list_consents,
    verify_consents,
    processing_register,
)


class Explanation(BaseModel):
    """Sentences for the customer, by language."""

    as_of: datetime
    """Cutoff of the run that they are about."""
    sentences: dict[str, list[str]]
    """By language: en, zh-CN."""


@router.post("/api/people/explanation")
@needs(Action.EXPORT, Area.PRIVACY)
def explain_to_person(request: Request, person: NamedPerson) -> Explanation:
    """Why one customer got an offer or none, and what the shop expects of them, in words for the customer."""
    shop = request.app.state.answers.shop
    identifier = PersonIdentifier(**person.identifier)
    require_visible_person(context_of(request), identifier)
    tokens = find_identifier_tokens(shop, identifier)
    explained = customer_explanation(last_run(shop), tokens, person.customer_id)
    names = {offer.id: offer.name for offer in shop.policy.offers}
    sentences = {}
    for locale in LOCALES:
        texts = words(locale)
        formats = Formats(locale, shop.settings.shop.currency, shop.settings.shop.time_zone)
        sentences[texts.html_language] = list(explanation_sentences(explained, names, texts, formats))
    return Explanation(as_of=explained.as_of, sentences=sentences)


@router.get("/api/privacy/requests", response_model=PrivacyRequestPage)
@needs(Action.READ, Area.PRIVACY)
def requests(
    request: Request,
    state: Literal["open", "closed"] = "open",
    page: PageNumber = 1,
    cursor: CursorText = "",
    limit: Limit = None,
    format: Literal["json", "csv"] = "json",  # noqa: A002 - the name in the address
) -> PrivacyRequestPage | Response:
    """Requests of people about their data: open ones by their deadline, closed ones the newest first; as CSV all."""
    shop, now = answers_of(request).shop, datetime.now(UTC)
    if format == "json":
        return request_page(shop, state, page, cursor, limit, now=now)
    actor_of(request).require(Right(Action.EXPORT, Area.PRIVACY))
    desk = privacy_desk(shop, state=state, length=MAX_EXPORTED, now=now)
    rows = list(request_rows(desk))
    record_list_export(context_of(request), ExportedList.PRIVACY_REQUESTS, row_count=len(rows) - 1, query=state)
    return csv_answer(rows, "privacy-requests.csv")
