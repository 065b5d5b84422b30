"""What every section [channels.NAME] of patron.toml answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class ChannelSection(BaseModel):
    """A section [channels.NAME]: what pages, checks and the register of processing ask of any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    SECRETS: ClassVar[Mapping[str, str]] = {}
    """Settings that name the file of a secret, with the variable that may hold it instead, if any."""
    HIDDEN: ClassVar[tuple[str, ...]] = ()
    """Other settings that no page shows."""

    SHOWN: ClassVar[tuple[str, ...]] = ()
    """Settings that customers see in a message: it keeps those that were approved."""
    PROVIDER: ClassVar[tuple[str, ...]] = ()
    """Settings that say who takes messages from whom: while they are not those that were approved, nothing is sent."""

    def provider_terms(self, folder: Path) -> dict[str, str]:  # noqa: ARG002 - a provider may be described in a file
        """What an approval pins of who takes the messages; `folder` is the workspace."""
        return {name: getattr(self, name) for name in self.PROVIDER}

    @property
    def is_configured(self) -> bool:
        """Whether messages can be sent."""
        return False

    @property
    def is_signed(self) -> bool:
        """Whether messages are signed, once the channel is configured."""
        return True

    @property
    def recipient(self) -> str:
        """Who gets what is sent, for the register of processing; empty where each customer has another one."""
        return ""

    @property
    def server(self) -> str:
        """What the channel connects to; empty where each customer has a server of their own."""
        return ""

    @property
    def sender(self) -> str:
        """Who sends, as the provider or customers see it; empty where nobody does."""
        return ""

    @property
    def advice(self) -> tuple[str, ...]:
        """What else should be set, and why."""
        return ()

    def secret_places(self, channel: str) -> dict[str, tuple[str, str]]:  # noqa: ARG002 - a provider's have its name
        """Path of each secret's file and the variable that may hold it instead, each empty where there is none."""
        return {name: (getattr(self, name), variable) for name, variable in self.SECRETS.items()}
