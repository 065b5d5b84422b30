"""The arms of a campaign or a journey as they are analysed: one row per person, whatever their identifiers became."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import pyarrow as pa
import sqlalchemy as sa

from patron.measure.decision_outcomes import BEFORE_DAYS
from patron.measure.effect_estimates import HOLDOUT, TREATED
from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED
from patron.schema.table_definition import TIME
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, CAMPAIGNS, MESSAGES
from patron.storage.shop import Snapshot
from patron.storage.store.store import Store


@dataclass(frozen=True)
class CampaignArms:
    """Everybody who was assigned."""

    people: pa.Table
    """customer_id of today, arm, offer ('' without one), is_sent; in order of customer_id."""
    merged_count: int
    """Assignments of customers who have become one with another assigned one."""
    today: Mapping[str, str]
    """Customer of today of each assigned one who is another by now."""

    def with_windows(self, window_of: Callable[[str], tuple[datetime, datetime] | None], until: datetime) -> pa.Table:
        """People whose window has begun, with its times up to a run: `before_at`, `start_at`, `until_at`, `is_over`."""
        all_windows = [window_of(customer_id) for customer_id in self.people["customer_id"].to_pylist()]
        has_begun = [bool(window and window[0] < until) for window in all_windows]
        people = self.people.filter(pa.array(has_begun, pa.bool_()))
        windows = [window for window in all_windows if window and window[0] < until]
        times = {
            "before_at": [start - timedelta(days=BEFORE_DAYS) for start, _ in windows],
            "start_at": [start for start, _ in windows],
            "until_at": [min(end, until) for _, end in windows],
        }
        for name, column in times.items():
            people = people.append_column(name, pa.array(column, TIME))
        return people.append_column("is_over", pa.array([end <= until for _, end in windows], pa.bool_()))


def campaign_arms(store: Store, snapshot: Snapshot, campaign: str) -> CampaignArms:
    """Everybody who was assigned, as the customers that they are in a run."""
    table, message = ASSIGNMENTS.c, MESSAGES.c
    chosen = sa.select(table.customer_id, table.is_holdout, table.offer).where(table.campaign == campaign)
    handed = sa.select(message.customer_id, message.offer).where(
        message.campaign == campaign, message.state.in_(MAY_HAVE_ARRIVED)
    )
    handed = handed.order_by(message.offer)  # why: of several messages of a journey, one with an offer counts
    with store.begin() as connection:
        sent = {row[0]: row[1] for row in connection.execute(handed)}
        assigned = {row[0]: (bool(row[1]), row[2]) for row in connection.execute(chosen)}
    today = _today(snapshot, sorted(assigned))
    people: dict[str, tuple[bool, str, bool]] = {}
    for customer in sorted(assigned, key=lambda one: (today.get(one, one) != one, not assigned[one][0], one)):
        is_holdout, offer = assigned[customer]
        person = today.get(customer, customer)
        if person not in people:  # why: their own assignment first, then the holdout of those they were
            people[person] = (is_holdout, sent.get(customer, offer), customer in sent)
        elif customer in sent and not people[person][2]:
            people[person] = (people[person][0], sent[customer], True)
    rows = [
        {"customer_id": person, "arm": HOLDOUT if is_holdout else TREATED, "offer": offer, "is_sent": is_sent}
        for person, (is_holdout, offer, is_sent) in sorted(people.items())
    ]
    schema = pa.schema(
        [("customer_id", pa.string()), ("arm", pa.string()), ("offer", pa.string()), ("is_sent", pa.bool_())]
    )
    return CampaignArms(pa.Table.from_pylist(rows, schema=schema), len(assigned) - len(people), today)


def holdout_shares(store: Store, campaign: str) -> set[float]:
    """Shares of the holdout that all versions of a campaign or a journey draw; nobody of a run's is held out."""
    with store.begin() as connection:
        contents = connection.scalars(sa.select(CAMPAIGNS.c.content).where(CAMPAIGNS.c.name == campaign))
        versions = [msgspec.json.decode(content) for content in contents]
    return {0.0 if version.get("run") else float(version["holdout_share"]) for version in versions}


def _today(snapshot: Snapshot, customers: list[str]) -> Mapping[str, str]:
    """The customer of today of each one who is no longer a customer: whom their identifiers belong to now."""
    rows = snapshot.query(
        "select c.previous_customer_id, min(i.customer_id) as customer_id"
        " from identity_changes c join identities i on i.token = c.token"
        " where c.previous_customer_id in (select customer_id from assigned)"
        " and c.previous_customer_id not in (select customer_id from identities)"
        " group by c.previous_customer_id",
        assigned=pa.table({"customer_id": pa.array(customers, pa.string())}),
    ).to_pylist()
    return {row["previous_customer_id"]: row["customer_id"] for row in rows}
