"""Erase from model files what only a forgotten person's events held: products on a shelf, levels of a trait."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from patron.predict.recommend.popularity import MODEL_FILE, Shelf
from patron.schema.questions import RECOMMEND
from patron.storage.durable_files import disk_errors, sync
from patron.storage.shop import Shop

ERASED = "(erased)"
"""A level that no customer has: the model predicts for all others as before."""


def erase_from_models(shop: Shop, values: Collection[str]) -> Iterator[tuple[str, int]]:
    """Erase these values from every model; yield how many files were rewritten. Raises NoSpace on a full disk."""
    if not values:
        return
    count = 0
    for path in sorted((shop.folder / "models").rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not _holds_any(content, values):
            continue
        fresh = path.with_name(f".{path.name}.new")
        with disk_errors(path):
            if path.name == MODEL_FILE and RECOMMEND.name in path.relative_to(shop.folder).parts:
                shelf, settings = Shelf.load(path)
                shelf.without(values).save(fresh, settings)
            else:
                fresh.write_text(json.dumps(_without(content, values), sort_keys=True), encoding="utf-8")
            _replace_durably(fresh, path)
        count += 1
    yield "model files rewritten", count


def _replace_durably(fresh: Path, path: Path) -> None:
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def _holds_any(content: Any, values: Collection[str]) -> bool:
    if isinstance(content, dict):
        return any(key in values or _holds_any(one, values) for key, one in content.items())
    if isinstance(content, list):
        return any(_holds_any(one, values) for one in content)
    return isinstance(content, str) and content in values


def _without(content: Any, values: Collection[str]) -> Any:
    if isinstance(content, dict):
        return {ERASED if key in values else key: _without(one, values) for key, one in content.items()}
    if isinstance(content, list):
        return [_without(one, values) for one in content]
    return ERASED if isinstance(content, str) and content in values else content
