"""What patron.toml and policy.toml say of the shop and its ways to customers; of secrets only if they are there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from patron.storage.shop import Shop

CHANNELS = ("email", "sms", "wechat", "webhook", "web_push")
SECRETS = {"password_file": "PATRON_EMAIL_PASSWORD", "secret_file": "PATRON_WEBHOOK_SECRET"}
"""Settings that name the file of a secret, with the environment variable that may hold it instead."""
SECRET_FILES = (*SECRETS, "key_file", "dkim_key_file")
NOT_SHOWN = ("user", "secret_files")


@dataclass(frozen=True)
class ChannelSettings:
    """One way to customers as patron.toml sets it up."""

    name: str
    is_configured: bool
    values: Mapping[str, str]
    """Settings that differ from their defaults, as written; never a secret."""
    secrets: Mapping[str, bool]
    """Whether the file of each secret, or its environment variable, is there."""


@dataclass(frozen=True)
class WorkspaceSettings:
    """Settings that pages show and people change in the files."""

    name: str
    currency: str
    time_zone: str
    locale: str
    """Language of reports, of messages to customers whose language is not known, and of the console at first."""
    channels: tuple[ChannelSettings, ...]
    quiet_hours: tuple[str, ...]
    caps: tuple[tuple[int, int], ...]
    """Most messages per customer, and within how many days."""


def workspace_settings(shop: Shop) -> WorkspaceSettings:
    """The settings in force."""
    about, messages = shop.settings.shop, shop.policy.messages
    channels = tuple(_channel(shop.folder, name, getattr(shop.settings.channels, name)) for name in CHANNELS)
    caps = tuple((cap.most, cap.within_days) for cap in messages.caps)
    return WorkspaceSettings(
        about.name, about.currency, about.time_zone, about.locale, channels, messages.quiet_hours, caps
    )


def _channel(folder: Path, name: str, settings: BaseModel) -> ChannelSettings:
    fields = type(settings).model_fields
    current = {key: getattr(settings, key) for key in fields}
    changed = {key: one for key, one in current.items() if one != fields[key].get_default(call_default_factory=True)}
    values = {key: _text(one) for key, one in changed.items() if key not in (*SECRET_FILES, *NOT_SHOWN)}
    is_configured = bool(getattr(settings, "is_configured"))  # noqa: B009 - each of these settings has it
    files = {key: current[key] for key in SECRET_FILES if key in current}
    secrets = {key: _is_there(folder, path, SECRETS.get(key, "")) for key, path in files.items()}
    of_provider = {
        key: _is_there(folder, path, f"PATRON_{name}_{key}".upper())
        for key, path in current.get("secret_files", {}).items()
    }
    return ChannelSettings(name, is_configured, values, (secrets | of_provider) if is_configured else {})


def _is_there(folder: Path, path: str, variable: str) -> bool:
    return bool(variable and os.environ.get(variable)) or bool(path and (folder / path).is_file())


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
