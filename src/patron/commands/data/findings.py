"""What `patron doctor` finds, one check at a time."""

from dataclasses import dataclass
from typing import Any, Literal

from patron.schema.errors import plain_pair

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    check: str
    level: Level
    what: str
    todo: str = ""

    def plain(self) -> dict[str, Any]:
        """The finding for JSON, with codes and values of both texts."""
        return {"check": self.check, "level": self.level, **plain_pair(self.what, self.todo)}
