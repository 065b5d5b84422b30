"""Settings of the section [webhooks]: how events are reported to the shop's systems."""

from pydantic import Field

from patron.storage.outreach.http_channel_settings import HttpChannelSettings


class EventWebhookSettings(HttpChannelSettings):
    """Webhooks that report events; who gets which is chosen in the console, and no file."""

    timeout_seconds: float = Field(default=15, gt=0, le=60)
    """How long the whole of one exchange may take."""
    disable_after_days: float = Field(default=5, gt=0, le=60)
    """Days without a single success after which an endpoint gets nothing any more."""
