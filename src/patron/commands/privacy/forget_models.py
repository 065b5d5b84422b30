"""Erase from model files what only a forgotten person's events held: products, levels of a trait."""

import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from patron.schema.common_sentences import NOT_AS_WRITTEN
from patron.schema.errors import LakeDamaged
from patron.storage.durable_files import disk_errors
from patron.storage.models import model_registry
from patron.storage.models.model_registry import ERASED, RUN_HINT
from patron.storage.shop import Shop


def erase_from_models(shop: Shop, values: Collection[str]) -> Iterator[tuple[str, int]]:
    """Erase these values from every model; yield how many files were rewritten.

    Raises NoSpace on a full disk, LakeDamaged for a model that cannot be read.
    """
    models, count = shop.folder / "models", 0
    for left in models.glob("*/.*"):  # why: what a run that was killed has left
        shutil.rmtree(left)
    if not values:
        return
    for version in model_registry.model_versions(shop.store):
        folder, contents = models / version, {}
        for path in sorted(folder.rglob("*.json")):
            content = _read(path)
            if _holds_any(content, values):
                erased = json.dumps(_without(content, values), sort_keys=True)
                contents[str(path.relative_to(folder))] = erased.encode()
        if contents:
            with disk_errors(folder):
                model_registry.rewrite_files(models, shop.store, version, contents)
            count += len(contents)
    yield "model files rewritten", count


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LakeDamaged(NOT_AS_WRITTEN, where=str(path), todo=RUN_HINT) from error


def _holds_any(content: Any, values: Collection[str]) -> bool:
    if isinstance(content, dict):
        return any(_is_any(key, values) or _holds_any(one, values) for key, one in content.items())
    if isinstance(content, list):
        return any(_holds_any(one, values) for one in content)
    return isinstance(content, str) and _is_any(content, values)


def _is_any(text: str, values: Collection[str]) -> bool:
    """Whether a text is one of the values, or a kind of message, `channel/type`, with one of them."""
    channel, _, message_type = text.partition("/")
    return text in values or (message_type != "" and (channel in values or message_type in values))


def _without(content: Any, values: Collection[str]) -> Any:
    if isinstance(content, dict):
        return {ERASED if _is_any(key, values) else key: _without(one, values) for key, one in content.items()}
    if isinstance(content, list):
        return [_without(one, values) for one in content]
    return ERASED if isinstance(content, str) and _is_any(content, values) else content
