"""Settings and parameters as JSON files whose floats keep every bit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write settings or parameters as one line of JSON; floats keep every bit."""
    path.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote."""
    return dict(json.loads(path.read_text(encoding="utf-8")))
