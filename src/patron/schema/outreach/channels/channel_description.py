"""What is said of a way to customers once, and what people are reached by."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AddressKind:
    """What a channel reaches a person by; several channels may share one."""

    name: str
    """Kind of token in the vault, and of a trait its key."""
    label: str
    """In English, such as telephone number."""
    vault_letter: str
    """Letter that its tokens in the vault begin with, which no other kind has."""
    event_column: str = ""
    """Column of events with its token; empty where events have none."""
    is_trait: bool = False
    """Whether the shop sends it as a trait of that name."""
    aliases: tuple[str, ...] = ()
    """Other keys under which such a thing comes, which name a person too."""
    pattern: str = ""
    """Regular expression of a whole address, for a provider that a file describes; empty: any text."""
    identifying_key: str = ""
    """Of an address in JSON: the key whose value tells it from others; empty: the whole of it does."""


EMAIL_ADDRESS = AddressKind("email", "e-mail address", vault_letter="e", event_column="email_token")
PHONE_NUMBER = AddressKind("phone", "telephone number", vault_letter="p", event_column="phone_token")
"""Such as +49 30 123456."""
USER_ID = AddressKind("user_id", "user id", vault_letter="u")
"""The shop's own id, which every customer who is a user has."""


@dataclass(frozen=True)
class ChannelDescription:
    """A way to customers. How it delivers is in engage/channels; the form of its settings in storage/outreach."""

    name: str
    """In files, tables and commands; pages show `channel.NAME` of the catalogues."""
    label: str
    """In English, such as web push, for help."""
    address_kind: AddressKind
    example: str = ""
    """Section [channels.NAME] of patron.toml that works on this machine, with how to try it; empty: it needs none."""
    provider_example: str = ""
    """Description of a provider that works with a server on this machine: a file describes the provider, its requests
    and its receipts, and the channel needs no code. Empty: the channel has a protocol of its own."""
    signature: str = ""
    """How its messages are signed, in English; empty where the description of the provider says it."""
    arrives_by: str = ""
    """Another channel by which its messages arrive in the end: who left one has left the other."""
    has_topic_choices: bool = False
    """Whether customers choose topics on it by the links of their messages."""
    has_segments: bool = False
    """Whether its messages are counted in segments, each of which costs."""
