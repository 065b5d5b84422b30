"""What `patron doctor` finds, one check at a time."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    check: str
    level: Level
    what: str
    todo: str = ""
