"""Make a workspace, and fit a new one to its first data."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from patron.schema.errors import SettingsError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import write_durably
from patron.storage.settings import ShopSettings
from patron.storage.settings_problems import problems_of
from patron.storage.shop import SETTINGS_FILE, Shop

CORRECT_OPTION = Sentence("correct_option", "Correct the option.")


@dataclass(frozen=True)
class Workspace:
    """A workspace and what was put into its settings."""

    folder: Path
    workspace_id: str
    settings: dict[str, str | bool]
    master_key: str
    """Where its master key is: a file outside, or an environment variable."""


def create(folder: Path, settings: Mapping[str, str | bool] | None = None) -> Workspace:
    """Make a workspace with its master key. `settings` holds keys of [shop], such as currency.

    Raises WorkspaceError when the folder holds one already, SettingsError for a value that cannot be used.
    """
    try:
        ShopSettings.model_validate(settings or {})
    except ValidationError as error:
        raise SettingsError(problems_of(error, ShopSettings), where="[shop]", todo=CORRECT_OPTION) from error
    Shop.create(folder).close()
    changed = write_missing_settings(folder, settings or {})
    shop = Shop.open(folder)
    try:
        return Workspace(shop.folder, shop.workspace_id, changed, shop.master_key_place.name)
    finally:
        shop.close()


def write_missing_settings(folder: Path, settings: Mapping[str, str | bool]) -> dict[str, str | bool]:
    """Write [shop] settings that nobody has set yet into patron.toml; return those that were written."""
    path = folder / SETTINGS_FILE
    text = path.read_text(encoding="utf-8")
    new = missing_settings(folder, settings)
    for key, value in new.items():
        line = f"{key} = {json.dumps(value)}"  # why: JSON's texts are TOML's, too
        pattern = rf'^# {key} = "[^"]*"'
        text, count = re.subn(pattern, lambda _, line=line: line, text, count=1, flags=re.MULTILINE)
        if not count:
            text = text.replace("[shop]\n", f"[shop]\n{line}\n", 1)
    if new:
        write_durably(path, text.encode())
    return new


def missing_settings(folder: Path, settings: Mapping[str, str | bool]) -> dict[str, str | bool]:
    """Those of these [shop] settings that nobody has set yet in patron.toml."""
    already = tomllib.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8")).get("shop", {})
    return {key: value for key, value in settings.items() if key not in already}
