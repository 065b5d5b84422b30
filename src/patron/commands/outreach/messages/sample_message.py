"""A message before anybody is to get it: a template rendered with names in the place of what is known of people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from patron.commands.outreach.messages.message_batch import offer_variables
from patron.commands.outreach.messages.preview_message import sample_links
from patron.engage.templates.message_template import MessageTemplate
from patron.storage.outreach.campaign_file import Template
from patron.storage.shop import Shop

FILLED = ("customer", "product")
"""What a template may name of whom and what it is about; the rest is known of the shop."""


@dataclass(frozen=True)
class SampleMessage:
    """A message to nobody."""

    subject: str
    text: str
    html: str
    """Empty for a message of text alone."""
    variables: tuple[str, ...]
    """What the template names, of which something must be known of each customer or have a default."""


def sample_message(shop: Shop, template: Template, *, language: str, offer: str = "", now: datetime) -> SampleMessage:
    """Render a template: customer.first_name reads [first_name]. Raises BadTemplate."""
    compiled = MessageTemplate.of(template, language)
    compiled.require_known_names()
    local = now.astimezone(ZoneInfo(shop.settings.shop.time_zone))
    chosen = next((one for one in shop.policy.offers if one.id == offer), None)
    values: dict[str, Any] = {"shop": {"name": shop.settings.shop.name}, **sample_links(shop)}
    values |= {"offer": offer_variables(chosen, local)} if chosen else {}
    message = compiled.render(values | _names(compiled.variables))
    return SampleMessage(message.subject, message.text, message.html, tuple(sorted(compiled.variables)))


def _names(variables: frozenset[str]) -> dict[str, Any]:
    values: dict[str, dict[str, str]] = {name: {} for name in FILLED}
    for variable in variables:
        name, _, leaf = variable.partition(".")
        if name in values and leaf:
            values[name][leaf] = f"[{leaf}]"
    return values
