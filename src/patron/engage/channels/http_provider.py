"""Messages by any provider with an HTTP interface, which a file describes: SMS, WeChat and others.

One request is one message. What is known afterwards decides the outcome, as with e-mail: an answer is certain; nothing
was sent where there was no connection; once the request was written and no answer came, or one that says nothing, the
provider may have taken it: unknown, or deferred where the provider takes a message id only once.
"""

import asyncio
import hashlib
import logging
import math
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx

from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.engage.channels.guarded_http import NOT_SENT, GuardedClient, retry_after_seconds
from patron.engage.channels.waiting_messages import WaitingMessages, send_each
from patron.engage.providers.provider_answer import ProviderAnswer, at_path, json_of, read_answer
from patron.engage.providers.provider_description import ProviderDescription, TokenDescription
from patron.engage.providers.provider_request import (
    ProviderRequest,
    Unfit,
    build_request,
    parameters_json,
    parameters_of,
    phone_number,
    time_text,
)
from patron.engage.templates.message_links import message_links
from patron.engage.templates.message_template import UNSUBSCRIBE_URL
from patron.schema.common_sentences import CHANNEL_EXAMPLE_OF, NOT_REACHED, URL_PROBLEM
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.channels.channel_description import PHONE_NUMBER, AddressKind, ChannelDescription
from patron.schema.sentences import Sentence
from patron.storage.outreach.provider_settings import ProviderSettings
from patron.storage.shop import Shop

TAKES_NO_MESSAGES = Sentence(
    "takes_no_messages", "accepts no messages ({detail}): check its address, its secrets and the account"
)
GIVES_NO_TOKEN_STATUS = Sentence(
    "gives_no_token_status", "issues no token (HTTP {status}): check the secret and {field}"
)
GIVES_NO_TOKEN = Sentence("gives_no_token", "issues no token ({kind})")

PROVIDER_PROBLEM = Sentence("provider_problem", "the provider {problem}")

SECRET_NAMED_UNREADABLE = Sentence("secret_named_unreadable", "the secret {name} cannot be read ({cause})")
SECRET_NAMED_MISSING = Sentence("secret_named_missing", "the secret {name} is missing")
SECRET_NOT_ASCII = Sentence("secret_not_ascii", "the secret {name} is not one word of ASCII")
NAME_SECRET_FILE = Sentence(
    "name_secret_file", "Name its file in [channels.{channel}.secret_files], {name} = ..., or set {variable}."
)
PROVIDER_NOT_CONFIGURED = Sentence("provider_not_configured", "no provider is configured")

Clock = Callable[[], datetime]
PRINTABLE = re.compile("[!-~]{1,4096}")
"""A secret or token."""
MAX_LIFE_SECONDS = 10**7
MARGIN = timedelta(seconds=60)
"""A token is renewed this long before it ends, or a tenth of its life."""
TODO = Sentence(
    "provider_todo",
    "Correct [channels.{name}] in patron.toml or the description; `patron channels test --channel {name}` tries it.",
)
_tokens: "dict[tuple[str, str], _Token]" = {}
"""Tokens of access that this process has, by channel and a hash of who asks: providers allow few requests for them."""

for _library in ("httpx", "httpcore"):  # why: they log addresses and headers, in which secrets and numbers may stand
    logging.getLogger(_library).setLevel(logging.WARNING)


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    until: datetime


@dataclass(frozen=True)
class ProviderChannel:
    """The way to people by a provider that a file describes."""

    described: ChannelDescription
    settings: ProviderSettings
    provider: ProviderDescription
    secrets: Mapping[str, str] = field(repr=False)
    """Values of {secret.NAME}."""
    clock: Clock = field(repr=False)
    unsubscribe_url: Callable[[str], str] = field(repr=False)
    """Address that ends a topic, by the token of a message."""

    @classmethod
    def of(cls, described: ChannelDescription, shop: Shop, *, clock: Clock) -> Self:
        """The channel as its section says. Raises ChannelUnavailable."""
        name, settings = described.name, shop.settings.channels.provider(described.name)
        if not settings.is_configured:
            todo = CHANNEL_EXAMPLE_OF(channel=name)
            raise ChannelUnavailable(PROVIDER_NOT_CONFIGURED, where=name, todo=todo)
        file = shop.folder / settings.provider_file
        provider = ProviderDescription.load(file)
        for one in (provider.request, provider.token):
            try:
                settings.require_allowed(one.url.partition("{")[0] if one else "https://unused.example")
            except ValueError as error:
                raise ChannelUnavailable(
                    URL_PROBLEM(problem=error.args[0]), where=str(file), todo=_todo(name)
                ) from error
        values = {one: _secret(one, name, settings, shop.folder) for one in sorted(provider.secret_names)}
        return cls(
            *(described, settings, provider, values, clock),
            lambda token: message_links(shop.settings, token)[UNSUBSCRIBE_URL],
        )

    @property
    def name(self) -> str:
        """Name of the channel."""
        return self.described.name

    @property
    def address_kind(self) -> AddressKind:
        """What it reaches a person by."""
        return self.described.address_kind

    async def hand_over(self, messages: Iterable[OutgoingMessage]) -> AsyncIterator[Handover]:
        """Send a request for each message; see the protocol. Raises ChannelUnavailable."""
        waiting, settings = WaitingMessages(iter(messages), self.settings.messages_per_second), self.settings
        async with self._client() as client:
            await self._require_reachable(client)
            send = partial(self._send, client, asyncio.Lock(), waiting)
            async with aclosing(send_each(waiting, send, connections=settings.connections)) as answers:
                async for answer in answers:
                    yield answer

    async def require_reachable(self) -> None:
        """Connect, and send nothing. Raises ChannelUnavailable."""
        async with self._client() as client:
            await self._require_reachable(client)

    def request(self, message: OutgoingMessage, token: str = "") -> ProviderRequest:
        """The request for a message. Raises Unfit for one that the provider cannot be sent."""
        parameters = parameters_of(message.text)
        recipient = message.recipient
        kind = self.address_kind
        if kind == PHONE_NUMBER:
            recipient = phone_number(recipient, self.provider.country_code)
        elif kind.pattern and not re.fullmatch(kind.pattern, recipient):
            raise Unfit(f"not a {kind.label}")
        values = self._values() | {
            "token": token,
            "message_id": message.message_id,
            "recipient": recipient,
            "recipient_digits": recipient.removeprefix("+"),
            "recipient_name": message.recipient_name,
            "subject": message.subject,
            "text": message.text.strip(),
            "unsubscribe_url": self.unsubscribe_url(message.unsubscribe_token),
            "parameters_json": parameters_json(parameters),
            **{f"parameters.{name}": value for name, value in parameters.items()},
        }
        whole = {name: value.encode(errors="replace").decode() for name, value in values.items()}
        return build_request(self.provider.request, whole, self.provider.signature)

    async def _send(
        self, client: GuardedClient, lock: asyncio.Lock, waiting: WaitingMessages, message: OutgoingMessage
    ) -> Handover:
        answer = ProviderAnswer(Outcome.DEFERRED, "")
        for is_last in (False, True):
            token = await self._token(client, lock)
            try:
                request = self.request(message, token)
            except Unfit as error:
                return Handover(message.message_id, Outcome.REJECTED, str(error))
            try:
                response = await _exchange(client, request)
            except NOT_SENT as error:
                raise self._unavailable(NOT_REACHED(cause=error)) from error
            except httpx.HTTPError as error:
                outcome = Outcome.DEFERRED if self.provider.is_idempotent else Outcome.UNKNOWN
                return Handover(message.message_id, outcome, f"no answer ({type(error).__name__})")
            answer = read_answer(
                self.provider.answer,
                response.status_code,
                response.content,
                is_idempotent=self.provider.is_idempotent,
                has_token=self.provider.token is not None,
            )
            if answer.is_token_expired and not is_last:
                _tokens.pop(self._token_key, None) if self._is_current(token) else None
                continue
            if answer.outcome is Outcome.DEFERRED:
                waiting.pause(retry_after_seconds(response))
            break
        detail = self._public(answer.detail, message)
        if answer.outcome is None:
            raise self._unavailable(TAKES_NO_MESSAGES(detail=detail))
        return Handover(message.message_id, answer.outcome, detail, answer.is_gone)

    async def _token(self, client: GuardedClient, lock: asyncio.Lock) -> str:
        """The token of access; a new one where there is none, or the last one is about to end."""
        described = self.provider.token
        if described is None:
            return ""
        async with lock:  # why: a provider may end the last token when it makes one, so that one at a time is made
            known = _tokens.get(self._token_key)
            if known is None or self.clock() >= known.until:
                known = _tokens[self._token_key] = await self._new_token(client, described)
            return known.text

    async def _new_token(self, client: GuardedClient, described: TokenDescription) -> _Token:
        try:
            response = await _exchange(client, build_request(described, self._values()))
        except httpx.HTTPError as error:
            raise self._unavailable(GIVES_NO_TOKEN(kind=type(error).__name__)) from error
        content = json_of(response.content)
        text, seconds = at_path(content, described.token_field), at_path(content, described.seconds_field)
        if not response.is_success or not isinstance(text, str) or not PRINTABLE.fullmatch(text):
            raise self._unavailable(GIVES_NO_TOKEN_STATUS(status=response.status_code, field=described.token_field))
        life = timedelta(seconds=_life_seconds(seconds, described.seconds))
        return _Token(text, self.clock().astimezone(UTC) + life - min(MARGIN, life / 10))

    def _is_current(self, token: str) -> bool:
        known = _tokens.get(self._token_key)
        return known is not None and known.text == token

    @property
    def _token_key(self) -> tuple[str, str]:
        whose = f"{self.provider.token!r} {sorted(self.secrets.items())!r}"
        return self.name, hashlib.sha256(whose.encode()).hexdigest()

    def _values(self) -> dict[str, str]:
        """What every request may name."""
        values = {"timestamp": time_text(self.provider, self.clock()), "nonce": secrets.token_hex(16)}
        return values | {f"secret.{name}": value for name, value in self.secrets.items()}

    def _public(self, detail: str, message: OutgoingMessage) -> str:
        """A detail without an id or code in which the recipient or a secret stands."""
        digits = re.sub(r"\D", "", message.recipient)
        hidden = (*self.secrets.values(), message.recipient, digits if self.address_kind == PHONE_NUMBER else "")
        shorter = (detail, detail.partition(" id ")[0], detail.partition(" code ")[0])
        return next((one for one in shorter if not any(word and word in one for word in hidden)), "")

    def _client(self) -> GuardedClient:
        settings = self.settings
        return GuardedClient(
            local_hosts=settings.local_hosts,
            timeout_seconds=settings.timeout_seconds,
            connections=settings.connections,
        )

    async def _require_reachable(self, client: GuardedClient) -> None:
        try:
            await client.require_reachable(self.provider.request.url.partition("{")[0])
        except httpx.HTTPError as error:
            raise self._unavailable(NOT_REACHED(cause=error)) from error

    def _unavailable(self, what: str) -> ChannelUnavailable:
        return ChannelUnavailable(PROVIDER_PROBLEM(problem=what), where=self.name, todo=_todo(self.name))


async def _exchange(client: GuardedClient, request: ProviderRequest) -> httpx.Response:
    return await client.request(request.method, request.url, content=request.body or None, headers=request.headers)


def _life_seconds(stated: Any, default: float) -> float:
    """How long a token lasts, as the provider states it, where it states a number."""
    try:
        seconds = float(stated)
    except (TypeError, ValueError, OverflowError):
        return default
    return default if math.isnan(seconds) else min(max(seconds, 0), MAX_LIFE_SECONDS)


def _secret(name: str, channel: str, settings: ProviderSettings, folder: Path) -> str:
    """A secret from its file or variable. Raises ChannelUnavailable."""
    variable, file = f"PATRON_{channel.upper()}_{name}", folder / settings.secret_files.get(name, "")
    is_file = name in settings.secret_files
    todo = NAME_SECRET_FILE(channel=channel, name=name, variable=variable)
    try:
        text = (file.read_text(encoding="utf-8") if is_file else os.environ.get(variable, "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        what = SECRET_NAMED_UNREADABLE(name=name, cause=getattr(error, "strerror", None) or "it is not UTF-8")
        raise ChannelUnavailable(what, where=str(file), todo=todo) from error
    if not PRINTABLE.fullmatch(text):
        what = (SECRET_NOT_ASCII if text else SECRET_NAMED_MISSING)(name=name)
        raise ChannelUnavailable(what, where=channel, todo=todo)
    return text


def _todo(name: str) -> str:
    return TODO(name=name)
