"""Settings of e-mail: [channels.email] of patron.toml."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from patron.schema.common_sentences import ONE_LINE_VALUE
from patron.schema.sentences import Sentence
from patron.storage.outreach.channel_section import ChannelSection
from patron.storage.setting_path import SettingPath

NOT_A_DOMAIN = Sentence("not_a_domain", "is not a domain, such as bounces.shop.example")
SMALL_LETTERS = Sentence("small_letters", "needs small letters, digits and hyphens, such as patron")
PUBLIC_ADDRESS = Sentence(
    "public_address", "needs to be an https address such as https://shop.example, or http://127.0.0.1:8321"
)
ASCII_LETTERS = Sentence("ascii_letters", "needs to be written in letters of ASCII without spaces")
NEXT_TO_HOST = Sentence("next_to_host", "needs {names} next to host")
DKIM_BOTH = Sentence("dkim_both", "needs dkim_selector and dkim_key_file, both or neither")
NEEDS_TLS = Sentence(
    "needs_tls", 'needs security = "starttls" or "tls" next to user: otherwise the password is sent in clear text'
)
NOT_AN_EMAIL = Sentence("not_an_email", "is not an e-mail address ({cause})")

DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})+")
SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9-]{1,63})*")
LOCAL_HOSTS = ("localhost", "127.0.0.1")
CHANNEL_UNSIGNED = Sentence(
    "channel_unsigned", "Messages are not signed: most mailboxes refuse them. Make a key: patron channels key."
)
CHANNEL_BOUNCES = Sentence(
    "channel_bounces", "No bounce_domain: bounces go to the sender's mailbox; `patron channels bounces` reads it."
)


class EmailSettings(ChannelSection):
    """E-mail by SMTP; it is configured once it has a host."""

    host: str = ""
    """SMTP server that takes the messages; empty: nothing is sent by e-mail."""
    port: int = Field(default=587, ge=1, le=65_535)
    """Its port."""
    security: Literal["none", "starttls", "tls"] = "starttls"
    """How the connection is encrypted: not at all (only on this machine), after STARTTLS, or from the start."""
    user: str = ""
    """User name at the server; empty: no log-in."""
    password_file: SettingPath = ""
    """File with its password, within the workspace or absolute; else the variable PATRON_EMAIL_PASSWORD has it."""
    from_address: str = ""
    """Address of the sender, whose domain signs the messages."""
    from_name: str = ""
    """Name of the sender; empty: the shop's."""
    reply_to: str = ""
    """Address that answers go to; empty: the sender's."""
    public_url: str = ""
    """This server's address for customers, to which links to unsubscribe lead: https, or http on this machine."""
    dkim_selector: str = ""
    """Selector of the DKIM key: its public part is the TXT record SELECTOR._domainkey.DOMAIN."""
    dkim_key_file: SettingPath = ""
    """Private key, RSA in PEM, within the workspace or absolute; `patron channels key` makes one."""
    bounce_domain: str = ""
    """Domain of return paths of their own for each message (VERP); empty: bounces go to the sender."""
    messages_per_second: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Most messages handed over in a second; 0 is no limit."""
    connections: int = Field(default=4, ge=1, le=50)
    """Connections to the server at once."""
    timeout_seconds: float = Field(default=60, gt=0, le=600)
    """How long an answer of the server may take."""

    SECRETS: ClassVar[Mapping[str, str]] = {"password_file": "PATRON_EMAIL_PASSWORD", "dkim_key_file": ""}
    HIDDEN: ClassVar[tuple[str, ...]] = ("user",)
    SHOWN: ClassVar[tuple[str, ...]] = ("from_name", "reply_to")
    PROVIDER: ClassVar[tuple[str, ...]] = ("host", "from_address")

    @property
    def is_configured(self) -> bool:
        """Whether messages can be sent by e-mail."""
        return bool(self.host)

    @property
    def is_signed(self) -> bool:
        """Whether messages are signed by DKIM."""
        return bool(self.dkim_key_file)

    @property
    def recipient(self) -> str:
        """Host that takes the messages."""
        return self.host

    @property
    def server(self) -> str:
        """Host and port that take the messages."""
        return f"{self.host}:{self.port}" if self.is_configured else ""

    @property
    def sender(self) -> str:
        """Address of the sender."""
        return self.from_address

    @property
    def advice(self) -> tuple[str, ...]:
        """What mailboxes want of a sender."""
        return (() if self.dkim_key_file else (CHANNEL_UNSIGNED,)) + (() if self.bounce_domain else (CHANNEL_BOUNCES,))

    @property
    def domain(self) -> str:
        """Domain of the sender, in ASCII."""
        return self.from_address.rpartition("@")[2]

    @model_validator(mode="before")
    @classmethod
    def _takes_from(cls, content: Any) -> Any:
        """Take `from`, which cannot be the name of a field in Python, as from_address."""
        if not isinstance(content, dict) or "from" not in content:
            return content
        return {key: one for key, one in content.items() if key != "from"} | {"from_address": content["from"]}

    @field_validator("host", "user", "from_name")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        if not value.isprintable() or value != value.strip():
            raise ValueError(ONE_LINE_VALUE)
        return value

    @field_validator("from_address", "reply_to")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        try:
            return _ascii_address(value) if value else ""
        except ValueError as error:
            raise ValueError(NOT_AN_EMAIL(cause=str(error).rstrip("."))) from error

    @field_validator("bounce_domain")
    @classmethod
    def _is_a_domain(cls, value: str) -> str:
        if value and not DOMAIN.fullmatch(value.lower()):
            raise ValueError(NOT_A_DOMAIN)
        return value.lower()

    @field_validator("dkim_selector")
    @classmethod
    def _is_a_selector(cls, value: str) -> str:
        if value and not SELECTOR.fullmatch(value):
            raise ValueError(SMALL_LETTERS)
        return value

    @field_validator("public_url")
    @classmethod
    def _is_public(cls, value: str) -> str:
        parts = urlsplit(value)
        is_local = parts.scheme == "http" and parts.hostname in LOCAL_HOSTS
        if value and (not (parts.scheme == "https" or is_local) or not parts.hostname or parts.query or parts.fragment):
            raise ValueError(PUBLIC_ADDRESS)
        if not value.isascii() or re.search(r"[\s<>,\"]", value):
            raise ValueError(ASCII_LETTERS)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.host:
            return self
        missing = [name for name, value in (("from", self.from_address), ("public_url", self.public_url)) if not value]
        if missing:
            raise ValueError(NEXT_TO_HOST(names=" and ".join(missing)))
        if bool(self.dkim_selector) != bool(self.dkim_key_file):
            raise ValueError(DKIM_BOTH)
        if self.user and self.security == "none" and self.host not in LOCAL_HOSTS:
            raise ValueError(NEEDS_TLS)
        return self


def _ascii_address(address: str) -> str:
    from email_validator import validate_email  # noqa: PLC0415 - its tables load when there is an address

    checked = validate_email(address, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    return checked.ascii_email or checked.normalized
