"""Damage that a failing disk, or a person, does to a file."""

import os
from pathlib import Path

FILE_DAMAGES = ("deleted", "emptied", "cut in half", "one bit flipped")


def damage_file(path: Path, how: str) -> None:
    """Damage a file in one of FILE_DAMAGES; its middle is where a bit flips."""
    if how == "deleted":
        path.unlink()
    elif how == "one bit flipped":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    else:
        os.truncate(path, path.stat().st_size // 2 if how == "cut in half" else 0)
