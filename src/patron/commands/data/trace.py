"""Trace an event through the inbox, the lake, the dead letters and the facts derived from it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from patron.collect.inbox.workspace_inbox import has_inbox, open_inbox
from patron.collect.personal_columns import identifier_tokens
from patron.govern.vault import Vault
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS, IMPORTS

CHECK_MESSAGE_ID = Sentence(
    "check_message_id",
    "Check the id (a client's messageId). It never arrived, was not answered with 200, or was"
    " rejected and its content deleted; an event rejected just now appears a few seconds later.",
)

NO_EVENT_ID = Sentence("no_event_id", "no event has the id {name}")

LINE_NUMBER = re.compile(r"/\d+$")
UNUSED_FLAGS = frozenset({"test", "no_consent", "repeated_order"})
"""Flags of events that are stored but not used."""


@dataclass(frozen=True)
class Step:
    """One place that the event reached, or where it was left out, and when."""

    place: str
    """inbox, events, dead_letters, seen, order_lines, interactions ..."""
    source: str
    what: str
    at: datetime | None = None


@dataclass(frozen=True)
class Trace:
    """The places of one event."""

    event_id: str
    steps: tuple[Step, ...]


def trace(shop: Shop, event_id: str) -> Trace:
    """Follow one event through every place it can be in; the id of an order line names its event, too.

    Raises NotFound when it never arrived.
    """
    sources = _sources(shop)
    for candidate in _candidate_ids(shop, event_id):
        # why: the lake keeps an id that is personal as a token, by which it can be asked for, too
        stored_id = identifier_tokens(Vault.open(shop), [candidate]).get(candidate, candidate)
        steps = [
            *_in_inbox(shop, candidate, sources),
            *_in_lake(shop, stored_id),
            *_in_dead_letters(shop, candidate),
            *_in_facts(shop, stored_id),
        ]
        if steps:
            event_id = candidate
            break
    else:
        raise NotFound(
            NO_EVENT_ID(name=event_id),
            where=f"sources {', '.join(sources)}" if sources else "no source yet",
            todo=CHECK_MESSAGE_ID,
        )
    if all(step.place == "seen" for step in steps):
        steps.append(Step("nowhere", "", "is not kept: the customer had not agreed, or was forgotten"))
    return Trace(event_id, tuple(steps))


def _candidate_ids(shop: Shop, name: str) -> Iterator[str]:
    yield name
    yield from _event_of(shop, name)


def _event_of(shop: Shop, name: str) -> list[str]:
    """Event id of an order line's id, or of source/event as quality tables write it; empty for an unknown one."""
    event = LINE_NUMBER.sub("", name)
    view = shop.snapshot()
    if event != name:
        line = "select line_id from order_lines where line_id in (select line_id from selected)"
        if view is None or not view.query(line, selected=pa.table({"line_id": [name]})).num_rows:
            return []
    sql = f"""
select distinct event_id from ({shop.lake.relation(EVENTS)})
where source || '/' || event_id in (select event_id from selected)"""
    return shop.query(sql, {"selected": pa.table({"event_id": [event]})})["event_id"].to_pylist()


def _sources(shop: Shop) -> list[str]:
    with shop.store.begin() as connection:
        sources = set(connection.scalars(sa.select(IMPORTS.c.source).distinct()))
    if has_inbox(shop):
        with open_inbox(shop) as inbox:
            sources |= inbox.counts().keys()
    return sorted(sources)


def _in_inbox(shop: Shop, event_id: str, sources: list[str]) -> list[Step]:
    if not has_inbox(shop):
        return []
    with open_inbox(shop) as inbox:
        known = [source for source in sources if inbox.is_known(source, event_id)]
        steps = [Step("seen", one, "was received; if sent again, it counts as a duplicate") for one in known]
        after = inbox.moved_seq()
        while some := inbox.pending_requests(after=after):
            after = some[-1].seq
            steps += [
                Step("inbox", one.source, "is on disk and waits for the lake", one.received_at)
                for one in some
                for row in one.rows
                if row.get("event_id") == event_id
            ]
    return steps


def _in_lake(shop: Shop, event_id: str) -> list[Step]:
    sql = f"""
select source, name, received_at, occurred_at, known_at, flags from ({shop.lake.relation(EVENTS)})
where event_id in (select event_id from selected) order by source"""
    rows = shop.query(sql, {"selected": pa.table({"event_id": [event_id]})}).to_pylist()
    return [
        Step(
            "events",
            row["source"],
            f"is stored in events: {row['name']}, happened {row['occurred_at']:%Y-%m-%d %H:%M:%S} UTC, known from"
            f" {row['known_at']:%Y-%m-%d %H:%M:%S} UTC{_flags_text(row['flags'])}",
            row["received_at"],
        )
        for row in rows
    ]


def _flags_text(flags: list[str] | None) -> str:
    if not flags:
        return ""
    unused = UNUSED_FLAGS.intersection(flags)
    return f", flagged {', '.join(flags)}" + (", so no facts are derived from it" if unused else "")


def _in_dead_letters(shop: Shop, event_id: str) -> list[Step]:
    """Dead letters whose sealed payload names the event."""
    vault, steps = Vault.open(shop), []
    with shop.store.begin() as connection:
        letters = connection.execute(sa.select(DEAD_LETTERS).order_by(DEAD_LETTERS.c.created_at)).mappings().all()
    for letter in letters:
        if _names_event(vault.unseal(letter["payload"], letter["dead_letter_id"]), event_id):
            where = f" ({letter['file']}, line {letter['row_number']})" if letter["file"] else ""
            what = f"was rejected: {letter['message']}{where}"
            steps.append(Step("dead_letters", letter["source"], what, letter["created_at"]))
    return steps


def _names_event(payload: bytes, event_id: str) -> bool:
    if event_id.encode() not in payload:
        return False
    try:
        content = json.loads(payload)
        event = json.loads(content["line"]) if "line" in content else content
    except (ValueError, TypeError, RecursionError):
        return False
    return isinstance(event, dict) and event_id in {event.get("messageId"), event.get("event_id")}


def _in_facts(shop: Shop, event_id: str) -> list[Step]:
    """Rows that the last run derived from the event."""
    view = shop.snapshot()
    if view is None:
        return []
    selected = pa.table({"event_id": [event_id]})
    lines = """
select f.line_id as row_id, f.known_at from order_lines f, selected a
where contains(f.line_id, '/' || a.event_id || '/') order by 1"""
    interactions = (
        "select f.kind as row_id, f.known_at, f.source from interactions f join selected a on a.event_id = f.event_id"
    )
    run = f"run {view.run.run_id}"
    steps = [
        Step("order_lines", "", f"is the order line {row['row_id']} of {run}", row["known_at"])
        for row in view.query(lines, selected=selected).to_pylist()
    ]
    return steps + [
        Step("interactions", row["source"], f"counts as {row['row_id']} in {run}", row["known_at"])
        for row in view.query(interactions, selected=selected).to_pylist()
    ]
