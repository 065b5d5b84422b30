"""The ledger of consents: what each customer agreed to or took back, when, and in which words; only ever added to.

Each entry holds the hash of the one before, so that a changed or missing entry is found. It names tokens, never a
person: who was forgotten leaves the proof of what they had agreed to, under a token that nobody can read any more.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.base.store import CONSENTS, Store

GIVEN, WITHDRAWN = "Consent Given", "Consent Withdrawn"
CONSENT = "consent"
BEFORE_THE_FIRST = "0" * 64
TOGETHER = 500


@dataclass(frozen=True)
class Consent:
    """One thing told: yes or no to one purpose."""

    source: str
    event_id: str
    token: str
    purpose: str
    is_given: bool
    basis: str
    wording: str | None
    wording_version: str | None
    policy_version: str | None
    locale: str | None
    channel: str | None
    occurred_at: str
    received_at: str


def record(store: Store, told: Sequence[Consent]) -> int:
    """Add what was told to the ledger, in the order given; what is in it already stays. Returns how many are new.

    The caller is the only one who adds: it holds the workspace's lock.
    """
    if not told:
        return 0
    with store.begin() as connection:
        known = _known(connection, told)
        newest = sa.select(CONSENTS.c.entry, CONSENTS.c.hash).order_by(CONSENTS.c.entry.desc()).limit(1)
        number, previous = connection.execute(newest).first() or (0, BEFORE_THE_FIRST)
        rows = []
        for one in told:
            key = (one.source, one.event_id, one.purpose)
            if key in known:
                continue
            known.add(key)
            number += 1
            said = asdict(one)
            rows.append({"entry": number, **said, "previous": previous, "hash": _hash(number, said, previous)})
            previous = rows[-1]["hash"]
        if rows:
            connection.execute(sa.insert(CONSENTS), rows)
    return len(rows)


def _known(connection: sa.Connection, told: Sequence[Consent]) -> set[tuple[str, str, str]]:
    column, known = CONSENTS.c, set()
    ids = sorted({one.event_id for one in told})
    for start in range(0, len(ids), TOGETHER):
        chosen = sa.select(column.source, column.event_id, column.purpose)
        chosen = chosen.where(column.event_id.in_(ids[start : start + TOGETHER]))
        known |= {tuple(row) for row in connection.execute(chosen)}
    return known


def history(store: Store, tokens: Iterable[str], purpose: str | None = None) -> list[Mapping[str, object]]:
    """All entries of these tokens, in the order they were told by the customer."""
    listed, found = sorted(set(tokens)), []
    with store.begin() as connection:
        for start in range(0, len(listed), TOGETHER):
            chosen = sa.select(CONSENTS).where(CONSENTS.c.token.in_(listed[start : start + TOGETHER]))
            if purpose is not None:
                chosen = chosen.where(CONSENTS.c.purpose == purpose)
            found += connection.execute(chosen).mappings().all()
    return sorted(found, key=_order)


def is_given_at(entries: Iterable[Mapping[str, object]], at: datetime) -> bool | None:
    """What was last told by a moment, of one purpose; None when nothing was. At the same moment a no counts."""
    moment = written(at)
    told = [one for one in entries if str(one["occurred_at"]) <= moment]
    return bool(max(told, key=_order)["is_given"]) if told else None


def first_broken(store: Store) -> int | None:
    """Number of the first entry that was changed, or that stands where another is missing; None when whole."""
    with store.begin() as connection:
        entries = connection.execute(sa.select(CONSENTS).order_by(CONSENTS.c.entry)).mappings().all()
    previous = BEFORE_THE_FIRST
    for number, one in enumerate(entries, 1):
        said = {name: one[name] for name in Consent.__dataclass_fields__}
        if (one["entry"], one["previous"], one["hash"]) != (number, previous, _hash(number, said, previous)):
            return number
        previous = one["hash"]
    return None


def written(moment: datetime) -> str:
    """A time as the ledger writes it; the texts are in the order of the times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _order(one: Mapping[str, object]) -> tuple[str, bool, int]:
    return str(one["occurred_at"]), not one["is_given"], int(str(one["entry"]))


def _hash(number: int, said: Mapping[str, object], previous: str) -> str:
    return hashlib.sha256(json.dumps([number, said, previous], sort_keys=True).encode()).hexdigest()
