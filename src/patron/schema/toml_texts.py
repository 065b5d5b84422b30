"""TOML that somebody sent, read without ever failing on how deep it is nested."""

import tomllib
from typing import Any


def decode_toml(text: str) -> dict[str, Any]:
    """Read TOML. Raises tomllib.TOMLDecodeError, also for one that nests too deep."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise tomllib.TOMLDecodeError("nested too deep") from None
