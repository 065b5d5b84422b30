"""States of a customer in a journey, and why they left it: codes that rows hold and pages explain."""

from enum import StrEnum


class EntryState(StrEnum):
    """Where a customer stands in a journey."""

    ACTIVE = "active"
    """On the way: some step comes next."""
    FINISHED = "finished"
    """Took the last step."""
    LEFT = "left"
    """Ended before, for a reason."""


EXIT_STEP = "exit_step"
EXIT_EVENT = "exit_event"
MERGED = "merged"
WITHDRAWN = "withdrawn"
OVER = "over"
ENTRY_REASONS = {
    EXIT_STEP: "came to a step that ends the journey",
    EXIT_EVENT: "did what ends the journey",
    MERGED: "was found to be one with another customer who is or was in the journey",
    WITHDRAWN: "the journey was withdrawn",
    OVER: "the end of the journey came",
}
"""Codes of JOURNEY_ENTRIES.reason, each declared here only."""
