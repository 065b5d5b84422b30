"""What a declared trait or property key says about a person, and so where its value may be kept."""

import re
from typing import Literal

from patron.schema.outreach.channels import ADDRESS_KINDS
from patron.schema.short_text_cache import cache_short_texts

Kind = Literal["plain", "sensitive", "identifying", "free_text", "unknown"]

PLAIN = (
    "income",
    "home_ownership",
    "household_size",
    "country",
    "region",
    "language",
    "time_zone",
    "timezone",
    "loyalty_tier",
    "registration_channel",
    "acquisition_channel",
)
"""Traits that stay in clear, so that features may use them; all others stay in the vault."""

SENSITIVE = frozenset(
    {
        "age",
        "gender",
        "sex",
        "birthday",
        "birth_date",
        "date_of_birth",
        "dob",
        "marital_status",
        "kids_count",
        "household_comp",
        "religion",
        "ethnicity",
        "race",
        "nationality",
        "health",
        "disability",
        "pregnancy",
        "sexual_orientation",
        "political_opinion",
        "trade_union",
        "biometric",
        "credit_score",
    }
)
"""Kept in the vault only; never a feature."""

IDENTIFYING = frozenset(
    {
        "email",
        "email_address",
        "e_mail",
        "mail",
        "phone",
        "phone_number",
        "telephone",
        "fax",
        "first_name",
        "last_name",
        "full_name",
        "middle_name",
        "surname",
        "username",
        "user_name",
        "nickname",
        "contact",
        "recipient",
        "address",
        "street",
        "city",
        "state",
        "postal_code",
        "postcode",
        "plz",
        "pin",
        "pincode",
        "pin_code",
        "cvv",
        "cvc",
        "otp",
        "tel",
        "ip",
        "ip_address",
        "latitude",
        "longitude",
        "lat",
        "lng",
        "lon",
        "geo",
        "coordinates",
        "location",
        "avatar",
        "photo",
        "passport",
        "id_number",
        "ssn",
        "tax_id",
        "iban",
        "bank_account",
        "card_number",
        "device_id",
        "advertising_id",
        "device_token",
        "user_id",
        "customer_id",
        "anonymous_id",
        "password",
        *(key for kind in ADDRESS_KINDS for key in (kind.name, *kind.aliases)),
    }
)
"""Names a person, or a device of one; kept in the vault only."""

IDENTIFYING_STEMS = re.compile(r"phone|(?:^|_)(?:gps|zip|mobile)")
SENSITIVE_STEMS = re.compile(r"pregnan|(?:^|_)(?:birth|dob|hiv)")
"""Parts of keys that say the same wherever they are: `home_phone_1`, `birth_year`, `is_pregnant`."""

FREE_TEXT = frozenset(
    {
        "query",
        "search",
        "search_term",
        "keyword",
        "keywords",
        "url",
        "href",
        "path",
        "referrer",
        "referer",
        "title",
        "review_body",
        "share_message",
        "message",
        "comment",
        "comments",
        "note",
        "notes",
        "body",
        "text",
        "description",
        "feedback",
        "question",
        "answer",
        "gift_message",
        "user_agent",
    }
)
"""People write what they like here; kept in the vault only."""

IDENTIFIERS = frozenset({"sku", "coupon", "purpose", "basis", "wording_version", "policy_version"})
"""Declared properties that name a thing, besides those that end in `_id`."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\s\-./]+")
_PREFIXES = ("customer_", "billing_", "shipping_", "delivery_", "contact_", "buyer_", "user_", "recipient_", "sender_")


def snake_case(name: str) -> str:
    """Write a key the catalogue's way: `firstName` and `First Name` are `first_name`."""
    return _SEPARATORS.sub("_", _CAMEL.sub("_", name.strip())).lower()


def kind_of_trait(name: str) -> Kind:
    """Class a declared trait; a trait nobody classed is unknown and goes to the vault."""
    key = snake_case(name)
    return "plain" if key in PLAIN else "unknown" if kind_of_property(key) == "plain" else kind_of_property(key)


@cache_short_texts(10_000)
def kind_of_property(name: str) -> Kind:
    """Class a property that is not in the catalogue; what names no person is plain."""
    key = snake_case(name)
    bare = next((key.removeprefix(prefix) for prefix in _PREFIXES if key.startswith(prefix)), key)
    for candidate in (key, bare):
        if candidate in IDENTIFYING or (candidate == "name" and key != "name"):
            return "identifying"
        if candidate in SENSITIVE:
            return "sensitive"
        if candidate in FREE_TEXT:
            return "free_text"
    if SENSITIVE_STEMS.search(key):
        return "sensitive"
    return "identifying" if key.endswith(("_email", "_address")) or IDENTIFYING_STEMS.search(key) else "plain"


def is_identifier(name: str) -> bool:
    """Whether a declared property names a thing of the shop's, so that the same thing is found by it elsewhere."""
    return name in IDENTIFIERS or name.endswith("_id")
