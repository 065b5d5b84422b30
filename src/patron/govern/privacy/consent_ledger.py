"""The ledger of consents: what each customer granted or withdrew, when, and in which words; only ever added to.

Each entry holds the hash of the one before, and the store the last one's: a changed or missing entry is found. It names
tokens, and events by their hash; the words that were shown are kept next to it, sealed, once for all who saw them.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from patron.govern.vault import SEALED
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import CONSENT_LEDGER, WORDINGS, WORKSPACE, Store, upsert

GRANTED, WITHDRAWN = "Consent Given", "Consent Withdrawn"
CONSENT = "consent"
HEAD = "consent_ledger_head"
BEFORE_THE_FIRST = "0" * 64
BATCH_SIZE = 500
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Consent:
    """One answer: yes or no to one purpose."""

    event: str
    token: str
    purpose: str
    is_granted: bool
    basis: str
    wording: str | None
    """Hash of the exact words."""
    wording_version: str | None
    policy_version: str | None
    locale: str | None
    channel: str | None
    occurred_at: str
    known_at: str
    sealed_words: str | None = None
    """The exact words, sealed; not part of the entry, so that they can be erased."""


CONTENT = tuple(field_.name for field_ in fields(Consent) if field_.name != "sealed_words")
"""What an entry consists of, and its hash is made from."""


def wording_hash(words: str) -> str:
    """Name of a wording in the ledger."""
    return hashlib.sha256(words.encode(errors="replace")).hexdigest()


def event_hash(source: str, event_id: str) -> str:
    """Name of an event in the ledger."""
    return hashlib.sha256(f"{source}\0{event_id}".encode(errors="replace")).hexdigest()[:32]


def write_consents(store: Store, consents: Sequence[Consent]) -> int:
    """Add consents to the ledger, in order; what is in it already stays. Returns how many are new.

    The caller is the only one who adds: it holds the workspace's lock.
    """
    if not consents:
        return 0
    with store.begin() as connection:
        known, words = _known(connection, consents), {}
        number, previous = _head(connection)
        rows = []
        for consent in consents:
            if (consent.event, consent.purpose) in known:
                continue
            known.add((consent.event, consent.purpose))
            number += 1
            content = {name: getattr(consent, name) for name in CONTENT}
            if consent.wording is not None and consent.sealed_words is not None:
                words[consent.wording] = consent.sealed_words
            rows.append({"entry": number, **content, "previous": previous, "hash": _hash(number, content, previous)})
            previous = rows[-1]["hash"]
        if rows:
            connection.execute(sa.insert(CONSENT_LEDGER), rows)
            _write_wordings(connection, words)
            upsert(connection, WORKSPACE, [{"key": HEAD, "value": f"{number}/{previous}"}], update=("value",))
    return len(rows)


def size(store: Store) -> int:
    """Entries of the ledger."""
    with store.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(CONSENT_LEDGER)) or 0


def ledger_head(connection: sa.Connection) -> tuple[int, str]:
    """Number and hash of the last entry: as long as it is the same, so are all answers."""
    return _head(connection)


def _head(connection: sa.Connection) -> tuple[int, str]:
    head = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == HEAD))
    number, _, last = (head or f"0/{BEFORE_THE_FIRST}").partition("/")
    return int(number), last


def _known(connection: sa.Connection, consents: Sequence[Consent]) -> set[tuple[str, str]]:
    known: set[tuple[str, str]] = set()
    for some in _parts(sorted({consent.event for consent in consents})):
        chosen = sa.select(CONSENT_LEDGER.c.event, CONSENT_LEDGER.c.purpose).where(CONSENT_LEDGER.c.event.in_(some))
        known |= {(row[0], row[1]) for row in connection.execute(chosen)}
    return known


def _write_wordings(connection: sa.Connection, words: Mapping[str, str]) -> None:
    known: set[str] = set()
    for some in _parts(sorted(words)):
        known |= set(connection.scalars(sa.select(WORDINGS.c.wording).where(WORDINGS.c.wording.in_(some))))
    new = [{"wording": key, "words": text} for key, text in sorted(words.items()) if key not in known]
    if new:
        connection.execute(sa.insert(WORDINGS), new)


def history(
    store: Store | DeclaredStore, tokens: Iterable[str], purposes: Collection[str] | None = None
) -> list[Entry]:
    """All entries of these tokens (of some purposes, as stated), in the order of the answers, with the sealed words."""
    entries: list[Entry] = []
    with store.begin() as connection:
        for some in _parts(sorted(set(tokens))):
            chosen = sa.select(CONSENT_LEDGER, WORDINGS.c.words).outerjoin(
                WORDINGS, WORDINGS.c.wording == CONSENT_LEDGER.c.wording
            )
            chosen = chosen.where(CONSENT_LEDGER.c.token.in_(some))
            if purposes is not None:
                chosen = chosen.where(CONSENT_LEDGER.c.purpose.in_(purposes))
            entries += [dict(row) for row in connection.execute(chosen).mappings()]
    return sorted(entries, key=_order)


def ledger(store: Store | DeclaredStore) -> list[Entry]:
    """Every entry, oldest first."""
    with store.begin() as connection:
        return [
            dict(row)
            for row in connection.execute(sa.select(CONSENT_LEDGER).order_by(CONSENT_LEDGER.c.entry)).mappings()
        ]


def latest_answer(
    entries: Iterable[Entry], at: datetime | None = None, known_by: datetime | None = None
) -> bool | None:
    """The latest answer to one purpose by a time, as known by another; None without one.

    At the same moment a no counts.
    """
    until, known = (None if one is None else iso_time(one) for one in (at, known_by))
    latest = latest_entry(
        entry
        for entry in entries
        if (until is None or entry["occurred_at"] <= until) and (known is None or entry["known_at"] <= known)
    )
    return None if latest is None else bool(latest["is_granted"])


def latest_entry(entries: Iterable[Entry]) -> Entry | None:
    """The entry of the latest answer to one purpose; at the same moment a no counts. None without any."""
    return max(entries, key=_order, default=None)


def latest_answers(
    store: Store | DeclaredStore, purposes: Collection[str], owner_by_token: Mapping[str, str]
) -> dict[str, bool]:
    """The latest answer of each owner of tokens, such as a customer, to one purpose, under all its names."""
    chosen = sa.select(CONSENT_LEDGER).where(CONSENT_LEDGER.c.purpose.in_(purposes))
    latest: dict[str, Entry] = {}
    with store.begin() as connection:
        for row in connection.execute(chosen).mappings():
            entry, owner = dict(row), owner_by_token.get(row["token"])
            if owner is not None and (owner not in latest or _order(entry) > _order(latest[owner])):
                latest[owner] = entry
    return {owner: bool(entry["is_granted"]) for owner, entry in latest.items()}


def seal_clear_words(store: Store, seal: Callable[[str, str], str]) -> None:
    """Seal the words that an earlier version kept in clear; `seal` takes the words and their place."""
    with store.begin() as connection:
        chosen = sa.select(WORDINGS).where(WORDINGS.c.words.not_like(f"{SEALED}%"))
        for wording, words in connection.execute(chosen).all():
            fresh = {"words": seal(words, words_place(wording))}
            connection.execute(sa.update(WORDINGS).where(WORDINGS.c.wording == wording).values(fresh))


def words_place(wording: str) -> str:
    """What the seal of words is bound to."""
    return f"wording {wording}"


def erase_wordings(store: Store, tokens: Collection[str]) -> int:
    """Delete wordings that were shown to these people only, as they may name one; return how many."""
    with store.begin() as connection:
        shown = {
            row[0]: row[1]
            for some in _parts(sorted(tokens))
            for row in connection.execute(
                sa.select(CONSENT_LEDGER.c.wording, sa.func.count())
                .where(CONSENT_LEDGER.c.token.in_(some), CONSENT_LEDGER.c.wording.is_not(None))
                .group_by(CONSENT_LEDGER.c.wording)
            )
        }
        counted = sa.select(sa.func.count()).select_from(CONSENT_LEDGER)
        wordings = [
            one for one, n in shown.items() if connection.scalar(counted.where(CONSENT_LEDGER.c.wording == one)) == n
        ]
        for some in _parts(wordings):
            connection.execute(sa.delete(WORDINGS).where(WORDINGS.c.wording.in_(some)))
    return len(wordings)


def first_damaged_entry(store: Store) -> int | None:
    """Number of the first entry that was changed, or that follows a missing one; None when the ledger is intact."""
    with store.begin() as connection:
        head = _head(connection)
    previous, number = BEFORE_THE_FIRST, 0
    for number, one in enumerate(ledger(store), 1):
        content = {name: one[name] for name in CONTENT}
        if (one["entry"], one["previous"], one["hash"]) != (number, previous, _hash(number, content, previous)):
            return number
        previous = one["hash"]
    return None if head == (number, previous) else number + 1


def iso_time(moment: datetime) -> str:
    """A time as the ledger writes it; the texts are in the order of the times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _order(one: Mapping[str, Any]) -> tuple[str, bool, int]:
    return one["occurred_at"], not one["is_granted"], one["entry"]


def _hash(number: int, content: Entry, previous: str) -> str:
    return hashlib.sha256(json.dumps([number, content, previous], sort_keys=True).encode()).hexdigest()


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + BATCH_SIZE] for start in range(0, len(values), BATCH_SIZE))
