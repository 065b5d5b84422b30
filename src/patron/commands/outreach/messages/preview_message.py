"""A campaign's message as one real customer would get it; nothing is sent."""

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from patron.commands.customers.resolve_person import PersonIdentifier, find_person
from patron.commands.outreach.messages.message_batch import offer_variables
from patron.engage.providers.sms_segments import SmsLength, sms_length
from patron.engage.recipients import recipients
from patron.engage.templates.message_template import PREFERENCES_URL, UNSUBSCRIBE_URL, MessageTemplates
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import CUSTOMER_ID, Vault
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CANNOT_BE_WRITTEN, OTHER_FILE, RUN_FIRST
from patron.schema.customers.customer_contacts import mask_name
from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.outreach.channels import CHANNELS
from patron.schema.sentences import Sentence
from patron.storage.durable_files import write_durably
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.shop import Shop

IN_NO_RUN = Sentence("in_no_run", "the customer is in no run yet")

SAMPLE_TOKEN = "preview"  # noqa: S105 - a word that stands for a token
LOCAL = "http://127.0.0.1:8321"


@dataclass(frozen=True)
class MessagePreview:
    """A message as one customer would get it."""

    campaign: str
    language: str
    subject: str
    text: str
    html: str
    has_address: bool
    """Whether the customer has an address of the channel at all."""
    length: SmsLength | None
    """Of a text message: characters and segments; None for other channels."""
    variables: tuple[str, ...]
    """What the template may name, of which something must be known of each customer or have a default."""


def sample_links(shop: Shop) -> dict[str, str]:
    """Links to unsubscribe and to the topics, which lead nowhere."""
    base = shop.settings.channels.email.public_url or LOCAL
    return {UNSUBSCRIBE_URL: f"{base}/u/{SAMPLE_TOKEN}", PREFERENCES_URL: f"{base}/p/{SAMPLE_TOKEN}"}


def preview_message(
    context: RequestContext, campaign: str, customer: str, *, is_masked: bool = False
) -> MessagePreview:
    """Render a campaign for a customer, with its first offer where it has some; masked, what is known of them is not.

    The customer is named by the shop's own id or the opaque one; `by` is who looks. Raises NotFound, and BadTemplate
    for what is missing.
    """
    saved = CAMPAIGN.saved_in(context.shop.store, campaign).content
    person = _customer_id(context.shop, customer)
    channel = CHANNELS[saved.channel]
    [[recipient]] = recipients(context.shop, [person], address=channel.address_kind)
    templates = MessageTemplates.of(saved.template, context.shop.settings.shop.locale)
    template = templates.template_for(recipient.locale)
    offer = next((one for one in context.shop.policy.offers if one.id in saved.offers), None)
    local = context.now.astimezone(ZoneInfo(context.shop.settings.shop.time_zone))
    values = {**recipient.variables, **sample_links(context.shop)}
    if is_masked:
        values |= {"customer": {name: mask_name(text) for name, text in recipient.variables["customer"].items()}}
    message = template.render(values | ({"offer": offer_variables(offer, local)} if offer else {}))
    with context.shop.store.begin() as connection:
        details = {"campaign": saved.name, "customer_id": person}
        context.record(connection, AuditAction.MESSAGE_PREVIEWED, details)
    return MessagePreview(
        saved.name,
        template.language,
        subject=message.subject,
        text=message.text,
        html=message.html,
        has_address=bool(recipient.address),
        length=sms_length(message.text.strip()) if channel.has_segments else None,
        variables=tuple(sorted(template.variables)),
    )


def write_preview(preview: MessagePreview, path: Path) -> None:
    """Write the HTML, or the text, whole, to a file that only its owner can read. Raises WorkspaceError, NoSpace."""
    try:
        write_durably(path, (preview.html or preview.text).encode())
    except OSError as error:
        what = CANNOT_BE_WRITTEN(cause=error.strerror)
        raise WorkspaceError(what, where=str(path), todo=OTHER_FILE) from error


def _customer_id(shop: Shop, customer: str) -> str:
    if CUSTOMER_ID.fullmatch(customer):
        return customer
    person = find_person(shop, Vault.open(shop), PersonIdentifier(user_id=customer))
    snapshot = shop.snapshot() or shop.newest_snapshot()
    tokens = ", ".join(f"'{token}'" for token in person.tokens)
    rows = snapshot.query(
        f"select min(customer_id) as customer_id from identities where is_user and token in ({tokens})"
    )
    known_id = rows["customer_id"][0].as_py()
    if known_id is None:
        raise NotFound(IN_NO_RUN, where="--customer", todo=RUN_FIRST)
    return known_id
