"""Names by which templates call what is known of a customer, whatever the shop sends it as."""

from patron.schema.customers.customer_contacts import NAME_KEYS
from patron.schema.privacy.personal_keys import PLAIN

NAMES = {**NAME_KEYS, "city": ("city",), "company": ("company",)}
"""What a template may call customer.first_name ..., and the keys that shops send it under."""
OF_CUSTOMERS = (*NAMES, *PLAIN)
"""All of them: names from the vault, and traits in clear."""
