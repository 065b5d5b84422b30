"""What `patron doctor` finds: one result of one check, with what to do."""

from dataclasses import dataclass
from typing import Literal

RESTORE_HINT = "Restore the newest backup: `patron restore`."
Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    check: str
    level: Level
    what: str
    todo: str = ""
