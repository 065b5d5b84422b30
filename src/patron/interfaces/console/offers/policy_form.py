"""The form of a policy: every value of policy.toml, as people write it, and the changes that a form asks for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from patron.interfaces.console.offers.policy_notation import OPTIONAL, read_value, write_value
from patron.interfaces.i18n.policy_texts import MONEY
from patron.schema.outreach.channels import CHANNELS
from patron.storage.offers.offer_policy import KEYS_OF_KINDS, NEEDED_KEYS, REASON_NAMES, Offer
from patron.storage.offers.policy import Policy
from patron.storage.outreach.message_policy import MessageCap
from patron.storage.toml_edit import Place

KINDS = ("discount", "coupon", "free_delivery", "points", "call")
"""Kinds of offers that the form can add: those whose cost is one number."""
FIRST = {
    "budget": (("budget", "amount"), ("budget", "period"), ("campaigns", "approval_free_below")),
    "limits": (("caps", "offers_per_customer"), ("caps", "within_days"), ("consent", "unknown")),
    "learning": (
        *(("holdout", "share"), ("exploration", "share"), ("tasks", "holdout_share")),
        *(("tasks", "window_days"), ("tasks", "task_cost_cents")),
    ),
}
"""What shops change most, by card; all else follows by section of the file."""
FIRST_OF_OFFERS = ("name", "is_active")
KEPT = ("id", "kind")
"""What decisions refer to: another one is another offer."""
LISTED: Mapping[str, tuple[str, ...]] = {"reasons": REASON_NAMES, "channels": tuple(CHANNELS)}
"""Names that a list is of, where its type does not say."""
FOR_KINDS: Mapping[str, str] = {
    **{key: kind for kind, keys in KEYS_OF_KINDS.items() for key in keys},
    "cost_per_order_cents": "free_delivery",
    "delivery_free_from": "free_delivery",
}
"""Keys of offers that are shown for one kind alone."""


@dataclass(frozen=True)
class FormField:
    """One value of the form."""

    place: Place
    kind: str
    """How it is written (`policy_notation`)."""
    value: str
    """As people write it: 10 for a share of 0.1, 3.50 for 350 cents, names with commas between them."""
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
    """What shops change most."""
    others: tuple[tuple[str, tuple[FormField, ...]], ...]
    """All else, by section of the file."""
    offers: tuple[tuple[Offer, tuple[FormField, ...]], ...]

    @property
    def fields(self) -> Iterator[FormField]:
        """All fields."""
        for _, fields in (*self.sections, *self.others, *self.offers):
            yield from fields


def policy_form(policy: Policy) -> PolicyForm:
    """The form with the values of a policy."""
    by_section = {name: tuple(_section_fields(policy, name)) for name in Policy.model_fields if name != "offers"}
    by_place = {field.place: field for fields in by_section.values() for field in fields}
    first = {place for places in FIRST.values() for place in places}
    others = ((name, tuple(one for one in fields if one.place not in first)) for name, fields in by_section.items())
    return PolicyForm(
        tuple((code, tuple(by_place[place] for place in places)) for code, places in FIRST.items()),
        tuple((name, fields) for name, fields in others if fields),
        tuple((one, tuple(_offer_fields(one, n))) for n, one in enumerate(policy.offers)),
    )


def _section_fields(policy: Policy, section: str) -> Iterator[FormField]:
    content = getattr(policy, section)
    if isinstance(content, BaseModel):
        for key, info in type(content).model_fields.items():
            yield _field((section, key), info, getattr(content, key))
        return
    for name, topic in content.items():
        yield FormField((section, name), "pairs", write_value("pairs", topic.model_dump(exclude_defaults=True)))


def _offer_fields(offer: Offer, number: int) -> Iterator[FormField]:
    """What people change most first, then what the offer takes off or credits, then all else."""
    main = NEEDED_KEYS.get(offer.kind, "")
    shown = [key for key in Offer.model_fields if key not in KEPT and FOR_KINDS.get(key, offer.kind) == offer.kind]
    shown.sort(key=lambda key: (key not in FIRST_OF_OFFERS, key != main, key not in FOR_KINDS))
    for key in shown:
        yield _field(("offers", number, key), Offer.model_fields[key], getattr(offer, key))


def _field(place: Place, info: FieldInfo, value: Any) -> FormField:
    kind, choices = _kind(str(place[-1]), info.annotation, info.metadata)
    return FormField(place, kind, write_value(kind, value), choices)


def _kind(key: str, annotation: Any, bounds: list[Any]) -> tuple[str, tuple[str, ...]]:
    """How people write a value, and what they choose from."""
    of, optional = _without_none(annotation)
    if get_origin(of) is Literal:
        return "choice", get_args(of)
    if get_origin(of) is dict:
        return "toml" if get_origin(get_args(of)[1]) is dict else "pairs", ()
    if get_origin(of) is tuple:
        return _kind_of_list(key, get_args(of)[0])
    if of is float:
        is_share = any(limit <= 1 for one in bounds for limit in (getattr(one, "le", 2), getattr(one, "lt", 2)))
        return "money" if key in MONEY else f"{optional}share" if is_share else "number", ()
    simple = {bool: "flag", str: "text", MessageCap: "limit", date: f"{optional}day", int: f"{optional}count"}
    return "cents" if key.endswith("_cents") else simple[of], ()


def _kind_of_list(key: str, of: Any) -> tuple[str, tuple[str, ...]]:
    names = LISTED.get(key) or (get_args(of) if get_origin(of) is Literal else ())
    return ("choices", names) if names else ("limits" if of is MessageCap else "list", ())


def _without_none(annotation: Any) -> tuple[Any, str]:
    """A type without None, and OPTIONAL where it allows that."""
    if get_origin(annotation) is not UnionType:
        return annotation, ""
    return next(one for one in get_args(annotation) if one is not type(None)), OPTIONAL


def requested_changes(policy: Policy, values: Mapping[str, str]) -> tuple[dict[Place, object], dict[str, str]]:
    """Values that differ from the policy's, and codes of what is wrong, by the name of the field."""
    changes, problems = dict[Place, object](), dict[str, str]()
    for field in policy_form(policy).fields:
        text = values.get(field.name, field.value).replace("\r\n", "\n").strip()
        if text == field.value.strip():
            continue
        try:
            changes[field.place] = read_value(field.kind, text)
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
                changes[*place, key] = read_value(of_kind, text)
        except ValueError:
            problems[name] = f"not_{of_kind}"
