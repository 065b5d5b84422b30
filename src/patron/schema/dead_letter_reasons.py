"""Reasons of rejected events whose content is not kept."""

FORGOTTEN = "forgotten"
"""The event is about a customer who was forgotten."""
NO_CONSENT = "no_consent"
"""The customer has not consented to what the event's type needs."""
WITHOUT_CONTENT = (FORGOTTEN, NO_CONSENT)
"""Nothing can be replayed, and nothing is to be fixed."""
