"""Who a customer is: name, contacts and the shop's own ids, and how each is masked for who may not see it."""

import unicodedata
from dataclasses import dataclass, replace

from patron.schema.common_sentences import NO_CUSTOMER
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence

SEARCH_LIST = Sentence("search_list", "Search the list, or look up the shop's customer id.")

REVEAL_REASONS = ("order", "call", "complaint", "delivery", "privacy_request", "fraud", "other")
"""Why somebody sees who a customer is."""
DOT = "•"
MAX_DOTS = 4
MIN_ID_LENGTH = 5
"""Characters of an id of which the last two are shown: two of fewer would be half of it."""
EAST_ASIAN = (
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7AF),  # hangul
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Characters that are written without blanks between words."""


@dataclass(frozen=True)
class CustomerContacts:
    """Who a customer is; what is not known is empty."""

    customer_id: str
    name: str = ""
    emails: tuple[str, ...] = ()
    """The latest first."""
    phones: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    """The shop's own ids of the customer."""
    is_masked: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return not (self.name or self.emails or self.phones or self.user_ids)


def unknown_customer(customer_id: str) -> NotFound:
    """Refusal for a customer whom nobody knows, and for one whom the reader may not see."""
    return NotFound(
        NO_CUSTOMER,
        where=customer_id[:64],
        todo=SEARCH_LIST,
    )


def masked(contacts: CustomerContacts) -> CustomerContacts:
    """Contacts that keep how they look and reveal nobody."""
    return replace(
        contacts,
        name=mask_name(contacts.name),
        emails=tuple(map(mask_email, contacts.emails)),
        phones=tuple(map(mask_phone, contacts.phones)),
        user_ids=tuple(map(mask_id, contacts.user_ids)),
        is_masked=True,
    )


def mask_name(name: str) -> str:
    """Nadia Grün is N•••• G•••, and 王小明 is 王••."""
    return " ".join(map(_mask_word, unicodedata.normalize("NFC", name).split()))


def mask_email(email: str) -> str:
    """nadia@gruen.com is n••••@g••••.com."""
    local, _, domain = email.strip().rpartition("@")
    host, _, ending = domain.rpartition(".")
    return f"{_mask_word(local)}@{_mask_word(host)}.{ending}" if local and host else DOT * MAX_DOTS


def mask_phone(phone: str) -> str:
    """+49 30 123467 is •••• 67."""
    digits = [one for one in phone if one.isdigit()]
    return f"{DOT * MAX_DOTS} {''.join(digits[-2:])}" if len(digits) >= MIN_ID_LENGTH else DOT * MAX_DOTS


def mask_id(value: str) -> str:
    """One of the shop's own ids: C-10583 is ••••83."""
    return DOT * MAX_DOTS + (value[-2:] if len(value) >= MIN_ID_LENGTH and "@" not in value else "")


def is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script that writes no blanks between words."""
    return any(low <= ord(character) <= high for low, high in EAST_ASIAN)


def _mask_word(word: str) -> str:
    if len(word) <= 1:
        return DOT
    if is_unspaced(word[0]):
        return word[0] + DOT * 2
    return word[0] + DOT * min(len(word) - 1, MAX_DOTS) if len(word) > 2 else word[0] + DOT * 3
