"""What a check of a chained log says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LogCheck:
    """Whether a log is as it was written, up to its last entry."""

    entry_count: int
    first_damaged: int | None = None
    """First entry that is not as it was written, or that is missing; None without one."""
    problem: str = ""
    """What is wrong; empty for an intact log."""
