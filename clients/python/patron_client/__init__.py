"""Client of a Patron server's API; the operations are in `patron_client.rest.api`, by what they are about."""

from patron_client.connection import Refusal, connect
from patron_client.paging import async_pages, pages
from patron_client.webhooks import InvalidWebhook, verify_webhook

__all__ = ["InvalidWebhook", "Refusal", "async_pages", "connect", "pages", "verify_webhook"]
