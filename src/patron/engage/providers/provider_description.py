"""A provider of messages as a file describes it: its request, its token, what its answers and receipts mean.

Values are texts with placeholders such as {recipient}; they are filled in one by one after the file was parsed, so
that nothing in a value can become a part of the request's form. Secrets are named, never written.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from patron.engage.providers.receipts import KINDS
from patron.schema.errors import ChannelUnavailable, SettingsError
from patron.schema.outreach.channels import CHANNELS, DESCRIBED
from patron.schema.outreach.channels.channel_description import PHONE_NUMBER
from patron.storage.settings import read_toml
from patron.storage.settings_problems import problems_of
from patron.storage.shop import Shop

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_]+)?)\}")
PERSONAL = ("recipient", "recipient_digits", "recipient_name", "text", "subject", "unsubscribe_url", "parameters_json")
"""Placeholders of what is about the recipient: they stand in the query or body, never in the address or a header."""
OF_REQUEST = ("message_id", "timestamp", "nonce", "token")
SIGNED = ("method", "host", "path", "query", "form", "body", "body_sha256", "timestamp", "nonce", "message_id")
"""Parts that a signature may cover."""
HEADER_NAME = re.compile("[A-Za-z0-9-]{1,100}")
COUNTRY_CODE = re.compile(r"[1-9]\d{0,2}")
DEEPEST = 10
Code = str | int
Format = Literal["json", "form"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RequestDescription(_Section):
    """One request: where it goes and what is in it."""

    url: str = Field(min_length=1)
    """Address without a query: https, or http to a host in local_hosts."""
    method: Literal["GET", "POST", "PUT"] = "POST"
    """Method."""
    format: Format = "json"
    """How the body is written."""
    query: dict[str, str] = Field(default_factory=dict)
    """Parameters of the address."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers, such as Authorization = "Bearer {secret.API_KEY}"."""
    body: dict[str, Any] = Field(default_factory=dict)
    """The body: tables and lists for JSON, texts for a form."""
    user: str = ""
    """User name of basic authentication; empty: none."""
    password: str = ""
    """Its password: "{secret.NAME}"."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        host = value.partition("://")[2].partition("/")[0]
        if not re.match("https?://", value) or "?" in value or "#" in value or "{" in host:
            raise ValueError("needs https, a host without placeholders, and no query: parameters are in query")
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not HEADER_NAME.fullmatch(name) or not text.isprintable() or not text.isascii():
                raise ValueError(f"has the header {name!r}, which is not one line of ASCII")
        return value

    @model_validator(mode="after")
    def _has_known_placeholders(self) -> Self:
        if self.format == "form" and any(isinstance(one, dict | list) for one in self.body.values()):
            raise ValueError("needs texts and numbers in the body of a form")
        public = [self.url, *self.headers.values(), self.user, self.password]
        for name in placeholders_in(public):
            if name in PERSONAL or name.startswith("parameters."):
                raise ValueError(f"has {{{name}}} in the address or a header, where logs would keep it")
        for name in self.placeholders:
            if name not in {*PERSONAL, *OF_REQUEST} and not name.startswith(("parameters.", "secret.")):
                raise ValueError(
                    f"has {{{name}}}, which does not exist; there is {', '.join((*PERSONAL, *OF_REQUEST))}"
                )
        return self

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of what is filled in."""
        texts = [self.url, *self.query.values(), *self.headers.values(), self.user, self.password]
        return frozenset(placeholders_in([*texts, self.body]))


class SignatureDescription(_Section):
    """HMAC-SHA256 over parts of the request."""

    secret: str = Field(min_length=1)
    """Name of the secret that signs."""
    text: str = Field(min_length=1)
    """What is signed, such as "{method}&{path}&{query}": query and form are sorted, percent-encoded."""
    encoding: Literal["hex", "base64"] = "hex"
    """How the signature is written."""
    header: str = ""
    """Header that has it ..."""
    query: str = ""
    """... or parameter of the address."""
    prefix: str = ""
    """What stands before it."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.header) == bool(self.query):
            raise ValueError("needs either header or query")
        if self.header and not HEADER_NAME.fullmatch(self.header):
            raise ValueError("needs letters, digits and hyphens in header")
        for name in placeholders_in([self.text]):
            if name not in SIGNED and not name.startswith("secret."):
                raise ValueError(f"has {{{name}}}, which does not exist; there is {', '.join(SIGNED)}")
        return self


class TokenDescription(RequestDescription):
    """The request for a token of access, which is made anew before the last one ends."""

    token_field: str = "access_token"  # noqa: S105 - the name of a field
    """Where the token is in the answer; a dot leads further in."""
    seconds_field: str = "expires_in"
    """Where the answer says how long it lives."""
    seconds: int = Field(default=3600, ge=1)
    """How long it lives where the answer does not say."""

    @model_validator(mode="after")
    def _needs_nobody(self) -> Self:
        wrong = [one for one in self.placeholders if not one.startswith("secret.") and one not in OF_REQUEST[1:3]]
        if wrong:
            raise ValueError(f"has {{{wrong[0]}}}, which a request for a token does not know")
        return self


class AnswerDescription(_Section):
    """What an answer means. Codes count before the status."""

    success_status: tuple[int, ...] = (200, 201, 202)
    """Statuses with which a message was taken ..."""
    code_field: str = ""
    """... where this field of the JSON answer ..."""
    success_codes: tuple[Code, ...] = ()
    """... has one of these codes; empty: whatever it has."""
    no_such_address: tuple[Code, ...] = ()
    """Codes of an address that does not exist: it is sent nothing more."""
    rejected: tuple[Code, ...] = ()
    """Codes of a message that will never be taken."""
    deferred: tuple[Code, ...] = ()
    """Codes of a message that was not taken for now."""
    unavailable: tuple[Code, ...] = ()
    """Codes of trouble with the account, such as no money left: sending stops."""
    token_expired: tuple[Code, ...] = ()
    """Codes of a token that is no longer valid: the message is sent once more with a new one."""
    deferred_status: tuple[int, ...] = (408, 425, 429, 503)
    """Statuses with which a message was surely not taken for now."""
    id_field: str = ""
    """Where the provider's id of the message is."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        lists = (self.success_codes, self.no_such_address, self.rejected, self.deferred, self.unavailable)
        codes = [str(one) for some in (*lists, self.token_expired) for one in some]
        if codes and not self.code_field:
            raise ValueError("needs code_field next to codes")
        if len(codes) != len(set(codes)):
            raise ValueError("has a code in two lists")
        return self


class ReceiptsDescription(_Section):
    """Receipts that the provider posts as JSON to /api/receipts?provider=sms, or another name of a channel."""

    list_field: str = ""
    """Where the list of receipts is; empty: the body is one, or a list of them."""
    message_id_field: str = Field(min_length=1)
    """Where a receipt has our message_id, which the request must have sent along."""
    state_field: str = Field(min_length=1)
    """Where its state is ..."""
    states: dict[str, str]
    """... and which of our receipts each state is; others are left out."""
    time_field: str = Field(min_length=1)
    """Where its time is: ISO 8601 (without a zone by the shop's clock), or seconds or milliseconds since 1970."""
    no_such_address: tuple[Code, ...] = ()
    """States, or codes in code_field, of an address that does not exist: it is sent nothing more."""
    code_field: str = ""
    """Where the code of an error is."""

    @field_validator("states")
    @classmethod
    def _are_kinds(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := next((one for one in value.values() if one not in KINDS), None):
            raise ValueError(f"needs one of {', '.join(KINDS)}, not {wrong!r}")
        return value


class ProviderDescription(_Section):
    """A provider of text messages or template messages."""

    request: RequestDescription
    answer: AnswerDescription = AnswerDescription()
    signature: SignatureDescription | None = None
    token: TokenDescription | None = None
    receipts: ReceiptsDescription | None = None
    is_idempotent: bool = False
    """Whether the provider takes a {message_id} only once, so that a message without an answer may be sent again."""
    timestamp: Literal["unix", "unix_ms", "iso"] = "unix"
    """How {timestamp} is written."""
    country_code: str = ""
    """Of telephone numbers without one, such as 49; empty: such numbers are rejected."""
    price_per_segment: float = Field(default=0, ge=0, allow_inf_nan=False)
    """What one segment of a text message costs, in the shop's currency."""

    @field_validator("country_code")
    @classmethod
    def _is_a_country_code(cls, value: str) -> str:
        if value and not COUNTRY_CODE.fullmatch(value):
            raise ValueError("needs digits without + or 00, such as 49")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.is_idempotent and "message_id" not in self.request.placeholders:
            raise ValueError("needs {message_id} in the request next to is_idempotent")
        if self.token is None and ("token" in self.request.placeholders or self.answer.token_expired):
            raise ValueError("needs a section [token], as {token} or token_expired is there")
        return self

    @property
    def secret_names(self) -> frozenset[str]:
        """Names of the secrets that it needs."""
        signature = self.signature
        names = self.request.placeholders | (self.token.placeholders if self.token else frozenset())
        names |= frozenset(placeholders_in([signature.text])) | {f"secret.{signature.secret}"} if signature else names
        return frozenset(name.removeprefix("secret.") for name in names if name.startswith("secret."))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters that every message needs."""
        names = (one.removeprefix("parameters.") for one in self.request.placeholders if one.startswith("parameters."))
        return tuple(sorted(names))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a description. Raises ChannelUnavailable with all that is wrong."""
        todo = "Correct the file; `patron channels provider-example sms` prints one that works."
        try:
            return cls.model_validate(read_toml(path))
        except SettingsError as error:
            raise ChannelUnavailable(error.what, where=str(path), todo=todo) from error
        except ValidationError as error:
            raise ChannelUnavailable(problems_of(error, cls), where=str(path), todo=todo) from error


def placeholders_in(content: object, depth: int = 0) -> Iterator[str]:
    """Names of the placeholders in texts, at any depth. Raises ValueError for a deep one."""
    if depth > DEEPEST:
        raise ValueError(f"is nested deeper than {DEEPEST} levels")
    if isinstance(content, str):
        yield from PLACEHOLDER.findall(content)
    elif isinstance(content, Mapping):
        for one in content.values():
            yield from placeholders_in(one, depth + 1)
    elif isinstance(content, list | tuple):
        for one in content:
            yield from placeholders_in(one, depth + 1)


def phone_country_code(shop: Shop) -> str:
    """Country code of telephone numbers without one, as the provider of a channel says; empty where none does.

    Raises ChannelUnavailable for a description that is wrong.
    """
    for name in DESCRIBED:
        settings = shop.settings.channels.provider(name)
        if settings.is_configured and CHANNELS[name].address_kind == PHONE_NUMBER:
            return ProviderDescription.load(shop.folder / settings.provider_file).country_code
    return ""
