"""E-mail by SMTP: each message is signed, can be unsubscribed by one click (RFC 8058), and is handed over once.

What is known afterwards decides the outcome. An answer of the server is certain: 2xx, 4xx, 5xx. A connection that is
lost before the message was written left nothing behind: it is tried again at once over a new connection, then deferred.
Once it was written and no answer came, the server may have taken it: unknown. aiosmtplib waits for each answer before
it sends the next command, so that several connections, and not pipelining, make up for the distance to the server.
"""

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException
from email_validator import EmailNotValidError, validate_email

from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.engage.channels.dkim import DkimSigner
from patron.engage.channels.waiting_messages import WaitingMessages, answers_of
from patron.engage.mime import (
    Header,
    date_header,
    header_bytes,
    header_text,
    mailbox,
    message_bytes,
)
from patron.schema.common_sentences import CHANNEL_EXAMPLE, CORRECT_CHANNEL
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.channels.channel_description import AddressKind
from patron.schema.outreach.channels.email import EMAIL
from patron.schema.sentences import Sentence
from patron.storage.outreach.email_settings import EmailSettings
from patron.storage.shop import Shop

SMTP_PASSWORD_MISSING = Sentence("smtp_password_missing", "the password of {name} is missing")
NAME_PASSWORD_FILE = Sentence("name_password_file", "Name a password_file in [channels.email], or set {variable}.")
SMTP_NOT_READY = Sentence("smtp_not_ready", "the SMTP server is not ready ({cause})")
SMTP_REFUSES_SENDER = Sentence("smtp_refuses_sender", "the SMTP server refuses the sender ({cause})")

SMTP_NOT_CONFIGURED = Sentence("smtp_not_configured", "no SMTP server is configured")
PASSWORD_UNREADABLE = Sentence("password_unreadable", "the password cannot be read ({cause})")

Clock = Callable[[], datetime]
NAME = EMAIL.name
PASSWORD_VARIABLE = "PATRON_EMAIL_PASSWORD"  # noqa: S105 - the name of a variable
MESSAGE_ID = re.compile("[0-9a-f]{32}")
TOKEN = re.compile("[A-Za-z0-9_-]{1,1000}")
LINE_STARTS_WITH_DOT = re.compile(rb"(?m)^\.")
MAX_DETAIL_LENGTH = 200
TOO_LARGE = 552
START_INPUT = 354
TODO = CORRECT_CHANNEL(channel="email")
NOT_READY = Sentence(
    "start_or_correct_email",
    "Start the server, or correct [channels.email] in patron.toml; `patron channels list` tries it again.",
)


@dataclass(frozen=True)
class EmailChannel:
    """The way to mailboxes over one SMTP server."""

    settings: EmailSettings
    sender_name: str
    clock: Clock = field(repr=False)
    """What the header Date says."""
    signer: DkimSigner | None = None
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """Whom to trust; None: the system's authorities."""
    name: str = NAME
    address_kind: AddressKind = EMAIL.address_kind

    @classmethod
    def of(cls, shop: Shop, *, clock: Clock) -> Self:
        """The channel as [channels.email] says. Raises ChannelUnavailable."""
        settings = shop.settings.channels.email
        if not settings.is_configured:
            todo = CHANNEL_EXAMPLE(section="channels.email")
            raise ChannelUnavailable(SMTP_NOT_CONFIGURED, where=NAME, todo=todo)
        signer = None
        if settings.dkim_key_file:
            file = shop.folder / settings.dkim_key_file
            signer = DkimSigner.load(file, domain=settings.domain, selector=settings.dkim_selector)
        name = settings.from_name or shop.settings.shop.name
        return cls(settings, name, clock, signer, _password(settings, shop.folder))

    async def hand_over(self, messages: Iterable[OutgoingMessage]) -> AsyncIterator[Handover]:
        """Hand messages over on several connections; see the protocol. Raises ChannelUnavailable."""
        waiting = WaitingMessages(iter(messages), self.settings.messages_per_second)
        workers = [partial(self._work, waiting)] * self.settings.connections
        async with aclosing(answers_of(waiting, workers)) as answers:
            async for answer in answers:
                yield answer

    async def require_reachable(self) -> None:
        """Connect and log in, and send nothing. Raises ChannelUnavailable."""
        client = await self._connect()
        await _quit(client)

    async def _work(self, waiting: WaitingMessages) -> None:
        """Send over one connection until no message is left. Raises ChannelUnavailable."""
        client = await self._connect()
        try:
            while (message := await waiting.next()) is not None:
                answer = await self._send(client, message)
                if answer is None:  # why: nothing was sent, so that another connection may send it
                    try:
                        client = await self._connect()
                    except ChannelUnavailable:
                        waiting.answers.put_nowait(Handover(message.message_id, Outcome.DEFERRED, "connection lost"))
                        raise
                    answer = await self._send(client, message)
                waiting.answers.put_nowait(answer or Handover(message.message_id, Outcome.DEFERRED, "connection lost"))
                if not client.is_connected and not waiting.is_over:
                    client = await self._connect()
        finally:
            await _quit(client)

    async def _connect(self) -> SMTP:
        settings = self.settings
        client = SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self.tls,
            username=settings.user or None,
            password=self.password if settings.user else None,
            timeout=settings.timeout_seconds,
            local_hostname=settings.domain,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except (SMTPException, OSError, ssl.SSLError) as error:
            _close(client)
            where = f"{settings.host}:{settings.port}"
            what = SMTP_NOT_READY(cause=_reason(error))
            raise ChannelUnavailable(what, where=where, todo=NOT_READY) from error
        return client

    async def _send(self, client: SMTP, message: OutgoingMessage) -> Handover | None:
        """Send a message; None where the connection was lost before anything could have been taken."""

        def outcome(what: Outcome, detail: str) -> Handover:
            return Handover(message.message_id, what, detail)

        try:
            recipient = _checked_address(message.recipient)
            content = self.content(message, recipient)
        except (EmailNotValidError, ValueError):
            return outcome(Outcome.REJECTED, "not a valid address or message")
        try:
            refusal = await self._envelope(client, message, recipient)
        except (SMTPException, OSError):
            _close(client)
            return None
        if refusal is not None:
            return refusal
        try:
            response = await _data(client, content, self.settings.timeout_seconds)
        except (SMTPException, OSError):
            _close(client)
            return outcome(Outcome.UNKNOWN, "no answer after the end of the message")
        return outcome(_outcome(response.code), _detail(response.code, response.message, recipient))

    async def _envelope(self, client: SMTP, message: OutgoingMessage, recipient: str) -> Handover | None:
        """MAIL, RCPT and DATA; a handover where the server refuses one. Raises ChannelUnavailable for the sender."""
        commands = (f"MAIL FROM:<{self.return_path(message.message_id)}>", f"RCPT TO:<{recipient}>", "DATA")
        for command in commands:
            response = await client.execute_command(command.encode("ascii"))
            if response.code < 400:
                if command == "DATA" and response.code != START_INPUT:
                    raise SMTPException("unexpected answer to DATA")
                continue
            result = _outcome(response.code)
            detail = _detail(response.code, response.message, recipient)
            if command.startswith("MAIL") and result is Outcome.REJECTED and response.code != TOO_LARGE:
                raise ChannelUnavailable(SMTP_REFUSES_SENDER(cause=detail), where=NAME, todo=TODO)
            await _reset(client)
            return Handover(message.message_id, result, detail)
        return None

    def content(self, message: OutgoingMessage, recipient: str) -> bytes:
        """The message as it is sent, signed. Raises ValueError for one that no header can hold."""
        at, settings = self.clock(), self.settings
        if not MESSAGE_ID.fullmatch(message.message_id) or not TOKEN.fullmatch(message.unsubscribe_token):
            raise ValueError("the message has no valid id or token")
        headers: list[Header] = [
            ("From", mailbox(self.sender_name, settings.from_address)),
            ("To", mailbox(message.recipient_name, recipient)),
            ("Subject", header_text(message.subject)),
            ("Date", date_header(at)),
            ("Message-ID", f"<{message.message_id}@{settings.domain}>"),
        ]
        if settings.reply_to:
            headers.append(("Reply-To", settings.reply_to))
        headers += [
            ("List-Unsubscribe", f"<{self.unsubscribe_url(message.unsubscribe_token)}>,\r\n <{self._mailto(message)}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]
        headers, body = message_bytes(headers, message.text, message.html, f"=_{message.message_id}")
        if self.signer:
            headers = [self.signer.signature(headers, body, at), *headers]
        return header_bytes(headers) + b"\r\n" + body

    def unsubscribe_url(self, token: str) -> str:
        """Where a customer ends the topic of a message."""
        return f"{self.settings.public_url}/u/{token}"

    def return_path(self, message_id: str) -> str:
        """Address that a bounce of a message goes to."""
        domain = self.settings.bounce_domain
        return f"bounces+{message_id}@{domain}" if domain else self.settings.from_address

    def _mailto(self, message: OutgoingMessage) -> str:
        settings = self.settings
        to = f"unsubscribe@{settings.bounce_domain}" if settings.bounce_domain else settings.reply_to
        return f"mailto:{to or settings.from_address}?subject=unsubscribe%20{message.unsubscribe_token}"


async def _data(client: SMTP, content: bytes, timeout: float) -> SMTPResponse:  # noqa: ASYNC109 - of one answer
    """Write a message after the server is ready for it, and wait for the answer. Raises SMTPException."""
    protocol = client.protocol
    if protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("connection lost")
    protocol.write(LINE_STARTS_WITH_DOT.sub(b"..", content) + b".\r\n")
    return await protocol.read_response(timeout=timeout)


def _close(client: SMTP) -> None:
    """End a connection at once, also one whose encryption would still be wound up."""
    transport = client.transport
    client.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


async def _reset(client: SMTP) -> None:
    try:
        await client.rset()
    except (SMTPException, OSError):
        _close(client)


async def _quit(client: SMTP) -> None:
    with suppress(SMTPException, OSError):
        if client.is_connected:
            await client.quit(timeout=1)
    _close(client)


def _outcome(code: int) -> Outcome:
    kinds = {2: Outcome.SENT, 4: Outcome.DEFERRED, 5: Outcome.REJECTED}
    return kinds.get(code // 100, Outcome.UNKNOWN)


def _reason(error: Exception) -> str:
    """Why there is no connection, in a few words."""
    if isinstance(error, SMTPResponseException):
        return _detail(error.code, error.message, "")
    cause = error.__cause__ if isinstance(error, SMTPException) else error
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there"
    return str(error)


def _detail(code: int, words: str, recipient: str) -> str:
    """Status code and words of an answer, without what names the recipient."""
    local_part = recipient.partition("@")[0].lower()
    kept = [
        "..." if "@" in word or (local_part and local_part in word.lower()) else word
        for word in words.encode("ascii", "replace").decode().split()
    ]
    return f"{code} {' '.join(kept)}"[:MAX_DETAIL_LENGTH].strip()


def _checked_address(address: str) -> str:
    """An address in ASCII. Raises EmailNotValidError."""
    checked = validate_email(address, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    return checked.ascii_email or checked.normalized


def _password(settings: EmailSettings, folder: Path) -> str:
    if not settings.user:
        return ""
    if not settings.password_file:
        password = os.environ.get(PASSWORD_VARIABLE, "")
        if not password:
            what = SMTP_PASSWORD_MISSING(name=settings.user)
            todo = NAME_PASSWORD_FILE(variable=PASSWORD_VARIABLE)
            raise ChannelUnavailable(what, where=NAME, todo=todo)
        return password
    file = folder / settings.password_file
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ChannelUnavailable(PASSWORD_UNREADABLE(cause=error), where=str(file), todo=TODO) from error
