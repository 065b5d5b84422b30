"""Channels looked at and tried: what is configured, what is missing, one message to oneself, and a key to sign with."""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import datetime
from html import escape

from patron.engage.channels.channel import Handover, OutgoingMessage
from patron.engage.channels.dkim import DkimSigner, dns_record, new_key
from patron.engage.channels.email import NAME, EmailChannel
from patron.govern.master_key import derive_keys
from patron.govern.unsubscribe_tokens import Subscription, token_of
from patron.govern.vault import Vault
from patron.schema.errors import ChannelUnavailable
from patron.storage.durable_files import make_private, write_durably
from patron.storage.shop import SETTINGS_FILE, Shop

KEY_FILE = "dkim.pem"
SELECTOR = "patron"
TEST_TOPIC = "offers"


@dataclass(frozen=True)
class ChannelState:
    """Whether a channel can be used."""

    name: str
    is_configured: bool
    is_reachable: bool | None
    """None where it was not tried, as something is missing."""
    is_signed: bool
    """Whether messages are signed by DKIM."""
    server: str
    sender: str
    problems: tuple[str, ...]
    """What is missing, and what to do."""


@dataclass(frozen=True)
class DkimKey:
    """A key: where it is, and what the domain name system must say."""

    file: str
    record_name: str
    record: str
    is_new: bool


def check_channels(shop: Shop, *, clock_at: datetime) -> list[ChannelState]:
    """State of every channel; connects to its provider, and sends nothing."""
    settings = shop.settings.channels.email
    problems: list[str] = []
    is_reachable = None
    try:
        channel = EmailChannel.of(shop, clock=lambda: clock_at)
        is_reachable = False
        asyncio.run(channel.require_reachable())
        is_reachable = True
    except ChannelUnavailable as error:
        problems.append(str(error))
    if settings.is_configured:
        if not settings.dkim_key_file:
            problems.append("Messages are not signed: most mailboxes refuse them. Make a key: patron channels key.")
        if not settings.bounce_domain:
            problems.append("No bounce_domain: bounces go to the sender's mailbox; `patron channels bounces` reads it.")
        if settings.public_url.startswith("http:"):
            problems.append("public_url is of this machine: customers elsewhere cannot unsubscribe by its links.")
    server = f"{settings.host}:{settings.port}" if settings.is_configured else ""
    is_signed = bool(settings.dkim_key_file) and not any("DKIM key" in one for one in problems)
    return [
        ChannelState(
            NAME, settings.is_configured, is_reachable, is_signed, server, settings.from_address, tuple(problems)
        )
    ]


def send_test(shop: Shop, address: str, *, now: datetime) -> Handover:
    """Send one message to an address, signed and with links that work. Raises ChannelUnavailable."""
    channel = EmailChannel.of(shop, clock=lambda: now)
    contact = Vault.open(shop).token("email", address)
    keys, name = derive_keys(shop.master_key()), shop.settings.shop.name
    token = token_of(keys, Subscription("", contact, NAME, TEST_TOPIC, locale=shop.settings.shop.locale))
    url = channel.unsubscribe_url(token)
    text = f"This message shows that {name} can send e-mail.\n\nUnsubscribe: {url}\n"
    html = f'<p>This message shows that {escape(name)} can send e-mail.</p><p><a href="{url}">Unsubscribe</a></p>\n'
    subject = f"Test of {name}"
    message = OutgoingMessage(secrets.token_hex(16), address, "", subject, text, html, TEST_TOPIC, token)

    async def hand_over() -> Handover:
        return [one async for one in channel.hand_over([message])].pop()

    return asyncio.run(hand_over())


def make_dkim_key(shop: Shop, *, selector: str = SELECTOR, file: str = KEY_FILE) -> DkimKey:
    """Make a key in the workspace that only its owner can read, unless there is one; return its DNS record.

    Raises ChannelUnavailable for a file that is no key.
    """
    path = shop.folder / file
    is_new = not path.exists()
    if is_new:
        write_durably(path, new_key())
        make_private(path)
    domain = shop.settings.channels.email.domain or "YOUR.DOMAIN"
    DkimSigner.load(path, domain=domain, selector=selector)
    return DkimKey(str(path), f"{selector}._domainkey.{domain}", dns_record(path.read_bytes()), is_new=is_new)


def example_section(shop_settings_file: str = SETTINGS_FILE) -> str:
    """A section [channels.email] that works on this machine, and how to try it."""
    return f"""# Add this to {shop_settings_file}. It sends to a server on this machine that prints what it takes:
#     python -m aiosmtpd -n -c aiosmtpd.handlers.Debugging stdout -l 127.0.0.1:2525
# Then: patron channels key          makes {KEY_FILE}, and prints the DNS record of your domain
#       patron channels list         says what is missing
#       patron channels test you@shop.example
[channels.email]
host = "127.0.0.1"                    # your provider's SMTP server, such as "smtp.shop.example"
port = 2525                           # 587 with starttls, 465 with tls
security = "none"                     # "starttls" or "tls" with every server but one on this machine
from = "shop@shop.example"
public_url = "http://127.0.0.1:8321"  # this server for customers: links to unsubscribe lead there
dkim_selector = "{SELECTOR}"
dkim_key_file = "{KEY_FILE}"
# user = "shop"                       # the password is in password_file, or in the variable PATRON_EMAIL_PASSWORD
# password_file = "/etc/patron/smtp-password"
# bounce_domain = "bounces.shop.example"   # return path of each message, so that bounces are surely known
# messages_per_second = 50            # most that your provider takes
"""
