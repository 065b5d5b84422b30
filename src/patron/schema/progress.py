"""How far something that takes a while has come."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with a step, how much of it is done, and of how much; None where that is not known."""


def silent(_step: str, _done: int, _total: int | None) -> None:
    """Show no progress."""
