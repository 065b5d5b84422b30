"""What an entry of the audit log says, in words."""

from collections.abc import Iterable, Mapping
from typing import Any

from patron.interfaces.i18n.translations import Words

CUSTOMER, OPAQUE_ID_SHOWN = "customer_id", 12
HREFS = {
    "customer_id": "/customers/{}",
    "request_id": "/privacy/requests/{}",
    "proposal_id": "/offers/proposals/{}",
}
"""Details that have a page."""
FAMILIES = {
    "kind": ("privacy_kind",),
    "result": ("privacy_rejection", "privacy_result", "privacy_extension"),
    "roles": ("role",),
    "grants": ("grant",),
    "field": ("correctable",),
    "parts": ("digest_part",),
    "rhythm": ("digest_rhythm",),
    "list": ("exported_list",),
    "factors": ("sign_in_step",),
    "step": ("sign_in_step",),
}
"""Details that are codes, and where their names are."""


def action_name(action: str, texts: Words) -> str:
    """Name of an action; one without a text is made readable."""
    return texts.code("audit_action", action.replace(" ", "_"))


def audit_options(actions: Iterable[str], texts: Words) -> list[tuple[str, str]]:
    """Options of a select: all actions, and each of the log, by name."""
    named = sorted(((action, action_name(action, texts)) for action in actions), key=lambda one: one[1])
    return [("", texts("customers.all")), *named]


def detail_rows(details: Mapping[str, Any], texts: Words) -> list[tuple[str, str, str]]:
    """Details as label, text and address, which is empty where there is no page."""
    return [
        (texts.code("audit_detail", name), _text(name, value, texts), HREFS.get(name, "").format(value))
        for name, value in details.items()
        if value not in ("", None, [])
    ]


def bare_actor(actor: str) -> str:
    """The person's name of an actor as steps write it."""
    return actor.rpartition(" (user ")[0] or actor


def _text(name: str, value: Any, texts: Words) -> str:
    if isinstance(value, bool):
        return texts("policy_value.yes" if value else "policy_value.no")
    if isinstance(value, dict):
        return texts("audit.things_erased", count=f"{sum(one for one in value.values() if isinstance(one, int)):,}")
    if isinstance(value, list):
        return texts("list.joint").join(_text(name, one, texts) for one in value)
    for family in FAMILIES.get(name, ()):
        text = texts.texts.get(f"{family}.{value}")
        if isinstance(text, str):
            return text
    return str(value)[:OPAQUE_ID_SHOWN] if name == CUSTOMER else str(value)
