"""Reasons of rejected events, by what can be done: nothing, repair the file, or fix the data."""

FORGOTTEN = "forgotten"
"""The event is about a customer who was forgotten."""
NO_CONSENT = "no_consent"
"""The customer has not consented to what the event's type needs."""
WITHOUT_CONTENT = (FORGOTTEN, NO_CONSENT)
"""Nothing can be replayed, and nothing is to be fixed."""
UNREADABLE = ("bad_row", "cut_off")
"""The line could not be split into columns, so that only a repaired file helps, and no replay."""
FAULTS = frozenset(
    {
        "missing_event_id",
        "missing_name",
        "missing_time",
        "bad_time",
        "impossible_time",
        "missing_id",
        "bad_number",
        "bad_quantity",
        "negative_quantity",
        "too_large",
        "negative_amount",
        "unknown_currency",
        "bad_row",
        "cut_off",
        "bad_event",
        "unknown_event",
    }
)
"""What is wrong with data. Any other reason leaves a row out on purpose: a rule of the mapping, or a promise."""
