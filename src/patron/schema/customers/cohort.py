"""Customers who came in one month, and who of them came back."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cohort:
    """Customers who ordered first in one month, and the share of them who ordered in each month since."""

    month: str
    customer_count: int
    shares: tuple[float, ...]
    """Share who ordered in month 0, 1, 2 ... after the first; whole months only."""
