"""The form of a policy: the values that shops change, as people write them, and the changes that a form asks for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from patron.storage.offers.offer_policy import NEEDED_KEYS, Offer
from patron.storage.offers.policy import Policy
from patron.storage.toml_edit import Place

NUMBER = re.compile(r"-?\d{1,15}([.,]\d{1,6})?")
KINDS = ("discount", "coupon", "free_delivery", "points", "call")
"""Kinds of offers that the form can add: those whose cost is one number."""
PERIODS = ("day", "week", "month", "quarter", "year")


@dataclass(frozen=True)
class FormField:
    """One value of the form."""

    place: Place
    kind: str
    """money, cents, share, count, optional_count, text, day, flag or choice."""
    value: str
    """As people write it: 10 for a share of 0.1, 3.50 for 350 cents."""
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name in the form, as messages about the policy have it."""
        return ".".join(str(part) for part in self.place)

    @property
    def key(self) -> str:
        """Last part of the place."""
        return str(self.place[-1])


@dataclass(frozen=True)
class PolicyForm:
    """Every field of the form."""

    sections: tuple[tuple[str, tuple[FormField, ...]], ...]
    offers: tuple[tuple[Offer, tuple[FormField, ...]], ...]

    @property
    def fields(self) -> Iterator[FormField]:
        """All fields."""
        for _, fields in (*self.sections, *self.offers):
            yield from fields


def policy_form(policy: Policy) -> PolicyForm:
    """The form with the values of a policy."""
    budget = policy.budget
    caps = policy.caps
    consent = policy.consent
    sections = (
        (
            "budget",
            (
                FormField(("budget", "amount"), "money", _amount(budget.amount)),
                FormField(("budget", "period"), "choice", budget.period, PERIODS),
                FormField(("campaigns", "approval_free_below"), "money", _amount(policy.campaigns.approval_free_below)),
            ),
        ),
        (
            "limits",
            (
                FormField(("caps", "offers_per_customer"), "count", str(caps.offers_per_customer)),
                FormField(("caps", "within_days"), "count", str(caps.within_days)),
                FormField(("consent", "unknown"), "choice", consent.unknown, ("refuse", "allow")),
            ),
        ),
        (
            "learning",
            (
                FormField(("holdout", "share"), "share", _percent(policy.holdout.share)),
                FormField(("exploration", "share"), "share", _percent(policy.exploration.share)),
                FormField(("tasks", "holdout_share"), "share", _percent(policy.tasks.holdout_share)),
                FormField(("tasks", "window_days"), "count", str(policy.tasks.window_days)),
                FormField(("tasks", "task_cost_cents"), "cents", _amount(policy.tasks.task_cost_cents / 100)),
            ),
        ),
    )
    return PolicyForm(sections, tuple((one, _offer_fields(one, n)) for n, one in enumerate(policy.offers)))


def _offer_fields(offer: Offer, number: int) -> tuple[FormField, ...]:
    place = ("offers", number)
    main = NEEDED_KEYS.get(offer.kind)
    fields = [
        FormField((*place, "name"), "text", offer.name),
        FormField((*place, "is_active"), "flag", "1" if offer.is_active else ""),
    ]
    if main and main != "contact_cost_cents":
        fields.append(_main_field(offer, main, place))
    if offer.kind == "free_delivery":
        fields.append(FormField((*place, "delivery_free_from"), "money", _amount(offer.delivery_free_from)))
    stock = "" if offer.stock is None else str(offer.stock)
    return (
        *fields,
        FormField((*place, "contact_cost_cents"), "cents", _amount(offer.contact_cost_cents / 100)),
        FormField((*place, "valid_days"), "count", str(offer.valid_days)),
        FormField((*place, "stock"), "optional_count", stock),
        FormField((*place, "available_from"), "day", str(offer.available_from or "")),
        FormField((*place, "available_until"), "day", str(offer.available_until or "")),
    )


def _main_field(offer: Offer, key: str, place: Place) -> FormField:
    """What the offer takes off or credits."""
    value = getattr(offer, key)
    if key.endswith("_share"):
        return FormField((*place, key), "share", _percent(value))
    kind = "cents" if key.endswith("_cents") else "money"
    return FormField((*place, key), kind, _amount(value / 100 if kind == "cents" else value))


def requested_changes(policy: Policy, values: Mapping[str, str]) -> tuple[dict[Place, object], dict[str, str]]:
    """Values that differ from the policy's, and codes of what is wrong, by the name of the field."""
    changes, problems = dict[Place, object](), dict[str, str]()
    for field in policy_form(policy).fields:
        text = values.get(field.name, "" if field.kind == "flag" else field.value).strip()
        if text == field.value:
            continue
        try:
            changes[field.place] = _parse(field, text)
        except ValueError:
            problems[field.name] = f"not_{field.kind}"
    if values.get("new.id", "").strip():
        _add_offer(len(policy.offers), values, changes, problems)
    return changes, problems


def _add_offer(number: int, values: Mapping[str, str], changes: dict[Place, object], problems: dict[str, str]) -> None:
    place = ("offers", number)
    kind = values.get("new.kind", "")
    changes |= {(*place, "id"): values["new.id"].strip(), (*place, "name"): values.get("new.name", "").strip()}
    changes[*place, "kind"] = kind
    main = NEEDED_KEYS.get(kind, "")
    unit = "share" if main.endswith("_share") else "cents" if main.endswith("_cents") else "money"
    fields = {
        "new.main": (main, unit),
        "new.contact": ("contact_cost_cents", "cents"),
        "new.days": ("valid_days", "count"),
    }
    fields["new.uplift"] = ("assumed_purchase_uplift", "share")
    for name, (key, of_kind) in fields.items():
        try:
            if key and (text := values.get(name, "").strip()):
                changes[*place, key] = _parse(FormField((*place, key), of_kind, ""), text)
        except ValueError:
            problems[name] = f"not_{of_kind}"


def _parse(field: FormField, text: str) -> Any:
    """The value of a text. Raises ValueError."""
    if field.kind in {"text", "choice", "flag"}:
        return bool(text) if field.kind == "flag" else text
    if not text and field.kind in {"day", "optional_count"}:
        return None
    return date.fromisoformat(text) if field.kind == "day" else _number(field.kind, text)


def _number(kind: str, text: str) -> float:
    if not NUMBER.fullmatch(text):
        raise ValueError(text)
    number = float(text.replace(",", "."))
    if kind in {"count", "optional_count"}:
        if not number.is_integer():
            raise ValueError(text)
        return int(number)
    if kind == "cents":
        return round(number * 100)
    return round(number / 100, 6) if kind == "share" else number


def _amount(value: float) -> str:
    return f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{share * 100:.4f}".rstrip("0").rstrip(".")
