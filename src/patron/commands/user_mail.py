"""E-mail to users: a link, where an SMTP server is configured."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.engage.channels.team_email import TeamEmail
from patron.govern.users import User
from patron.schema.errors import ChannelUnavailable
from patron.storage.shop import Shop

__all__ = ["User"]
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class UserMail:
    """A letter to a user."""

    subject: str
    text: str


Compose = Callable[[User, str], UserMail]
"""Writes the letter to a user about a path, in the user's language."""


def can_send_mail(shop: Shop) -> bool:
    """Whether an SMTP server is configured."""
    return shop.settings.channels.email.is_configured


def send_user_mail(shop: Shop, user: User, mail: UserMail, *, now: datetime) -> bool:
    """Send a letter; returns whether the server took it; the log of ours says what failed."""
    if not can_send_mail(shop):
        return False
    message = OutgoingMessage(secrets.token_hex(16), user.email, user.name, mail.subject, mail.text, "", "", "")
    try:
        handover = asyncio.run(_hand_over(TeamEmail.of(shop, clock=lambda: now), message))
    except ChannelUnavailable as error:
        LOG.warning("no e-mail to user %s: %s", user.user_id, error)
        return False
    if handover is None or handover.outcome is not Outcome.SENT:
        LOG.warning("no e-mail to user %s: %s", user.user_id, handover.detail if handover else "no answer")
        return False
    return True


async def _hand_over(channel: TeamEmail, message: OutgoingMessage) -> Handover | None:
    answer = None
    async for handover in channel.hand_over([message]):
        answer = handover
    return answer
