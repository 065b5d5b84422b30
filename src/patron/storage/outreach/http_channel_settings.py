"""Settings of channels over HTTP: what all have, webhooks and web push; and of receipts that come back."""

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from patron.schema.common_sentences import URL_PROBLEM
from patron.schema.sentences import Sentence
from patron.storage.outreach.channel_section import ChannelSection
from patron.storage.setting_path import SettingPath

PLAIN_HOSTS = Sentence(
    "plain_hosts", "needs names or addresses without a scheme and port, such as 127.0.0.1, not {value!r}"
)
HTTPS_OR_LOCAL = Sentence(
    "https_or_local", "needs to be an https address, or http to a host in local_hosts; without a password"
)
MAILTO_OR_HTTPS = Sentence(
    "mailto_or_https", "needs to be mailto: and an address, such as mailto:it@shop.example, or an https address"
)
KEY_AND_CONTACT = Sentence("key_and_contact", "needs key_file and contact, both or neither")
CLICK_URL_PROBLEM = Sentence("click_url_problem", "click_url {problem}")

LOCAL_HOST = re.compile(r"[a-z0-9.:_-]{1,253}")


class HttpChannelSettings(ChannelSection):
    """What every channel over HTTP has."""

    local_hosts: tuple[str, ...] = ()
    """Hosts of this machine or its network that may be reached, also without TLS; all others must be public."""
    messages_per_second: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Most messages handed over in a second; 0 is no limit."""
    connections: int = Field(default=4, ge=1, le=50)
    """Connections at once."""
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    """How long the whole of one exchange may take."""

    @field_validator("local_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        hosts = tuple(one.lower() for one in value)
        if wrong := next((host for host in hosts if not LOCAL_HOST.fullmatch(host)), None):
            raise ValueError(PLAIN_HOSTS(value=wrong))
        return hosts

    def require_allowed(self, url: str) -> str:
        """The address itself, if it is https or of a local host. Raises ValueError."""
        try:
            parts = urlsplit(url)
            is_local = parts.scheme == "http" and parts.hostname in self.local_hosts
            is_valid = (parts.scheme == "https" or is_local) and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_valid = False
            parts = urlsplit("")
        if not is_valid or "@" in parts.netloc or parts.fragment or not url.isascii() or re.search(r"\s", url):
            raise ValueError(HTTPS_OR_LOCAL)
        return url


class ReceiptsSettings(BaseModel):
    """Receipts that a system of the shop's, or a provider that signs by Standard Webhooks, sends to /api/receipts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret_file: SettingPath = ""
    """File with the secrets that must have signed receipts of provider "patron", one a line; empty: a key is enough."""


class WebhookSettings(HttpChannelSettings):
    """Messages for a system of the shop's by signed requests; configured once it has a url."""

    url: str = ""
    """Address that takes the messages; empty: nothing is sent by webhook."""
    secret_file: SettingPath = ""
    """File with the secrets that sign, one a line, within the workspace or absolute; else PATRON_WEBHOOK_SECRET."""

    SECRETS: ClassVar[Mapping[str, str]] = {"secret_file": "PATRON_WEBHOOK_SECRET"}
    PROVIDER: ClassVar[tuple[str, ...]] = ("url",)

    @property
    def is_configured(self) -> bool:
        """Whether messages can be sent by webhook."""
        return bool(self.url)

    @property
    def recipient(self) -> str:
        """Host that takes the messages."""
        return urlsplit(self.url).hostname or ""

    @property
    def server(self) -> str:
        """Address that takes the messages."""
        return self.url

    @model_validator(mode="after")
    def _has_a_valid_url(self) -> "WebhookSettings":
        if self.url:
            try:
                self.require_allowed(self.url)
            except ValueError as error:
                raise ValueError(URL_PROBLEM(problem=error.args[0])) from error
        return self


class WebPushSettings(HttpChannelSettings):
    """Notifications in browsers (RFC 8030); configured once it has a key and a contact."""

    key_file: SettingPath = ""
    """Private key that proves who sends (VAPID), within the workspace; `patron channels push-key` makes one."""
    contact: str = ""
    """Whom the browser's push service may write to: mailto: and an address, or an https address."""
    time_to_live_seconds: int = Field(default=86_400, ge=0, le=2_419_200)
    """How long the push service keeps a notification for a device that is off."""
    click_url: str = ""
    """Page that a notification opens when its text has no link; empty: none."""

    SECRETS: ClassVar[Mapping[str, str]] = {"key_file": ""}
    SHOWN: ClassVar[tuple[str, ...]] = ("click_url",)

    @property
    def is_configured(self) -> bool:
        """Whether notifications can be sent."""
        return bool(self.key_file and self.contact)

    @property
    def sender(self) -> str:
        """Whom push services may write to."""
        return self.contact

    @field_validator("contact")
    @classmethod
    def _is_a_contact(cls, value: str) -> str:
        if value and not re.fullmatch(r"mailto:[^@\s,<>]+@[^@\s,<>]+|https://[^\s<>]+", value):
            raise ValueError(MAILTO_OR_HTTPS)
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> "WebPushSettings":
        if bool(self.key_file) != bool(self.contact):
            raise ValueError(KEY_AND_CONTACT)
        if self.click_url:
            try:
                self.require_allowed(self.click_url)
            except ValueError as error:
                raise ValueError(CLICK_URL_PROBLEM(problem=error.args[0])) from error
        return self
