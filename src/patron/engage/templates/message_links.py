"""Links that every message has: where its topic ends, and where people choose topics and channels."""

from patron.engage.templates.message_template import PREFERENCES_URL, UNSUBSCRIBE_URL
from patron.storage.settings import Settings

LOCAL = "http://127.0.0.1:8321"
"""Where `patron serve` answers on this machine."""


def message_links(settings: Settings, token: str) -> dict[str, str]:
    """Addresses for templates, by the token of a subscription."""
    base = (settings.channels.email.public_url or LOCAL).rstrip("/")
    return {UNSUBSCRIBE_URL: f"{base}/u/{token}", PREFERENCES_URL: f"{base}/p/{token}"}
