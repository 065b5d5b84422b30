"""What every channel does: it hands finished messages to a provider, and says what became of each."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from patron.schema.outreach.channels.channel_description import AddressKind


class Outcome(StrEnum):
    """What is known of one attempt to hand over a message."""

    SENT = "sent"
    """The provider has taken it."""
    DEFERRED = "deferred"
    """The provider did not take it now, for sure; it may be tried again."""
    REJECTED = "rejected"
    """The provider will never take it: trying again is of no use."""
    UNKNOWN = "unknown"
    """The provider may have taken it: its answer was lost. It is never sent again by guess."""


@dataclass(frozen=True)
class OutgoingMessage:
    """A rendered message to one person."""

    message_id: str
    """Of Patron: 32 hexadecimal digits; the same message has the same id, however often it is tried."""
    recipient: str
    """Address of the kind that the channel needs, such as that of a mailbox."""
    recipient_name: str
    """Name for the address; empty without one."""
    subject: str
    text: str
    """Body as plain text."""
    html: str
    """Body as HTML; empty for a message of text alone."""
    topic: str
    unsubscribe_token: str
    """Token that ends this topic for the recipient on this channel, or, where they choose, all."""


@dataclass(frozen=True)
class Handover:
    """What became of one attempt."""

    message_id: str
    outcome: Outcome
    detail: str = ""
    """Status code and words of the provider; no personal data."""
    is_gone: bool = False
    """Whether the provider says that there is no such address, and never will be: it is sent nothing more."""


class Channel(Protocol):
    """A way to people. It knows nothing of campaigns, consent or value: it is given messages that may be sent."""

    @property
    def name(self) -> str:
        """Name of the channel."""
        ...

    @property
    def address_kind(self) -> AddressKind:
        """What it reaches a person by: what `recipient` of its messages is."""
        ...

    def hand_over(self, messages: Iterable[OutgoingMessage]) -> AsyncIterator[Handover]:
        """Hand messages to the provider, several at once; one answer for each, in the order they come.

        It takes the next message only when it can send it, so that the caller's state is never far ahead. Raises
        ChannelUnavailable where the provider cannot be reached at all; messages without an answer by then were not
        handed over, unless an answer UNKNOWN came for them.
        """
        ...


@runtime_checkable
class ReachableChannel(Channel, Protocol):
    """A channel with one provider for all, which can be tried."""

    async def require_reachable(self) -> None:
        """Connect, and send nothing. Raises ChannelUnavailable."""
        ...
