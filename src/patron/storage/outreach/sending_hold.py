"""Whether sending is held: a restored workspace does not know what was sent since its backup, and sends nothing."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.schema.errors import SendingHeld
from patron.schema.sentences import Sentence
from patron.storage.store.store import WORKSPACE, Store, upsert

SENDING_IS_HELD = Sentence(
    "sending_is_held", "sending is held since {held_at}: what was sent after {since} is not known here"
)
RELEASE_SENDING = Sentence(
    "release_sending",
    "Say what was sent since then: `patron sending release --sent FILE`, or `--nothing-sent` where nothing was.",
)

KEY = "sending_hold"


@dataclass(frozen=True)
class SendingHold:
    """Why nothing is sent."""

    since: datetime
    """Since when it is not known what was sent: when the backup was made, or as a person says."""
    held_at: datetime
    """When it was restored, or held by hand."""
    is_restored: bool
    """Whether a restore held it; otherwise a person did."""


def read_hold(connection: sa.Connection) -> SendingHold | None:
    """The hold on sending, as a transaction sees it; None where messages are sent."""
    text = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == KEY))
    if text is None:
        return None
    value = json.loads(text)
    times = {name: datetime.fromisoformat(value[name]) for name in ("since", "held_at")}
    return SendingHold(**times, is_restored=value["is_restored"])


def write_hold(connection: sa.Connection, hold: SendingHold) -> None:
    """Hold sending; where it is held already, what was sent is unknown since the earlier time."""
    earlier = read_hold(connection) or hold
    content = {
        "since": min(hold.since, earlier.since).isoformat(),
        "held_at": hold.held_at.isoformat(),
        "is_restored": hold.is_restored or earlier.is_restored,
    }
    value = json.dumps(content)
    upsert(connection, WORKSPACE, [{"key": KEY, "value": value}], update=("value",))


def delete_hold(connection: sa.Connection) -> None:
    """Let messages be sent again."""
    connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key == KEY))


def current_hold(store: Store) -> SendingHold | None:
    """The hold on sending; None where messages are sent."""
    with store.begin() as connection:
        return read_hold(connection)


def held_refusal(store: Store) -> SendingHeld | None:
    """Why nothing is sent before a person says what was; None where it is not held."""
    hold = current_hold(store)
    if hold is None:
        return None
    times = {
        name: f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        for name, at in (("since", hold.since), ("held_at", hold.held_at))
    }
    return SendingHeld(SENDING_IS_HELD(**times), where="sending", todo=RELEASE_SENDING)


def require_not_held(store: Store) -> None:
    """Raise SendingHeld where nothing is sent before a person says what was."""
    if refusal := held_refusal(store):
        raise refusal
