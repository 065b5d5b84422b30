"""The keys of the vault, the inbox, of links in messages and of names, derived from the workspace's master key."""

from dataclasses import dataclass

from patron.storage.master_key import derive_key


@dataclass(frozen=True)
class Keys:
    """Keys derived from one master key, each for one purpose."""

    wrapping: bytes
    index: bytes
    rows: bytes
    letters: bytes
    inbox: bytes
    unsubscribe: bytes
    names: bytes


def derive_keys(master: bytes) -> Keys:
    """Derive the keys."""
    return Keys(*(derive_key(master, purpose) for purpose in Keys.__dataclass_fields__))
