"""Delivery of each run's offers: reserved, confirmed, expired, withdrawn or in a campaign; all that counts asks here.

A run reserves what its offers use up when it hands them over. They count for good once somebody confirms that they were
sent. A reservation that nobody confirms in time expires, and offers that are withdrawn before they are sent count
nowhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from patron.schema.tables import ALTERNATIVES, DECISIONS, EXPOSURES, PROPENSITIES
from patron.storage.engine import literal, sql_list, timestamp
from patron.storage.models.model_decisions import utc
from patron.storage.offers.delivery_tables import DELIVERIES
from patron.storage.store.store import Store

TABLES_OF_DECISIONS = (DECISIONS.name, ALTERNATIVES.name, PROPENSITIES.name, EXPOSURES.name)
"""Tables of the lake that stages read without the rows of withdrawn runs."""


class DeliveryState(StrEnum):
    """What became of the offers that a run handed over."""

    RESERVED = "reserved"
    """They may be sent: caps, stocks and budget hold what they use up, and nothing else counts them."""
    CONFIRMED = "confirmed"
    """They were sent."""
    EXPIRED = "expired"
    """Nobody confirmed in time that they were sent, and their file was still there: nobody can send it now."""
    WITHDRAWN = "withdrawn"
    """They were taken back before they were sent."""
    HELD = "held"
    """Sending was held when the run ended, so that it handed over nothing."""
    CAMPAIGN = "campaign"
    """An approved campaign sends them: its plan and its messages count in their place."""


class Evidence(StrEnum):
    """What says that offers were sent."""

    POLICY = "policy"
    """`[channel] confirm = "automatic"`: handing them over is sending them."""
    PERSON = "person"
    """Somebody said so."""
    RECEIPT = "receipt"
    """The mail system left a file named `sent`."""
    TAKEN = "taken"
    """Somebody took the file out of the outbox; what is unknown counts as sent."""


CERTAIN = (Evidence.PERSON, Evidence.RECEIPT)
"""Evidence that no file in the outbox speaks against."""


@dataclass(frozen=True)
class Delivery:
    """The delivery of one run's offers."""

    run_id: str
    state: DeliveryState
    reserved_until: datetime | None = None
    """When a reservation expires; None where the run was cut off before it kept one."""
    changed_at: datetime | None = None
    """When it was confirmed, expired or withdrawn; None while it is reserved."""
    changed_by: str = ""
    """Who confirmed or withdrew it, as written; empty where nobody did."""
    evidence: Evidence | None = None
    """What says that they were sent; None unless confirmed."""
    sent_at: datetime | None = None
    """When they were sent; None unless confirmed."""
    reason: str = ""
    """Why they were withdrawn, as written; empty without a reason."""
    campaign: str = ""
    """The campaign that sends them; empty without one."""

    @property
    def is_withdrawn(self) -> bool:
        """Whether somebody took the offers back."""
        return self.state is DeliveryState.WITHDRAWN

    @property
    def is_certain(self) -> bool:
        """Whether a person or a receipt says that the offers were sent."""
        return self.state is DeliveryState.CONFIRMED and self.evidence in CERTAIN

    @property
    def holds(self) -> bool:
        """Whether caps, stocks and budget count the offers."""
        return self.state in (DeliveryState.RESERVED, DeliveryState.CONFIRMED)

    def before(self, at: datetime) -> "Delivery":
        """The delivery as it was known before a time."""
        is_of_run = self.state is DeliveryState.HELD or self.evidence is Evidence.POLICY
        if self.changed_at is None or self.changed_at < at or is_of_run:
            return self
        return Delivery(self.run_id, DeliveryState.RESERVED, self.reserved_until)


@dataclass(frozen=True)
class Deliveries:
    """Runs by what readers of the tables of decisions must know of them."""

    withdrawn: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    confirmed: tuple[tuple[str, datetime, datetime], ...] = ()
    """Runs whose offers were confirmed after they were handed over: name, when they were sent, when that was known."""
    held: tuple[str, ...] = ()
    """Runs that handed over nothing, as sending was held."""
    campaigns: tuple[tuple[str, str], ...] = ()
    """Runs whose offers a campaign sends, each with its campaign."""

    @property
    def freed(self) -> tuple[str, ...]:
        """Runs whose offers count nowhere: they reached nobody, or a campaign's messages count in their place."""
        return (*self.withdrawn, *self.held, *self.expired, *(run_id for run_id, _ in self.campaigns))

    def conditions(self, tables: tuple[str, ...] = TABLES_OF_DECISIONS) -> dict[str, str]:
        """SQL conditions that leave out rows which count nowhere, by table.

        Decisions of expired runs stay, as a placebo, and those that a campaign sends; `exposures` is without both.
        """
        left_out = dict.fromkeys(tables, (*self.withdrawn, *self.held))
        left_out[EXPOSURES.name] = self.freed
        return {name: f"run_id not in {sql_list(runs)}" for name, runs in left_out.items() if runs}

    @property
    def rebuilt(self) -> dict[str, Callable[[Callable[[str], str]], str]]:
        """How `exposures` is read: with what was confirmed since the offers were handed over."""
        return {EXPOSURES.name: lambda rows: self._exposures(rows(EXPOSURES.name))} if self.confirmed else {}

    def _exposures(self, rows: str) -> str:
        values = ", ".join(
            f"({literal(run_id)}, {timestamp(sent_at)}, {timestamp(known_at)})"
            for run_id, sent_at, known_at in self.confirmed
        )
        return f"""
select e.run_id, e.decision_id, e.customer_id, e.action, e.channel, coalesce(c.sent_at, e.exposed_at) as exposed_at,
  e.is_delivered or c.run_id is not null as is_delivered, coalesce(c.confirmed_at, e.confirmed_at) as confirmed_at
from ({rows}) e left join (values {values}) as c(run_id, sent_at, confirmed_at) on c.run_id = e.run_id"""


NO_DELIVERIES = Deliveries()
"""Nothing became of any offers."""


def deliveries(store: Store, *, before: datetime | None = None) -> tuple[Delivery, ...]:
    """All deliveries in order of the runs, as known by now or before a time."""
    with store.begin() as connection:
        rows = connection.execute(sa.select(DELIVERIES).order_by(DELIVERIES.c.run_id)).mappings().all()
    found = map(_delivery, rows)
    return tuple(found if before is None else (one.before(before) for one in found))


def delivery_of(store: Store, run_id: str, *, before: datetime | None = None) -> Delivery | None:
    """The delivery of a run's offers, as known by now or before a time; None for a run that handed over none."""
    with store.begin() as connection:
        row = connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.run_id == run_id)).mappings().first()
    found = None if row is None else _delivery(row)
    return found if found is None or before is None else found.before(before)


def read_deliveries(store: Store, *, before: datetime | None = None) -> Deliveries:
    """What readers of a snapshot must know of all runs, by now or before a time."""
    known = deliveries(store, before=before)

    def runs(state: DeliveryState) -> tuple[str, ...]:
        return tuple(one.run_id for one in known if one.state is state)

    later = (one for one in known if one.state is DeliveryState.CONFIRMED and one.evidence is not Evidence.POLICY)
    confirmed = tuple((one.run_id, one.sent_at, one.changed_at) for one in later if one.sent_at and one.changed_at)
    withdrawn, expired, held = map(runs, (DeliveryState.WITHDRAWN, DeliveryState.EXPIRED, DeliveryState.HELD))
    campaigns = tuple((one.run_id, one.campaign) for one in known if one.state is DeliveryState.CAMPAIGN)
    return Deliveries(withdrawn, expired, confirmed, held, campaigns)


def write_delivery(connection: sa.Connection, delivery: Delivery) -> None:
    """Keep what is known of the delivery of a run's offers, in place of what was known before."""
    forget_delivery(connection, delivery.run_id)
    row = vars(delivery) | {"evidence": delivery.evidence or ""}
    connection.execute(sa.insert(DELIVERIES).values(row))


def forget_delivery(connection: sa.Connection, run_id: str) -> None:
    """Know nothing of a run's offers any more, as it decides again."""
    connection.execute(sa.delete(DELIVERIES).where(DELIVERIES.c.run_id == run_id))


def _delivery(row: sa.RowMapping) -> Delivery:
    def time(name: str) -> datetime | None:
        return utc(row[name]).astimezone(UTC) if row[name] else None

    return Delivery(
        row["run_id"],
        DeliveryState(row["state"]),
        time("reserved_until"),
        changed_at=time("changed_at"),
        changed_by=row["changed_by"],
        evidence=Evidence(row["evidence"]) if row["evidence"] else None,
        sent_at=time("sent_at"),
        reason=row["reason"],
        campaign=row["campaign"],
    )
