"""Names by which templates call what is known of a customer, whatever the shop sends it as."""

from patron.govern.customers.customer_names import KEYS
from patron.schema.privacy.personal_keys import PLAIN

FURTHER = ("city", "company")
"""What a template may call customer.city ... beside the names."""
OF_CUSTOMERS = (*KEYS, *FURTHER, *PLAIN)
"""All of them: names and the like from the vault, and traits in clear."""
