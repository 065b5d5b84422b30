"""Which events the live profiles in the store hold."""

from dataclasses import dataclass

import sqlalchemy as sa

from patron.storage.store.store import WORKSPACE, Store, upsert

STATE_KEY = "profiles"
NO_VERSION = -1
"""Version of `events` while there is no such table."""


@dataclass(frozen=True)
class ProfileState:
    """Which generation of profiles is read, and which events it holds."""

    generation: int = 0
    version: int = NO_VERSION
    """Version of `events` whose rows the profiles hold, each once."""
    inbox_id: str = ""
    """The inbox that some of these rows came through ..."""
    seq: int = 0
    """... and the last of its requests that the profiles hold."""

    @property
    def is_built(self) -> bool:
        """Whether the profiles were ever built from the lake."""
        return self.version != NO_VERSION

    def last_seq_of(self, inbox_id: str) -> int:
        """Number of the last request of an inbox that the profiles hold; 0 for another inbox than theirs."""
        return self.seq if self.inbox_id == inbox_id else 0


def profile_state(store: Store) -> ProfileState:
    """State of the profiles; the first read writes the initial one."""
    with store.begin() as connection:
        stored = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == STATE_KEY))
        if stored is None:
            upsert(connection, WORKSPACE, [{"key": STATE_KEY, "value": _text(ProfileState())}])
            return ProfileState()
    generation, version, inbox_id, seq = stored.split("/")
    return ProfileState(int(generation), int(version), inbox_id, int(seq))


def advance_state(connection: sa.Connection, before: ProfileState, after: ProfileState) -> bool:
    """Write `after` if the state is `before`; as the first statement it makes a second writer wait, and get False."""
    still_before = sa.update(WORKSPACE).where(WORKSPACE.c.key == STATE_KEY, WORKSPACE.c.value == _text(before))
    return connection.execute(still_before.values(value=_text(after))).rowcount == 1


def delete_state(connection: sa.Connection) -> None:
    """Delete the state, so that the next update builds all profiles."""
    connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key == STATE_KEY))


def _text(state: ProfileState) -> str:
    return f"{state.generation}/{state.version}/{state.inbox_id}/{state.seq}"
