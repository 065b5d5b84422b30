"""What is particular to channels of described providers when they are tried: parameters, segments and cost."""

from patron.engage.channels.channel import Channel
from patron.engage.channels.http_provider import SMS, ProviderChannel
from patron.engage.providers.provider_examples import PROVIDER_EXAMPLES
from patron.engage.providers.sms_segments import sms_length
from patron.schema.errors import NotFound


def sample_text(channel: Channel, sentence: str, url: str) -> str:
    """Text of a message to oneself: each parameter of the description on a line, the link in the last one."""
    names = channel.provider.parameter_names if isinstance(channel, ProviderChannel) else ()
    if not names:
        return f"{sentence}\n\nUnsubscribe: {url}\n"
    return "\n".join(f"{name}: {url if name == names[-1] else sentence}" for name in names)


def price_text(channel: Channel, text: str, currency: str) -> str:
    """Segments of a text message and what they cost; empty for other channels."""
    if not isinstance(channel, ProviderChannel) or channel.name != SMS:
        return ""
    length, price = sms_length(text.strip()), channel.provider.price_per_segment
    segments = f"{length.segments} segment{'s' if length.segments > 1 else ''}"
    cost = f", costs {length.segments * price:g} {currency}".rstrip() if price else ""
    return f"{length.places} characters in {length.encoding}: {segments}{cost}"


def provider_example(name: str) -> str:
    """A description that works with a server on this machine. Raises NotFound."""
    if name not in PROVIDER_EXAMPLES:
        todo = f"There is {' and '.join(PROVIDER_EXAMPLES)}."
        raise NotFound(f"there is no example {name!r}", where="channel", todo=todo)
    return PROVIDER_EXAMPLES[name]
