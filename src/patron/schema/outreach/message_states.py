"""States of a message, and why one is not sent: codes that rows hold and pages explain."""

from enum import StrEnum


class MessageState(StrEnum):
    """What is known of a message."""

    WAITING = "waiting"
    """To be sent later."""
    SENDING = "sending"
    """On its way to the channel; once nobody sends any more, it is of unknown outcome."""
    SENT = "sent"
    UNKNOWN = "unknown"
    """Its answer was lost: it may have been sent, and is never sent again by guess."""
    FAILED = "failed"
    """The channel refused it for good."""
    SKIPPED = "skipped"
    """A check forbids it."""


MAY_HAVE_ARRIVED = (MessageState.SENDING, MessageState.SENT, MessageState.UNKNOWN)
"""States that count for caps, budgets and stocks."""

MESSAGE_REASONS = {
    "no_consent": "the customer may not be contacted",
    "no_address": "no address of the customer is known",
    "suppressed": "the address bounced, complained or unsubscribed",
    "topic_withdrawn": "the customer does not want messages of this topic",
    "holdout": "in the control group, so that the effect can be measured",
    "not_planned": "the plan writes to others",
    "same_address": "another customer with the same address had the message",
    "quiet_hours": "it is quiet hours where the customer lives",
    "capped": "had as many messages lately as the policy allows",
    "over_budget": "the budget is used up",
    "offer_unavailable": "the offer is not given any more",
    "offer_out_of_stock": "the stock of the offer is used up",
    "missing_value": "the template needs something that is not known of the customer",
    "not_taken": "the channel did not take it now",
    "rejected": "the channel refused it for good",
    "answer_lost": "the channel may have taken it: its answer was lost",
    "cut_off": "sending was cut off, and nobody knows whether the channel took it",
    "window_over": "the campaign ended before its turn",
    "late": "its time in the journey was over before it could be sent",
    "settled": "a person looked it up",
}
"""Codes of MESSAGES.reason, each declared here only; texts for pages are named `message.CODE`."""
