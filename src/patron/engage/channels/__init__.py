"""Ways to people, one file each; to add one: its file, and its name in CHANNELS."""

from collections.abc import Callable, Mapping

from patron.engage.channels.channel import Channel
from patron.engage.channels.file import FileChannel
from patron.schema.errors import ChannelUnavailable
from patron.storage.shop import Shop

CHANNELS: Mapping[str, Callable[[Shop], Channel]] = {"file": FileChannel.of}
"""How each channel is made from a shop's settings."""


def channel_of(shop: Shop, name: str) -> Channel:
    """The channel of a name. Raises ChannelUnavailable for an unknown one, or one that is not configured."""
    if name not in CHANNELS:
        what = f"there is no channel {name!r}"
        raise ChannelUnavailable(what, where="channel", todo=f"There is {', '.join(sorted(CHANNELS))}.")
    return CHANNELS[name](shop)
