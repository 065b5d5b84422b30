"""What became of messages after they were handed over, in one vocabulary, whichever provider says so."""

import re
from dataclasses import dataclass
from datetime import datetime

from patron.govern.outreach.suppression_list import COMPLAINT, HARD_BOUNCE

DELIVERED = "delivered"
DEFERRED = "deferred"
BOUNCED = "bounced"
REJECTED = "rejected"
COMPLAINED = "complained"
OPENED = "opened"
CLICKED = "clicked"
UNSUBSCRIBED = "unsubscribed"
KINDS = (DELIVERED, DEFERRED, BOUNCED, REJECTED, COMPLAINED, OPENED, CLICKED, UNSUBSCRIBED)
MESSAGE_ID = re.compile("[0-9a-f]{32}")
IN_HEADER = re.compile(r"<?([0-9a-f]{32})@[^\s<>@]+>?")
STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
PERMANENT = re.compile(r"5\.1\.(?:1|2|3|6|10)|5\.2\.1|5\.4\.4")
"""Status codes of an address that does not exist, or no longer (RFC 3463); all others may pass."""
MAX_DETAIL_LENGTH = 100


@dataclass(frozen=True)
class Receipt:
    """Something that became of one message."""

    message_id: str
    kind: str
    """One of KINDS."""
    occurred_at: datetime
    is_permanent: bool = False
    """Of a bounce: whether the address does not exist."""
    detail: str = ""
    """Status code; no personal data."""


def suppression_reason(kind: str, *, is_permanent: bool) -> str:
    """Why an address is sent nothing more after a single receipt; empty where one is not enough."""
    if kind == COMPLAINED:
        return COMPLAINT
    return HARD_BOUNCE if is_permanent and kind in {BOUNCED, REJECTED} else ""


def message_id_in(text: str) -> str:
    """Our id of a message from its header Message-ID; empty for another's."""
    match = IN_HEADER.fullmatch(text.strip())
    return match[1] if match else ""


def status_in(text: str) -> str:
    """The first enhanced status code in a text, such as 5.1.1; empty without one."""
    match = STATUS.search(text)
    return match[1] if match else ""


def is_permanent(status: str) -> bool:
    """Whether a status code says that the address does not exist."""
    return bool(PERMANENT.fullmatch(status))
