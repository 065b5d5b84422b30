"""What a check of `patron doctor` found."""

from dataclasses import dataclass
from typing import Literal

from patron.storage.lake_verification import RESTORE_HINT

Level = Literal["ok", "warning", "problem"]
__all__ = ["RESTORE_HINT", "Finding", "Level"]


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    check: str
    level: Level
    what: str
    todo: str = ""
