"""Examples that work on this machine: a section of patron.toml for each channel, and a description of a provider."""

from patron.schema.errors import ChannelUnavailable, NotFound
from patron.schema.outreach.channels import CHANNELS, CONFIGURABLE, DESCRIBED


def example_section(channel: str = "email") -> str:
    """A section of patron.toml that works on this machine, and how to try it. Raises ChannelUnavailable."""
    if channel not in CONFIGURABLE:
        what = f"there is no example of a channel {channel!r}"
        raise ChannelUnavailable(what, where="channel", todo=f"There is one of {', '.join(CONFIGURABLE)}.")
    return CHANNELS[channel].example


def provider_example(channel: str) -> str:
    """A description of a channel's provider that works with a server on this machine. Raises NotFound."""
    if channel not in DESCRIBED:
        todo = f"There is {' and '.join(DESCRIBED)}."
        raise NotFound(f"there is no example {channel!r}", where="channel", todo=todo)
    return CHANNELS[channel].provider_example
