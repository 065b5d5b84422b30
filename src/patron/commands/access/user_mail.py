"""E-mail to users: a link or a digest, where an SMTP server is configured."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.engage.channels.email import MESSAGE_ID, EmailChannel
from patron.engage.mime import Header, date_header, header_bytes, header_text, mailbox, message_bytes
from patron.govern.access.users import User
from patron.schema.errors import ChannelUnavailable
from patron.storage.shop import Shop

__all__ = ["User"]
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class UserMail:
    """A letter to a user."""

    subject: str
    text: str
    html: str = ""
    """The same as HTML; empty for a letter of text alone."""
    one_click_url: str = ""
    """Where mail programs end letters of this kind by one click; empty where there is nothing to end."""


@dataclass(frozen=True)
class TeamEmail(EmailChannel):
    """The way to mailboxes, for letters to the shop's own team that are no advertising: digests end by one click."""

    one_click_url: str = ""
    """Where letters of this kind end; empty where there is nothing to end."""

    def content(self, message: OutgoingMessage, recipient: str) -> bytes:
        """The message as it is sent, signed. Raises ValueError for one that no header can hold."""
        at, settings = self.clock(), self.settings
        if not MESSAGE_ID.fullmatch(message.message_id):
            raise ValueError("the message has no valid id")
        headers: list[Header] = [
            ("From", mailbox(self.sender_name, settings.from_address)),
            ("To", mailbox(message.recipient_name, recipient)),
            ("Subject", header_text(message.subject)),
            ("Date", date_header(at)),
            ("Message-ID", f"<{message.message_id}@{settings.domain}>"),
            ("Auto-Submitted", "auto-generated"),
        ]
        if self.one_click_url:
            headers += [
                ("List-Unsubscribe", f"<{self.one_click_url}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ]
        headers, body = message_bytes(headers, message.text, message.html, f"=_{message.message_id}")
        if self.signer:
            headers = [self.signer.signature(headers, body, at), *headers]
        return header_bytes(headers) + b"\r\n" + body


Compose = Callable[[User, str], UserMail]
"""Writes the letter to a user about a path, in the user's language."""


def can_send_mail(shop: Shop) -> bool:
    """Whether an SMTP server is configured."""
    return shop.settings.channels.email.is_configured


def send_user_mail(shop: Shop, user: User, mail: UserMail, *, now: datetime) -> bool:
    """Send a letter; returns whether the server took it; the log of ours says what failed."""
    if not can_send_mail(shop):
        return False
    try:
        handover = hand_over_mail(shop, user, mail, message_id=secrets.token_hex(16), now=now)
    except ChannelUnavailable as error:
        LOG.warning("no e-mail to user %s: %s", user.user_id, error.log_line)
        return False
    if handover.outcome is not Outcome.SENT:
        LOG.warning("no e-mail to user %s: %s", user.user_id, handover.detail)
        return False
    return True


def hand_over_mail(shop: Shop, user: User, mail: UserMail, *, message_id: str, now: datetime) -> Handover:
    """Hand a letter to the SMTP server and say what became of it. Raises ChannelUnavailable: it was not handed over."""
    message = OutgoingMessage(
        message_id,
        user.email,
        recipient_name=user.name,
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
        topic="",
        unsubscribe_token="",
    )
    channel = TeamEmail.of(shop, clock=lambda: now)
    # why: each connection logs in before it looks for a letter, and there is one
    settings = channel.settings.model_copy(update={"connections": 1})
    channel = replace(channel, settings=settings, one_click_url=mail.one_click_url)
    handover = asyncio.run(_hand_over(channel, message))
    return handover or Handover(message_id, Outcome.UNKNOWN, "no answer")


async def _hand_over(channel: TeamEmail, message: OutgoingMessage) -> Handover | None:
    answer = None
    try:
        async for handover in channel.hand_over([message]):
            answer = handover
    except ChannelUnavailable:
        if answer is None or answer.outcome is Outcome.DEFERRED:
            raise  # why: else the letter was answered for, and what failed is the next connection
    return answer
