"""The keys of the vault and the inbox, derived from the workspace's master key."""

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


def derive_keys(master: bytes) -> Keys:
    """Derive the keys of the vault and the inbox."""
    return Keys(*(derive_key(master, purpose) for purpose in Keys.__dataclass_fields__))
