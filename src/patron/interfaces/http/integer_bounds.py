"""Bounds of the integers in addresses: the JSON API refuses one outside, a page takes its default instead."""


def bounded_integer(text: str, low: int, high: int) -> int | None:
    """Whole number written in ASCII digits, from low to high; None for anything else."""
    is_short = text.isascii() and text.isdigit() and len(text) <= len(str(high))
    return int(text) if is_short and low <= int(text) <= high else None
