"""Which personal values are the e-mail address or telephone number of the user or visitor who sent them."""

from collections.abc import Iterator

import msgspec

from patron.govern.privacy.personal_data import text_of
from patron.schema.privacy.personal_keys import snake_case

KEYS = {
    "email": ("email", "email_address", "e_mail", "mail"),
    "phone": ("phone", "phone_number", "mobile", "mobile_number", "telephone"),
}
"""Kinds of tokens, and the keys whose values they are made from, the surest first."""
CUSTOMER_PREFIXES = ("customer_", "user_", "buyer_", "billing_")
"""What may stand before a key; an address to deliver to is often somebody else's."""


def contacts_in(personal: str) -> Iterator[tuple[str, str]]:
    """Kind and value of each contact in the vault's JSON of personal values."""
    values = msgspec.json.decode(personal)
    for key, value in values.items() if isinstance(values, dict) else ():
        name = snake_case(key)
        bare = next((name.removeprefix(prefix) for prefix in CUSTOMER_PREFIXES if name.startswith(prefix)), name)
        text = None if isinstance(value, dict | list) else text_of(value)
        for kind, keys in KEYS.items():
            if text and bare in keys:
                yield kind, text
