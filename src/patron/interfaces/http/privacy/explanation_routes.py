"""What the shop estimated of one customer and decided for them, in plain words that the shop can hand on to them."""

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel

from patron.answers.privacy.customer_explanation import customer_explanation
from patron.commands.customers.resolve_person import PersonIdentifier, find_identifier_tokens
from patron.interfaces.console.privacy.explanation_texts import explanation_sentences
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.access.customer_scope import require_visible_person
from patron.interfaces.http.privacy.privacy_routes import Person
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.schema.access.access_rights import Action, Area
from patron.storage.runs.last_run import last_run


class Explanation(BaseModel):
    """Sentences for the customer, by language."""

    as_of: datetime
    """Cutoff of the run that they are about."""
    sentences: dict[str, list[str]]
    """By language: en, zh-CN."""


router = APIRouter(prefix="/api/people", tags=["one person"], route_class=GuardedRoute)


@router.post("/explanation")
@needs(Action.EXPORT, Area.PRIVACY)
def explain_to_person(request: Request, person: Person) -> Explanation:
    """Why one customer got an offer or none, and what the shop expects of them, in words for the customer."""
    shop = request.app.state.answers.shop
    require_visible_person(request, PersonIdentifier(**person.identifier))
    tokens = find_identifier_tokens(shop, PersonIdentifier(**person.identifier))
    explained = customer_explanation(last_run(shop), tokens, person.customer_id)
    names = {offer.id: offer.name for offer in shop.policy.offers}
    sentences = {}
    for locale in LOCALES:
        texts = words(locale)
        formats = Formats(locale, shop.settings.shop.currency, shop.settings.shop.time_zone)
        sentences[texts.html_language] = list(explanation_sentences(explained, names, texts, formats))
    return Explanation(as_of=explained.as_of, sentences=sentences)
