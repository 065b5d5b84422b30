"""Settings of channels whose provider is described in a file, such as [channels.sms]."""

import hashlib
import json
import re
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from patron.schema.sentences import Sentence
from patron.schema.toml_texts import decode_toml
from patron.storage.outreach.http_channel_settings import HttpChannelSettings
from patron.storage.setting_path import SettingPath, require_path

SECRET_NAMES = Sentence("secret_names", "needs names such as API_KEY, not {value!r}")

SECRET_NAME = re.compile("[A-Z][A-Z0-9_]{0,63}")


class ProviderSettings(HttpChannelSettings):
    """A provider that a file describes; configured once it has the file."""

    provider_file: SettingPath = ""
    """Description of the provider, within the workspace or absolute; empty: nothing is sent by this channel."""
    secret_files: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it for each
    """Files of the secrets that the description names; else variables such as PATRON_SMS_API_KEY have them."""

    HIDDEN: ClassVar[tuple[str, ...]] = ("secret_files",)

    @property
    def is_configured(self) -> bool:
        """Whether messages can be sent by this channel."""
        return bool(self.provider_file)

    @property
    def recipient(self) -> str:
        """The file that describes who gets the messages."""
        return self.provider_file

    @property
    def server(self) -> str:
        """The same: it names the server."""
        return self.provider_file

    def provider_terms(self, folder: Path) -> dict[str, str]:
        """A hash of what the file says: its place, comments and layout do not change it."""
        try:
            content = (folder / self.provider_file).read_text(encoding="utf-8")
            description = json.dumps(decode_toml(content), sort_keys=True, default=str)
        except (OSError, ValueError):  # why: the channel itself says what is wrong with it
            description = ""
        return {"provider_file": hashlib.sha256(description.encode()).hexdigest()[:12]}

    def secret_places(self, channel: str) -> dict[str, tuple[str, str]]:
        """The secrets that have files; each may be in a variable of the channel's instead."""
        return {name: (path, f"PATRON_{channel}_{name}".upper()) for name, path in self.secret_files.items()}

    @field_validator("secret_files")
    @classmethod
    def _are_paths(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := next((one for one in value if not SECRET_NAME.fullmatch(one)), None):
            raise ValueError(SECRET_NAMES(value=wrong))
        return {name: require_path(path) for name, path in value.items()}
