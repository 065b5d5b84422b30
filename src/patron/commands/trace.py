"""Where did an event go: the inbox, the lake, the dead letters, and the facts that were made of it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from patron.collect.workspace_inbox import has_inbox, open_inbox
from patron.govern.vault import Vault
from patron.schema.errors import NotFound
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.storage.store import DEAD_LETTERS, IMPORTS

LINE_NUMBER = re.compile(r"/\d+$")
UNUSED = frozenset({"test", "no_consent", "repeated_order"})
"""Flags of events that are kept and used for nothing."""


@dataclass(frozen=True)
class Step:
    """One place where the event was found, or was left out, and when."""

    place: str
    """inbox, events, dead_letters, seen, order_lines, interactions ..."""
    source: str
    what: str
    at: datetime | None = None


@dataclass(frozen=True)
class Trace:
    """All that is known of one event."""

    event_id: str
    steps: tuple[Step, ...]


def trace(shop: Shop, event_id: str) -> Trace:
    """Follow one event through every place it can be in; the id of an order line names its event, too.

    Raises NotFound when it never arrived.
    """
    sources = _sources(shop)
    for told in _readings(shop, event_id):
        steps = [
            *_in_inbox(shop, told, sources),
            *_in_lake(shop, told),
            *_dead(shop, told),
            *_in_facts(shop, told),
        ]
        if steps:
            event_id = told
            break
    else:
        raise NotFound(
            f"no event {event_id} is known",
            where=f"sources {', '.join(sources)}" if sources else "no source yet",
            todo="Check the id (a client's messageId). It never arrived, was not answered with 200, or was set aside"
            " and emptied since; what has only just been set aside is found a few seconds later.",
        )
    if all(step.place == "seen" for step in steps):
        steps.append(Step("nowhere", "", "is not kept: the customer had not agreed, or was forgotten"))
    return Trace(event_id, tuple(steps))


def _readings(shop: Shop, told: str) -> Iterator[str]:
    yield told
    yield from _event_of(shop, told)


def _event_of(shop: Shop, told: str) -> list[str]:
    """The event of an order line, or of source/event as tables of quality write it; none of what nobody has."""
    event = LINE_NUMBER.sub("", told)
    view = shop.snapshot()
    if event != told:
        line = "select line_id from order_lines where line_id in (select line_id from asked)"
        if view is None or not view.query(line, asked=pa.table({"line_id": [told]})).num_rows:
            return []
    sql = f"""
select distinct event_id from ({shop.lake.relation(EVENTS)})
where source || '/' || event_id in (select event_id from asked)"""
    return shop.query(sql, {"asked": pa.table({"event_id": [event]})})["event_id"].to_pylist()


def _sources(shop: Shop) -> list[str]:
    with shop.store.begin() as connection:
        found = set(connection.scalars(sa.select(IMPORTS.c.source).distinct()))
    if has_inbox(shop):
        with open_inbox(shop) as inbox:
            found |= inbox.counts().keys()
    return sorted(found)


def _in_inbox(shop: Shop, event_id: str, sources: list[str]) -> list[Step]:
    if not has_inbox(shop):
        return []
    with open_inbox(shop) as inbox:
        seen = [one for one in sources if inbox.is_known(one, event_id)]
        steps = [Step("seen", one, "was accepted; if it were sent again, it would be a duplicate") for one in seen]
        after = inbox.moved_seq()
        while some := inbox.pending_requests(after=after):
            after = some[-1].seq
            steps += [
                Step("inbox", one.source, "is on disk and waits to be moved into the lake", one.received_at)
                for one in some
                for row in one.rows
                if row.get("event_id") == event_id
            ]
    return steps


def _in_lake(shop: Shop, event_id: str) -> list[Step]:
    sql = f"""
select source, name, received_at, occurred_at, known_at, flags from ({shop.lake.relation(EVENTS)})
where event_id in (select event_id from asked) order by source"""
    rows = shop.query(sql, {"asked": pa.table({"event_id": [event_id]})}).to_pylist()
    return [
        Step(
            "events",
            row["source"],
            f"is a row of events: {row['name']}, happened {row['occurred_at']:%Y-%m-%d %H:%M:%S} UTC, known from"
            f" {row['known_at']:%Y-%m-%d %H:%M:%S} UTC{_flagged(row['flags'])}",
            row["received_at"],
        )
        for row in rows
    ]


def _flagged(flags: list[str] | None) -> str:
    if not flags:
        return ""
    unused = UNUSED.intersection(flags)
    return f", flagged {', '.join(flags)}" + (", so facts are not made of it" if unused else "")


def _dead(shop: Shop, event_id: str) -> list[Step]:
    """Dead letters whose sealed payload names the event."""
    vault, steps = Vault.open(shop), []
    with shop.store.begin() as connection:
        letters = connection.execute(sa.select(DEAD_LETTERS).order_by(DEAD_LETTERS.c.created_at)).mappings().all()
    for letter in letters:
        if _names(vault.unseal(letter["payload"], letter["dead_letter_id"]), event_id):
            where = f" ({letter['file']}, row {letter['row_number']})" if letter["file"] else ""
            said = f"was set aside: {letter['message']}{where}"
            steps.append(Step("dead_letters", letter["source"], said, letter["created_at"]))
    return steps


def _names(payload: bytes, event_id: str) -> bool:
    if event_id.encode() not in payload:
        return False
    try:
        said = json.loads(payload)
        told = json.loads(said["line"]) if "line" in said else said
    except (ValueError, TypeError):
        return False
    return isinstance(told, dict) and event_id in {told.get("messageId"), told.get("event_id")}


def _in_facts(shop: Shop, event_id: str) -> list[Step]:
    """Rows that the last run made of the event."""
    view = shop.snapshot()
    if view is None:
        return []
    asked = pa.table({"event_id": [event_id]})
    lines = """
select f.line_id as row_id, f.known_at from order_lines f, asked a
where contains(f.line_id, '/' || a.event_id || '/') order by 1"""
    seen = "select f.kind as row_id, f.known_at, f.source from interactions f join asked a on a.event_id = f.event_id"
    run = f"run {view.run.run_id}"
    made = [
        Step("order_lines", "", f"is the order line {row['row_id']} of {run}", row["known_at"])
        for row in view.query(lines, asked=asked).to_pylist()
    ]
    return made + [
        Step("interactions", row["source"], f"counts as {row['row_id']} in {run}", row["known_at"])
        for row in view.query(seen, asked=asked).to_pylist()
    ]
