"""Examples that work on this machine: a section of patron.toml for each channel, and a description of a provider."""

from patron.schema.common_sentences import NO_EXAMPLE, THERE_IS
from patron.schema.errors import ChannelUnavailable, NotFound
from patron.schema.outreach.channels import CHANNELS, CONFIGURABLE, DESCRIBED
from patron.schema.sentences import Sentence

NO_CHANNEL_EXAMPLE = Sentence("no_channel_example", "there is no example of a channel {name!r}")
EXAMPLE_OF_NAMES = Sentence("example_of_names", "There is one of {names}.")


def example_section(channel: str = "email") -> str:
    """A section of patron.toml that works on this machine, and how to try it. Raises ChannelUnavailable."""
    if channel not in CONFIGURABLE:
        what = NO_CHANNEL_EXAMPLE(name=channel)
        raise ChannelUnavailable(what, where="channel", todo=EXAMPLE_OF_NAMES(names=", ".join(CONFIGURABLE)))
    return CHANNELS[channel].example


def provider_example(channel: str) -> str:
    """A description of a channel's provider that works with a server on this machine. Raises NotFound."""
    if channel not in DESCRIBED:
        todo = THERE_IS(names=" and ".join(DESCRIBED))
        raise NotFound(NO_EXAMPLE(name=channel), where="channel", todo=todo)
    return CHANNELS[channel].provider_example
