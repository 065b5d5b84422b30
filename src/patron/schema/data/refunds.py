"""Refunds that a run cannot count yet."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class LaterRefunds:
    """Refunds that became known only after a run's cutoff, so that it counts none of them."""

    refund_count: int
    refund_cents: int
    first_known_at: datetime
    last_known_at: datetime
