"""What customers are called: names in the values that a shop sends, and the first and last name of a whole one.

A person's own name comes before that of a bill, and both before that of a delivery, which may be somebody else's.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from nameparser import Parser, locales, parser_for

from patron.govern.privacy.personal_data import text_of
from patron.schema.customers.customer_contacts import is_unspaced

KEYS = {
    "first_name": ("first_name", "firstname", "given_name"),
    "last_name": ("last_name", "lastname", "surname", "family_name"),
    "name": ("name", "full_name"),
}
"""Names of a customer, and the keys that shops send them under."""
CUSTOMER_PREFIXES = ("", "customer_", "billing_")
"""Before a key of the customer's own name; the first with a name counts."""
DELIVERY_PREFIXES = ("shipping_", "delivery_")
DELIVERY_NAME = "delivery_name"
"""Field of the whole name that an order is delivered to."""
MAX_CHARACTERS = 200
"""Of a name; what is longer is none."""
INVISIBLE = {"Cc", "Cf", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of characters that a name does not have: control, direction, breaks of lines."""
NOT_A_PERSON = re.compile(
    r"[@\d]|(?i:\b(?:gmbh|mbh|ltd|limited|llc|inc|corp|company|plc|sarl|srl|pty|school|university|hospital|hotel)\b)"
    r"|\b(?:AG|KG|OHG|UG|SA|SL|SpA|AB|OY|Oy|BV|NV|ApS)\b|\b(?i:s\.\s?a\.|s\.\s?l\.|e\.\s?k\.|e\.\s?v\.|co\.|c/o)"
    r"|公司|集团|有限|学校|大学|医院|酒店|株式会社"
)
"""What shows that a name is not one of a person: a company, an institution, an address."""
INITIAL = re.compile(r"\w\.?")
"""What nobody is greeted by."""
Fields = Mapping[str, tuple[str, float]]
"""Value of each field, and when it was current: seconds since 1970."""


@dataclass(frozen=True)
class CustomerName:
    """What a customer is called; what is not known is empty."""

    first: str = ""
    last: str = ""
    whole: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """What templates may name: customer.first_name, last_name and name, those that are known."""
        names = {"first_name": self.first, "last_name": self.last, "name": self.whole}
        return {name: text for name, text in names.items() if text}


def names_in(values: Mapping[str, object]) -> dict[str, str]:
    """Names in personal values by snake_case key, as fields of a contact card."""
    names = _names_under(values, CUSTOMER_PREFIXES)
    delivery = _names_under(values, DELIVERY_PREFIXES)
    whole = delivery.get("name") or full_name(delivery.get("first_name", ""), delivery.get("last_name", ""))
    return names | ({DELIVERY_NAME: whole} if whole else {})


def customer_name(fields: Fields) -> CustomerName:
    """Name of a customer by the fields of their card: the newest of their own, else that of a delivery."""
    (first, _), (last, _) = (fields.get(name, ("", 0.0)) for name in ("first_name", "last_name"))
    parts_at = max((fields[name][1] for name in ("first_name", "last_name") if name in fields), default=None)
    whole, whole_at = fields.get("name", ("", 0.0))
    if whole and (parts_at is None or whole_at > parts_at):
        name = split_name(whole)
        return name if name.first or parts_at is None else CustomerName(first, last, whole)
    if first or last:
        is_whole = bool(whole) and whole_at == parts_at
        return CustomerName(first, last, whole if is_whole else full_name(first, last))
    return split_name(fields.get(DELIVERY_NAME, ("", 0.0))[0])


def full_name(first: str, last: str) -> str:
    """First and last name, put together as their script writes it."""
    is_east_asian = any(map(is_unspaced, first + last))
    return f"{last}{first}" if is_east_asian else " ".join(filter(None, (first, last)))


def split_name(whole: str) -> CustomerName:
    """First and last name of a whole one: 王小明 is 小明 王, Grün, Nadia is Nadia Grün; a company has neither."""
    if not whole or NOT_A_PERSON.search(whole):
        return CustomerName(whole=whole)
    parsed = _parser().parse(whole)
    if is_unspaced(whole[0]) and not (parsed.given and parsed.family):
        return CustomerName(whole=whole)
    # why: forms are often filled in with one case, and "Hi ANNA" shouts
    named = parsed.capitalized() if whole.isupper() or whole.islower() else parsed
    first = "" if INITIAL.fullmatch(named.given) else named.given
    is_inverted = "," in whole and named.given and named.family
    return CustomerName(first, named.family, f"{named.given} {named.family}" if is_inverted else whole)


def _names_under(values: Mapping[str, object], prefixes: Iterable[str]) -> dict[str, str]:
    """Names of the first prefix with one."""
    for prefix in prefixes:
        texts = {name: _first_text(values, [prefix + key for key in keys]) for name, keys in KEYS.items()}
        if names := {name: text for name, text in texts.items() if text}:
            return names
    return {}


def _first_text(values: Mapping[str, object], keys: Iterable[str]) -> str:
    return next((text for key in keys if (text := _clean(text_of(values.get(key)) or ""))), "")


def _clean(text: str) -> str:
    """A name in one line without invisible characters; empty where it is longer than a name is."""
    if len(text) > MAX_CHARACTERS:
        return ""
    # why: a text may hold half a character, which nothing is encoded from
    text = unicodedata.normalize("NFC", text.encode(errors="replace").decode())
    shown = "".join(" " if one.isspace() else one for one in text if one.isspace() or _is_shown(one))
    return " ".join(shown.split())


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in INVISIBLE


@cache
def _parser() -> Parser:
    """Parser of Western names, and of Chinese ones without blanks."""
    return parser_for(locales.ZH)
