"""Names by which templates call what is known of a customer, whatever the shop sends it as."""

from patron.schema.personal_keys import PLAIN

NAMES = {
    "first_name": ("first_name", "firstname", "given_name"),
    "last_name": ("last_name", "lastname", "surname", "family_name"),
    "name": ("name", "full_name"),
    "city": ("city",),
    "company": ("company",),
}
"""What a template may call customer.first_name ..., and the keys that shops send it under."""
OF_CUSTOMERS = (*NAMES, *PLAIN)
"""All of them: names from the vault, and traits in clear."""
