"""What happened since webhooks were made: facts of the store and of the last run, each written once as a message.

A message's id is a hash of its fact, so that facts may be looked for again at any time: what is written stays.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from patron.schema.data.webhook_events import MAX_CUSTOMERS, MAX_PARTS
from patron.storage.data.webhooks import (
    WebhookMessage,
    delete_old_messages,
    known_messages,
    webhook_endpoints,
    write_messages,
)
from patron.storage.engine import literal
from patron.storage.models.model_decisions import APPROVED, utc
from patron.storage.offers.proposal_tables import POLICY_PROPOSALS
from patron.storage.outreach.campaign_tables import CAMPAIGN_STEPS, CAMPAIGNS
from patron.storage.privacy.privacy_tables import PRIVACY_REQUESTS
from patron.storage.runs.job_tables import JOBS
from patron.storage.runs.jobs import FAILED, RUN
from patron.storage.runs.last_run import records
from patron.storage.shop import Shop
from patron.storage.store.store import AUDIT, MODEL_DECISIONS, RUNS

LOOKED_BACK = timedelta(days=7)
"""Facts of so long ago are reported where the server was off; older ones are not."""
DUE_SOON = timedelta(days=3)
STEPS = {"started": "campaign.started", "paused": "campaign.paused", "ended": "campaign.ended"}
STEPS |= {"measured": "campaign.measured"}


@dataclass(frozen=True)
class Fact:
    """Something that happened."""

    event: str
    key: str
    """What makes it one fact: the same key is the same fact."""
    happened_at: datetime
    data: dict[str, Any]
    customer_ids: tuple[str, ...] = field(default=(), repr=False)

    @property
    def message_id(self) -> str:
        """Id of the message that reports it."""
        return f"msg_{hashlib.sha256(f'{self.event}/{self.key}'.encode()).hexdigest()[:24]}"


def report_webhook_events(shop: Shop, *, now: datetime) -> int:
    """Write what happened for the endpoints that are enabled; returns how many messages are new."""
    endpoints = [endpoint for endpoint in webhook_endpoints(shop.store) if endpoint.is_enabled]
    if not endpoints:
        return 0
    since = max(now - LOOKED_BACK, min(endpoint.enabled_at for endpoint in endpoints))
    new = _unknown(shop, _facts_of_store(shop, since, now))
    if any(one.event == "run.finished" for one in new):
        new += _unknown(shop, _facts_of_run(shop, since))
    with shop.store.begin() as connection:
        messages = (
            WebhookMessage(
                one.message_id, one.event, happened_at=one.happened_at, data=one.data, customer_ids=one.customer_ids
            )
            for one in new
        )
        write_messages(connection, messages, endpoints, now)
        delete_old_messages(connection, now)
    return len(new)


def _unknown(shop: Shop, facts: Iterable[Fact]) -> list[Fact]:
    by_id = {fact.message_id: fact for fact in facts}
    known = known_messages(shop.store, by_id)
    return [one for message_id, one in by_id.items() if message_id not in known]


def _facts_of_store(shop: Shop, since: datetime, now: datetime) -> list[Fact]:
    with shop.store.begin() as connection:
        return [
            *_runs(connection, since),
            *_steps(connection, since),
            *_proposals(connection, since),
            *_models(connection, since),
            *_requests(connection, since, now),
        ]


def _runs(connection: sa.Connection, since: datetime) -> Iterator[Fact]:
    """Runs that finished, and those from the console or the schedule that failed."""
    finished = sa.select(RUNS.c.run_id, RUNS.c.as_of, RUNS.c.finished_at).where(RUNS.c.finished_at >= since)
    for row in connection.execute(finished):
        at = utc(row.finished_at)
        data = {"run_id": row.run_id, "as_of": utc(row.as_of).isoformat()}
        yield Fact("run.finished", f"{row.run_id}/{at.isoformat()}", at, data)
    failed = sa.select(JOBS.c.job_id, JOBS.c.finished_at).where(
        JOBS.c.kind == RUN, JOBS.c.state == FAILED, JOBS.c.finished_at >= since
    )
    for row in connection.execute(failed):
        yield Fact("run.failed", row.job_id, utc(row.finished_at), {"job_id": row.job_id})


def _steps(connection: sa.Connection, since: datetime) -> Iterator[Fact]:
    step, saved = CAMPAIGN_STEPS.c, CAMPAIGNS.c
    chosen = sa.select(CAMPAIGN_STEPS, saved.kind).where(
        saved.name == step.campaign, saved.version == step.version, step.step.in_(STEPS), step.taken_at >= since
    )
    for row in connection.execute(chosen):
        data = {"name": row.campaign, "kind": row.kind, "version": row.version}
        yield Fact(STEPS[row.step], f"{row.campaign}/{row.entry}", utc(row.taken_at), data)


def _proposals(connection: sa.Connection, since: datetime) -> Iterator[Fact]:
    table = POLICY_PROPOSALS.c
    for row in connection.execute(sa.select(table.proposal_id, table.proposed_at).where(table.proposed_at >= since)):
        data = {"proposal_id": row.proposal_id}
        yield Fact("policy.proposed", str(row.proposal_id), utc(row.proposed_at), data)
    approved = sa.select(table.proposal_id, table.decided_at).where(
        table.state == "approved", table.decided_at >= since
    )
    for row in connection.execute(approved):
        yield Fact("policy.approved", str(row.proposal_id), utc(row.decided_at), {"proposal_id": row.proposal_id})


def _models(connection: sa.Connection, since: datetime) -> Iterator[Fact]:
    table = MODEL_DECISIONS.c
    chosen = sa.select(table.model_version, table.decided_at).where(
        table.decision == APPROVED, table.decided_at >= since
    )
    for row in connection.execute(chosen):
        at = utc(row.decided_at)
        data = {"model_version": row.model_version}
        yield Fact("model.approved", f"{row.model_version}/{at.isoformat()}", at, data)


def _requests(connection: sa.Connection, since: datetime, now: datetime) -> Iterator[Fact]:
    """Requests about data, from when they were entered, and again when their deadline is near."""
    table = PRIVACY_REQUESTS.c
    columns = sa.select(table.request_id, table.kind, table.due_at)
    # why: a letter may have been received long before somebody entered it; the audit log says when that was
    entered = sa.select(AUDIT.c.at, AUDIT.c.details).where(AUDIT.c.action == "privacy request received")
    entries = connection.execute(entered.where(AUDIT.c.at >= since.isoformat())).all()
    entered_at = {json.loads(row.details)["request_id"]: datetime.fromisoformat(row.at) for row in entries}
    for row in connection.execute(columns.where(table.request_id.in_(entered_at))):
        yield Fact("privacy.request_received", row.request_id, entered_at[row.request_id], _request(row))
    near = columns.where(table.state == "open", table.due_at < now + DUE_SOON, table.due_at >= since + DUE_SOON)
    for row in connection.execute(near):
        yield Fact("privacy.request_due", row.request_id, utc(row.due_at) - DUE_SOON, _request(row))


def _request(row: Any) -> dict[str, Any]:
    return {"request_id": row.request_id, "kind": row.kind, "due_at": utc(row.due_at).isoformat()}


def _facts_of_run(shop: Shop, since: datetime) -> Iterator[Fact]:
    """What the last run says: alarms that are new, and who entered and left saved segments."""
    view = shop.snapshot()
    if view is None:
        return
    run_id = view.run.run_id
    column = RUNS.c
    earlier = sa.select(column.run_id).where(column.as_of < view.run.as_of).order_by(column.as_of.desc()).limit(1)
    with shop.store.begin() as connection:
        finished_at = connection.scalar(sa.select(column.finished_at).where(column.run_id == run_id))
        before = connection.scalar(earlier) or ""
    if finished_at is None or (at := utc(finished_at)) < since:
        return
    run = {"run_id": run_id, "as_of": view.run.as_of.isoformat()}
    sql = f"""
select a.kind, a.subject, a.value from model_alarms a
left join model_alarms b on b.run_id = {literal(before)} and b.kind = a.kind and b.subject = a.subject
where a.run_id = {literal(run_id)} and b.run_id is null order by a.kind, a.subject"""
    if alarms := records(view.query(sql)):
        yield Fact("alarm.raised", run_id, at, {**run, "alarms": alarms})
    for event, moved in (("segment.entered", "entered_at"), ("segment.left", "left_at")):
        sql = f"select segment, customer_id from segment_members where {moved} = $at order by segment, customer_id"
        rows = view.query(sql, {"at": view.run.as_of})
        by_segment: dict[str, list[str]] = {}
        for segment, customer_id in zip(rows["segment"].to_pylist(), rows["customer_id"].to_pylist(), strict=True):
            by_segment.setdefault(segment, []).append(customer_id)
        for segment, ids in by_segment.items():
            yield from _moves(event, {"segment": segment, **run}, ids, at)


def _moves(event: str, data: dict[str, Any], customer_ids: list[str], at: datetime) -> Iterator[Fact]:
    parts = -(-len(customer_ids) // MAX_CUSTOMERS)
    whole = {**data, "customer_count": len(customer_ids), "part_count": parts}
    for part in range(min(parts, MAX_PARTS)):
        ids = tuple(customer_ids[part * MAX_CUSTOMERS : (part + 1) * MAX_CUSTOMERS])
        key = f"{data['segment']}/{data['run_id']}/{part + 1}"
        yield Fact(event, key, happened_at=at, data={**whole, "part": part + 1}, customer_ids=ids)
