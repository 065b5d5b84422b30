"""What staff know of customers, from the store: tags, owners, notes, tasks and snoozes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import pyarrow as pa
import sqlalchemy as sa

from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.sealed_texts import unseal
from patron.schema.access.access_rights import Actor
from patron.schema.common_sentences import NO_TASK, SEE_TASKS
from patron.schema.customers.customer_rights import READ_CUSTOMERS, CustomerId
from patron.schema.errors import NotFound
from patron.storage.access.access_tables import USERS
from patron.storage.customers.customer_tables import CUSTOMER_NOTES, CUSTOMER_OWNERS, CUSTOMER_TAGS, SNOOZES, TASKS
from patron.storage.shop import Shop
from patron.storage.store.store_metadata import in_utc

BATCH = 500
"""Ids in one statement."""


@dataclass(frozen=True)
class StaffMember:
    """Somebody who can be given customers and tasks."""

    user_id: str
    name: str


@dataclass(frozen=True)
class TagCount:
    """A tag, and how many customers have it."""

    tag: str
    customer_count: int


@dataclass(frozen=True)
class Note:
    """A note about a customer."""

    note_id: str
    written_at: datetime
    written_by: str
    text: str | None
    """None for who may not read it."""


@dataclass(frozen=True)
class Task:
    """Something to do for a customer, and what became of it."""

    task_id: str
    customer_id: str
    playbook: str
    """What to do: call, write, apologise, offer, check, other."""
    owner: str
    """User id; empty for nobody yet."""
    state: str
    """open, done or dropped."""
    outcome: str
    """reached, not_reached, ordered, refused, other; empty while open."""
    value_at_risk_cents: int | None
    """When the task was created."""
    due_at: datetime | None
    created_at: datetime
    created_by: str
    closed_at: datetime | None
    closed_by: str
    text: str | None
    """Instructions, and what became of it; None for who may not read it."""


@dataclass(frozen=True)
class Snooze:
    """Until when a customer is not on the watch list, and why."""

    customer_id: str
    until: datetime
    reason: str
    """contacted, known, waiting or other."""
    snoozed_at: datetime
    snoozed_by: str


@dataclass(frozen=True)
class Marks:
    """What a row of a list shows of a customer."""

    tags: tuple[str, ...] = ()
    owner: str = ""
    """User id; empty without one."""
    open_task_count: int = 0


@dataclass(frozen=True)
class CustomerWork:
    """Everything staff know and did about one customer."""

    customer_id: str
    tags: tuple[str, ...]
    owner: str
    snooze: Snooze | None
    notes: tuple[Note, ...]
    """The newest first."""
    tasks: tuple[Task, ...]
    """Open ones first, then the newest."""
    held_out_until: datetime | None
    """Until when bulk actions create no task, to measure what tasks change; None: they do."""


@dataclass(frozen=True)
class Reader:
    """Whose eyes texts are for: authors and owners read theirs, others only where they are revealed."""

    name: str
    user_id: str = ""
    is_revealed: bool = False

    @classmethod
    def from_actor(cls, actor: Actor, *, is_revealed: bool = False) -> Self:
        """The eyes of whoever asks."""
        return cls(actor.name, actor.user_id, is_revealed)

    def may_read(self, author: str, owner: str = "") -> bool:
        """Whether a text is theirs to read."""
        return self.is_revealed or author == self.name or bool(owner and owner == self.user_id)


def list_staff(shop: Shop) -> tuple[StaffMember, ...]:
    """Users who are active, in order of their names."""
    query = sa.select(USERS.c.user_id, USERS.c.name, USERS.c.email).where(USERS.c.state == "active")
    with shop.store.begin() as connection:
        rows = connection.execute(query).all()
    return tuple(sorted((StaffMember(row.user_id, row.name or row.email) for row in rows), key=lambda one: one.name))


def list_tags(shop: Shop, *, only: pa.Table | None = None) -> tuple[TagCount, ...]:
    """Tags in use, in order; `only` names and counts those of these customers."""
    column = CUSTOMER_TAGS.c
    if only is None:
        query = sa.select(column.tag, sa.func.count()).group_by(column.tag).order_by(column.tag)
        with shop.store.begin() as connection:
            return tuple(TagCount(*row) for row in connection.execute(query))
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(column.customer_id, column.tag)).all()
    visible = set(only["customer_id"].to_pylist()) if rows else set[str]()
    counts = Counter(row.tag for row in rows if row.customer_id in visible)
    return tuple(TagCount(*pair) for pair in sorted(counts.items()))


def customers_with_tag(shop: Shop, tag: str) -> list[str]:
    """Ids of the customers with a tag."""
    with shop.store.begin() as connection:
        return list(connection.scalars(sa.select(CUSTOMER_TAGS.c.customer_id).where(CUSTOMER_TAGS.c.tag == tag)))


def customers_of_owner(shop: Shop, owner: str | None) -> list[str]:
    """Ids of the customers of an owner; of any owner for None."""
    query = sa.select(CUSTOMER_OWNERS.c.customer_id)
    with shop.store.begin() as connection:
        return list(connection.scalars(query if owner is None else query.where(CUSTOMER_OWNERS.c.owner == owner)))


def marks_of(shop: Shop, customer_ids: Iterable[str]) -> dict[str, Marks]:
    """Tags, owner and open tasks of these customers; who has none is left out."""
    listed = list(customer_ids)
    tags: dict[str, list[str]] = {}
    owners: dict[str, str] = {}
    tasks: dict[str, int] = {}
    with shop.store.begin() as connection:
        for start in range(0, len(listed), BATCH):
            ids = listed[start : start + BATCH]
            of = CUSTOMER_TAGS.c.customer_id.in_(ids)
            for row in connection.execute(sa.select(CUSTOMER_TAGS).where(of).order_by(CUSTOMER_TAGS.c.tag)):
                tags.setdefault(row.customer_id, []).append(row.tag)
            of = CUSTOMER_OWNERS.c.customer_id.in_(ids)
            owners |= {row.customer_id: row.owner for row in connection.execute(sa.select(CUSTOMER_OWNERS).where(of))}
            of = (TASKS.c.customer_id.in_(ids), TASKS.c.state == "open", ~TASKS.c.is_holdout)
            open_tasks = sa.select(TASKS.c.customer_id, sa.func.count().label("n")).where(*of)
            rows = connection.execute(open_tasks.group_by(TASKS.c.customer_id))
            tasks |= {row.customer_id: row.n for row in rows}
    return {
        key: Marks(tuple(tags.get(key, ())), owners.get(key, ""), tasks.get(key, 0))
        for key in tags.keys() | owners.keys() | tasks.keys()
    }


def held_out_customers(shop: Shop, customer_ids: Iterable[str], *, now: datetime) -> dict[str, datetime]:
    """Until when customers are held out of tasks by bulk actions; who is not is left out."""
    listed = list(customer_ids)
    column = TASKS.c
    until = dict[str, datetime]()
    with shop.store.begin() as connection:
        for start in range(0, len(listed), BATCH):
            ids = listed[start : start + BATCH]
            of = (column.customer_id.in_(ids), column.is_holdout, column.measured_until > now)
            rows = connection.execute(sa.select(column.customer_id, column.measured_until).where(*of)).mappings()
            until |= {row["customer_id"]: in_utc(row)["measured_until"] for row in rows}
    return until


def customer_work(shop: Shop, customer_id: str, *, reader: Reader, now: datetime) -> CustomerWork:
    """Tags, owner, notes, tasks and snooze of one customer."""
    with shop.store.begin() as connection:
        of = SNOOZES.c.customer_id == customer_id
        snooze = connection.execute(sa.select(SNOOZES).where(of, SNOOZES.c.until > now)).mappings().first()
        of = CUSTOMER_NOTES.c.customer_id == customer_id
        newest = (CUSTOMER_NOTES.c.written_at.desc(), CUSTOMER_NOTES.c.note_id)
        notes = connection.execute(sa.select(CUSTOMER_NOTES).where(of).order_by(*newest)).mappings().all()
        of = TASKS.c.customer_id == customer_id
        first = (sa.case((TASKS.c.state == "open", 0), else_=1), TASKS.c.created_at.desc(), TASKS.c.task_id)
        tasks = connection.execute(sa.select(TASKS).where(of, ~TASKS.c.is_holdout).order_by(*first)).mappings().all()
    marks = marks_of(shop, [customer_id]).get(customer_id, Marks())
    return CustomerWork(
        customer_id,
        marks.tags,
        owner=marks.owner,
        snooze=Snooze(**in_utc(snooze)) if snooze else None,
        notes=tuple(_note(shop, row, reader) for row in notes),
        tasks=tuple(task_of(shop, row, reader) for row in tasks),
        held_out_until=held_out_customers(shop, [customer_id], now=now).get(customer_id),
    )


@operation(READ_CUSTOMERS, "GET /api/customers/{customer_id}/work")
def show_customer_work(context: RequestContext, customer_id: CustomerId) -> CustomerWork:
    """Tags, owner, notes, tasks and snooze; texts of others are left out."""
    return customer_work(context.shop, customer_id, reader=Reader.from_actor(context.actor), now=context.now)


def find_task(shop: Shop, task_id: str, *, reader: Reader) -> Task:
    """One task. Raises NotFound."""
    with shop.store.begin() as connection:
        of = (TASKS.c.task_id == task_id, ~TASKS.c.is_holdout)
        row = connection.execute(sa.select(TASKS).where(*of)).mappings().first()
    if row is None:
        raise NotFound(NO_TASK, where=task_id[:64], todo=SEE_TASKS)
    return task_of(shop, row, reader)


def task_of(shop: Shop, row: sa.RowMapping, reader: Reader) -> Task:
    """A task from its row, with its text where the reader may read it."""
    may_read = reader.may_read(row["created_by"], row["owner"])
    text = unseal(shop, row["task_id"], row["content"]) if may_read else None
    facts = in_utc({name: row[name] for name in Task.__dataclass_fields__ if name != "text"})
    return Task(**facts, text=text)


def _note(shop: Shop, row: sa.RowMapping, reader: Reader) -> Note:
    text = unseal(shop, row["note_id"], row["content"]) if reader.may_read(row["written_by"]) else None
    return Note(row["note_id"], in_utc(row)["written_at"], row["written_by"], text)
