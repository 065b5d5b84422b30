"""Correct what is known of a person, as they request: an event through collect, which the next run follows.

The vault and the events keep the earlier value in the past, as they keep every past event; what counts from now on is
the correction. An erasure takes both.
"""

import json
from dataclasses import asdict

from patron.collect.contact_tokens import contacts_of
from patron.commands.customers.person_events import write_person_events
from patron.commands.customers.resolve_person import PersonIdentifier, find_person
from patron.commands.privacy.privacy_requests import (
    EVENT_SOURCE,
    change_open_request,
    load_request,
    names_of_person,
    refusal,
    seal_content,
)
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.schema.access.audit_actions import AuditAction
from patron.schema.privacy.personal_keys import PLAIN
from patron.schema.privacy.privacy_requests import CONTACT_FIELDS, CORRECTABLE, MAX_CHARACTERS, MAX_VALUE_LENGTH
from patron.schema.sentences import Sentence

NOT_CORRECTION = Sentence("not_correction", "the request is not for a correction")
ENTER_CORRECTION = Sentence("enter_correction", "Enter a request for a correction.")
FIELD_NOT_CORRECTABLE = Sentence("field_not_correctable", "this field cannot be corrected here")
CHOOSE_ONE_OF = Sentence("choose_one_of", "Choose one of {names}.")
VALUE_OR_REASON = Sentence("value_or_reason", "the value or the reason is missing or too long")
ENTER_TRUE_VALUE = Sentence("enter_true_value", "Enter the true value, and why it is true.")
NOT_VALID_ADDRESS = Sentence("not_valid_address", "this is not a valid address or number")
ENTER_WHOLE_ADDRESS = Sentence("enter_whole_address", "Enter a whole e-mail address or telephone number.")
NO_ID_LEFT = Sentence("no_id_left", "the person has no id left to record it under")
CORRECT_IN_SHOP = Sentence("correct_in_shop", "Correct it in the shop's own system.")

RECTIFICATION = "rectification"
EVENT = "Identify"


def correct_personal_data(context: RequestContext, request_id: str, field: str, value: str, *, reason: str) -> None:
    """Write the true value of one field of the person of an open request; the request stays open.

    The audit log names the field and who corrected it, not the value. Raises BadPrivacyRequest, NotFound,
    WorkspaceBusy.
    """
    request = load_request(context.shop, request_id)
    value, reason = value.strip(), reason.strip()
    if request.kind != RECTIFICATION:
        raise refusal(NOT_CORRECTION, ENTER_CORRECTION)
    if field not in CORRECTABLE:
        raise refusal(FIELD_NOT_CORRECTABLE, CHOOSE_ONE_OF(names=", ".join(CORRECTABLE)))
    if not value or len(value) > MAX_VALUE_LENGTH or not reason:
        raise refusal(VALUE_OR_REASON, ENTER_TRUE_VALUE)
    if field in CONTACT_FIELDS and field not in contacts_of(json.dumps({field: value})):
        raise refusal(NOT_VALID_ADDRESS, ENTER_WHOLE_ADDRESS)
    person = find_person(context.shop, Vault.open(context.shop), PersonIdentifier(**request.identifier))
    corrections = (*request.content.corrections, f"{field}: {reason}"[:MAX_CHARACTERS])
    column = "traits" if field in PLAIN else "personal"
    rows = [
        {
            "event_id": f"correct-{request_id}-{len(corrections)}-{number}",
            "name": EVENT,
            "occurred_at": context.now,
            kind: name,
            column: json.dumps({field: value}),
        }
        for number, (kind, name) in enumerate(names_of_person(context.shop, person))
    ]
    if not rows:
        raise refusal(NO_ID_LEFT, CORRECT_IN_SHOP)
    write_person_events(context.shop, rows, source=EVENT_SOURCE, now=context.now)
    content = seal_content(context.shop, request_id, {**asdict(request.content), "corrections": corrections})
    with context.shop.store.begin() as connection:
        change_open_request(connection, request_id, {"content": content})
        details = {"request_id": request_id, "field": field}
        context.record(connection, AuditAction.PERSONAL_DATA_CORRECTED, details)
