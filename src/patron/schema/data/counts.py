"""How many rows or messages were stored, already known, or rejected."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IngestionCounts:
    """What became of rows or messages that came in: every one of them is counted once."""

    stored: int = 0
    duplicate: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        """All that was read or accepted: stored + duplicate + rejected."""
        return self.stored + self.duplicate + self.rejected

    def __add__(self, other: "IngestionCounts") -> "IngestionCounts":
        """Add two counts."""
        return IngestionCounts(
            stored=self.stored + other.stored,
            duplicate=self.duplicate + other.duplicate,
            rejected=self.rejected + other.rejected,
        )
