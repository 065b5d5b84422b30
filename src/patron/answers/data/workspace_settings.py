"""What patron.toml and policy.toml say of the shop and its ways to customers; of secrets only if they are there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.outreach.channels import CONFIGURABLE
from patron.storage.outreach.channel_section import ChannelSection
from patron.storage.outreach.pending_approvals import SETTINGS_SECTIONS, PendingApproval, pending_approvals
from patron.storage.shop import Shop


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
    awaiting: tuple[PendingApproval, ...]
    """Approved campaigns and journeys that go on by earlier settings until they are approved again."""


@operation(Right(Action.READ, Area.SETTINGS), "GET /api/settings")
def workspace_settings(shop: Shop) -> WorkspaceSettings:
    """The shop and its ways to customers as the files have them; of secrets only whether they are there."""
    about, messages = shop.settings.shop, shop.policy.messages
    channels = tuple(_channel(shop.folder, name, shop.settings.channels.section(name)) for name in CONFIGURABLE)
    caps = tuple((cap.most, cap.within_days) for cap in messages.caps)
    return WorkspaceSettings(
        about.name,
        about.currency,
        time_zone=about.time_zone,
        locale=about.locale,
        channels=channels,
        quiet_hours=messages.quiet_hours,
        caps=caps,
        awaiting=pending_approvals(shop, sections=SETTINGS_SECTIONS),
    )


def _channel(folder: Path, name: str, settings: ChannelSection) -> ChannelSettings:
    fields = type(settings).model_fields
    current = {key: getattr(settings, key) for key in fields if key not in (*settings.SECRETS, *settings.HIDDEN)}
    values = {
        key: _text(value)
        for key, value in current.items()
        if value != fields[key].get_default(call_default_factory=True)
    }
    places = settings.secret_places(name) if settings.is_configured else {}
    secrets = {key: _is_there(folder, path, variable) for key, (path, variable) in places.items()}
    return ChannelSettings(name, settings.is_configured, values, secrets)


def _is_there(folder: Path, path: str, variable: str) -> bool:
    return bool(variable and os.environ.get(variable)) or bool(path and (folder / path).is_file())


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
