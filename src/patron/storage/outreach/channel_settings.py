"""Settings of the ways to customers: [channels] of patron.toml, with a section for each."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from patron.schema.outreach.channels import CONFIGURABLE, DESCRIBED
from patron.storage.outreach.channel_section import ChannelSection
from patron.storage.outreach.email_settings import EmailSettings
from patron.storage.outreach.http_channel_settings import ReceiptsSettings, WebhookSettings, WebPushSettings
from patron.storage.outreach.provider_settings import ProviderSettings


class _OwnProtocols(BaseModel):
    """Channels whose settings have a form of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: EmailSettings = EmailSettings()
    webhook: WebhookSettings = WebhookSettings()
    web_push: WebPushSettings = WebPushSettings()


_DESCRIBED: Mapping[str, Any] = {name: (ProviderSettings, ProviderSettings()) for name in DESCRIBED}


class ChannelsSettings(create_model("_AllChannels", __base__=_OwnProtocols, **_DESCRIBED)):
    """Ways to customers: a section for each of CONFIGURABLE, and one of what comes back."""

    receipts: ReceiptsSettings = ReceiptsSettings()

    @property
    def configured(self) -> tuple[str, ...]:
        """Channels that can be sent by, in the order of CHANNELS."""
        return tuple(name for name in CONFIGURABLE if self.section(name).is_configured)

    def section(self, channel: str) -> ChannelSection:
        """Settings of one of CONFIGURABLE."""
        return getattr(self, channel)

    def provider(self, channel: str) -> ProviderSettings:
        """Settings of one of DESCRIBED."""
        return getattr(self, channel)
