"""Ways to people, one file each; to add one: its file, and its name in CHANNELS and ADDRESS_KINDS.

`channel` is what every one of them does.
Ways: `email` (bytes by `mime`, signed by `dkim`), `http_provider` (SMS, WeChat), `web_push`, `webhook`, `file`.
All of them: `waiting_messages` bounds rate and workers, `guarded_http` reaches public servers only.
`team_email` writes to the shop's own people.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from patron.engage.channels.channel import AddressKind, Channel
from patron.engage.channels.email import EmailChannel
from patron.engage.channels.file import FileChannel
from patron.engage.channels.http_provider import SMS, WECHAT, ProviderChannel
from patron.engage.channels.web_push import WebPushChannel
from patron.engage.channels.webhook import WebhookChannel
from patron.schema.errors import ChannelUnavailable
from patron.storage.shop import Shop


class ChannelMaker(Protocol):
    """Makes a channel as the settings of a shop say; raises ChannelUnavailable where they do not."""

    def __call__(self, shop: Shop, *, clock: Callable[[], datetime]) -> Channel:
        """The channel; `clock` says the time of what it sends."""
        ...


CHANNELS: Mapping[str, ChannelMaker] = {
    "email": EmailChannel.of,
    "file": FileChannel.of,
    "sms": partial(ProviderChannel.of, SMS),
    "wechat": partial(ProviderChannel.of, WECHAT),
    "web_push": WebPushChannel.of,
    "webhook": WebhookChannel.of,
}
"""How each channel is made."""
ADDRESS_KINDS: Mapping[str, AddressKind] = {
    "email": AddressKind.EMAIL,
    "file": AddressKind.EMAIL,
    "sms": AddressKind.PHONE,
    "wechat": AddressKind.WECHAT,
    "web_push": AddressKind.WEB_PUSH,
    "webhook": AddressKind.USER_ID,
}
"""What each channel reaches a person by, known before it is set up."""


def channel_of(shop: Shop, name: str, *, clock: Callable[[], datetime]) -> Channel:
    """The channel of a name. Raises ChannelUnavailable for an unknown one, or one that is not configured."""
    if name not in CHANNELS:
        what = f"there is no channel {name!r}"
        raise ChannelUnavailable(what, where="channel", todo=f"There is {', '.join(sorted(CHANNELS))}.")
    return CHANNELS[name](shop, clock=clock)
