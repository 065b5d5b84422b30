"""Who is in which arm of a campaign: drawn once by a hash, kept over plans and merges of identities."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from patron.decide.holdout import HOLDOUT, arm_of
from patron.schema.numbers import Numbers
from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.shop import Snapshot
from patron.storage.store.statements import insert_many
from patron.storage.store.store import Store

ROWS_PER_TRANSACTION = 50_000
"""So that others who write to the store wait for a second at most."""
NO_MESSAGE = ("", None, None, None, None)
"""Offer, time and expectations of who is sent nothing."""


@dataclass(frozen=True)
class Assigned:
    """The stored assignment of one customer."""

    is_holdout: bool
    assigned_at: datetime | str
    version: int
    cost_cents: float
    """Expected, of a message that was handed over; else 0."""
    is_handed_over: bool


@dataclass(frozen=True)
class PlannedRows:
    """What a plan says of the customers that it assigns, in order of customer_id."""

    customer: Sequence[str]
    is_holdout: npt.NDArray[np.bool_]
    offer: Sequence[str]
    """Id of the offer; empty for the message alone."""
    send_at: npt.NDArray[np.int64]
    """Seconds since 1970."""
    response: Numbers
    net_cents: Numbers
    cost_cents: Numbers


def stored_assignments(store: Store, campaign: str) -> dict[str, Assigned]:
    """Every assignment of a campaign, by customer."""
    table, message = ASSIGNMENTS.c, MESSAGES.c
    handed = sa.select(message.customer_id).where(message.campaign == campaign, message.state.in_(MAY_HAVE_ARRIVED))
    chosen = sa.select(
        table.customer_id,
        table.is_holdout,
        sa.type_coerce(table.assigned_at, sa.Text) if store.file else table.assigned_at,
        table.version,
        table.expected_cost_cents,
    ).where(table.campaign == campaign)
    with store.begin() as connection:
        sent = set(connection.scalars(handed))
        rows = connection.execute(chosen).all()
    return {
        row[0]: Assigned(
            bool(row[1]),
            row[2],
            version=row[3],
            cost_cents=(row[4] or 0.0) if row[0] in sent else 0.0,
            is_handed_over=row[0] in sent,
        )
        for row in rows
    }


def predecessors(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """The customers that identifiers of each customer belonged to before, all the way back."""
    rows = snapshot.query(
        "select distinct customer_id, previous_customer_id from identity_changes"
        " where customer_id <> previous_customer_id order by 1, 2"
    ).to_pylist()
    before: dict[str, set[str]] = {}
    for row in rows:
        before.setdefault(row["customer_id"], set()).add(row["previous_customer_id"])
    return {customer: tuple(sorted(_ancestors(customer, before))) for customer in before}


def _ancestors(customer: str, before: Mapping[str, set[str]]) -> set[str]:
    reached, waiting = set(), [customer]
    while waiting:
        for one in before.get(waiting.pop(), ()):
            if one not in reached and one != customer:
                reached.add(one)
                waiting.append(one)
    return reached


def draw_holdout(
    campaign: str,
    share: float,
    customers: Iterable[str],
    stored: Mapping[str, bool],
    before: Mapping[str, Sequence[str]],
) -> npt.NDArray[np.bool_]:
    """Whether each customer is in the holdout: as it was drawn before, else by the hash of campaign and customer.

    A customer without an assignment whose identifiers belonged to assigned customers has theirs; where these differ,
    the holdout.
    """

    def is_in(customer: str) -> bool:
        if customer in stored:
            return stored[customer]
        earlier = [stored[one] for one in before.get(customer, ()) if one in stored]
        return any(earlier) if earlier else arm_of(campaign, customer, share) == HOLDOUT

    return np.fromiter((is_in(customer) for customer in customers), dtype=np.bool_)


def write_assignments(
    store: Store, campaign: str, version: int, plan: PlannedRows, stored: Mapping[str, Assigned], at: datetime
) -> None:
    """Replace the plan of a campaign; arms, and what was handed over, stay.

    Rows are written in several transactions, none of which loses an arm: the campaign is a draft meanwhile, of which
    nothing is sent, and the step that makes the plan count is taken after them.
    """
    rows = list(_rows(store, campaign, version, plan, stored, at))
    table = ASSIGNMENTS.c
    key = (table.campaign == sa.bindparam("of_campaign"), table.customer_id == sa.bindparam("of_customer"))
    for start in range(0, len(rows), ROWS_PER_TRANSACTION):
        part = rows[start : start + ROWS_PER_TRANSACTION]
        old = [{"of_campaign": campaign, "of_customer": row[1]} for row in part if row[1] in stored]
        with store.begin() as connection:
            if old:
                connection.execute(sa.delete(ASSIGNMENTS).where(*key), old)
            insert_many(connection, ASSIGNMENTS, part)


def _rows(
    store: Store, campaign: str, version: int, plan: PlannedRows, stored: Mapping[str, Assigned], at: datetime
) -> Iterable[tuple]:
    """Rows in the order of the columns: of the plan, and of customers who were assigned by an earlier one."""
    text = _times_as_text if store.file else _times
    send_at, now = text(plan.send_at), text(np.array([int(at.timestamp())]))[0]
    columns = zip(
        plan.customer,
        plan.is_holdout.tolist(),
        plan.offer,
        send_at,
        plan.response.tolist(),
        plan.net_cents.tolist(),
        plan.cost_cents.tolist(),
        strict=True,
    )
    for customer, is_holdout, offer, time, response, net, cost in columns:
        if customer in stored and stored[customer].is_handed_over:
            continue
        since = stored[customer].assigned_at if customer in stored else now
        start = (campaign, customer, is_holdout, since, version)
        yield (*start, False, *NO_MESSAGE) if is_holdout else (*start, True, offer, time, response, net, cost)
    planned = set(plan.customer)
    for customer, one in stored.items():
        if customer not in planned and not one.is_handed_over:
            yield (campaign, customer, one.is_holdout, one.assigned_at, version, False, *NO_MESSAGE)


def _times(seconds: npt.NDArray[np.int64]) -> list:
    return [datetime.fromtimestamp(one, UTC) for one in seconds.tolist()]


def _times_as_text(seconds: npt.NDArray[np.int64]) -> list:
    """Times as SQLite's dialect keeps them; few are different."""
    values, place = np.unique(seconds, return_inverse=True)
    texts = [f"{datetime.fromtimestamp(one, UTC):%Y-%m-%d %H:%M:%S}.000000" for one in values.tolist()]
    return [texts[one] for one in place.tolist()]
