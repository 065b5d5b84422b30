"""How channels deliver: one file for each protocol, and one for all providers that a file describes.

What a channel is, `schema/outreach/channels/` describes; one whose provider a file describes needs nothing here.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from patron.engage.channels.channel import Channel
from patron.engage.channels.email import EmailChannel
from patron.engage.channels.file import FileChannel
from patron.engage.channels.http_provider import ProviderChannel
from patron.engage.channels.web_push import WebPushChannel
from patron.engage.channels.webhook import WebhookChannel
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.channels import CHANNELS, DESCRIBED
from patron.storage.shop import Shop


class ChannelMaker(Protocol):
    """Makes a channel as the settings of a shop say; raises ChannelUnavailable where they do not."""

    def __call__(self, shop: Shop, *, clock: Callable[[], datetime]) -> Channel:
        """The channel; `clock` says the time of what it sends."""
        ...


MAKERS: Mapping[str, ChannelMaker] = {
    **{name: partial(ProviderChannel.of, CHANNELS[name]) for name in DESCRIBED},
    "email": EmailChannel.of,
    "file": FileChannel.of,
    "web_push": WebPushChannel.of,
    "webhook": WebhookChannel.of,
}
"""How each channel is made."""


def channel_of(shop: Shop, name: str, *, clock: Callable[[], datetime]) -> Channel:
    """The channel of a name. Raises ChannelUnavailable for an unknown one, or one that is not configured."""
    if name not in MAKERS:
        what = f"there is no channel {name!r}"
        raise ChannelUnavailable(what, where="channel", todo=f"There is {', '.join(sorted(MAKERS))}.")
    return MAKERS[name](shop, clock=clock)
