"""Today: what needs a decision of the reader, what stops the work first, then by the money that is at stake."""

import tomllib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from patron.answers.customers.watch_list import watch_list_total
from patron.answers.data.setup_steps import SetupStep, setup_steps
from patron.answers.insight.brief import WATCH_LIST, Change, changes
from patron.answers.insight.revenue import expected_cents
from patron.answers.models.model_alarms import ModelAlarm, model_alarms
from patron.answers.offers.offer_results import decision_summary, effects
from patron.answers.outreach.campaign_list import details_of
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Actor, Area, Right
from patron.schema.data.dead_letter_reasons import FAULTS
from patron.schema.errors import NoRunYet
from patron.storage.customers.customer_tables import TASKS
from patron.storage.data.webhooks import PERSON, webhook_endpoints
from patron.storage.insight.digests import undelivered_digests
from patron.storage.models.model_decisions import utc
from patron.storage.offers.proposal_tables import POLICY_PROPOSALS
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.outreach.pending_approvals import pending_approval
from patron.storage.outreach.sending_hold import current_hold
from patron.storage.outreach.versioned_drafts import ENDED, PAUSED, PLANNED, SavedVersion
from patron.storage.privacy.privacy_tables import PRIVACY_REQUESTS
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.jobs import FAILED, RUN, newest_jobs
from patron.storage.runs.last_run import last_run, last_run_cutoff
from patron.storage.runs.lost_jobs import settle_lost_jobs
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import DEAD_LETTERS, RUNS

STALE_AFTER = timedelta(hours=48)
"""Forecasts and decisions of an older run are worth a line."""
RECENT = timedelta(days=7)
URGENT_BEFORE = timedelta(days=3)
"""A request of a customer that is due so soon stands before all money."""
FROM_THE_BRIEF = frozenset(
    {"send_offers", "send_to_learn", "raise_budget", "ask_consent", "stop_offer", "no_offer_pays"}
)


@dataclass(frozen=True)
class TodayItem:
    """One line: what it is about, the money at stake, since when, and where it is settled."""

    kind: str
    link: str
    value_cents: float | None = None
    """Money at stake; None where it cannot be put in money."""
    since: datetime | None = None
    name: str = ""
    """Of the campaign, journey, or proposal."""
    count: int = 0
    """Customers, messages, rows, requests or alarms that it is about."""
    is_first: bool = False
    """Whether it stops the work or has a legal deadline: then it stands before all money."""
    details: Mapping[str, str] = field(default_factory=dict)
    alarm: ModelAlarm | None = None
    change: Change | None = None


@dataclass(frozen=True)
class Today:
    """What needs a decision."""

    as_of: datetime | None
    """Cutoff of the last run; None before any."""
    items: tuple[TodayItem, ...]
    value_cents: float
    """Money at stake in all of them."""
    setup: tuple[SetupStep, ...]
    """What is left to set up; nothing once the shop runs."""


@dataclass(frozen=True)
class RunItems:
    """Lines that follow from the last run alone, the same for every reader who may see them."""

    of_models: tuple[TodayItem, ...]
    of_customers: tuple[TodayItem, ...]
    of_offers: tuple[TodayItem, ...]


def run_items(view: Snapshot) -> RunItems:
    """Lines that follow from a run: alarms, value at risk that rose, and what the brief would change."""
    return RunItems(tuple(_alarms(view, expected_cents(view))), tuple(_risk(view)), tuple(_offers(view)))


def _alarms(view: Snapshot, expected: float | None) -> Iterator[TodayItem]:
    alarms = model_alarms(view)
    if alarms:
        first = alarms[0]
        yield TodayItem("model_alarm", "/models/drift#alarms", expected, first.since, count=len(alarms), alarm=first)


def _risk(view: Snapshot) -> Iterator[TodayItem]:
    listed = watch_list_total(view)
    now, count = listed.value_at_risk_cents, listed.customer_count
    if not now:
        return
    earlier = _run_before(view)
    before = watch_list_total(earlier).value_at_risk_cents if earlier else None
    if before is None:
        yield TodayItem("watch_list", WATCH_LIST, now, view.run.as_of, count=count)
    elif earlier and now > before:
        yield TodayItem("risk_rose", WATCH_LIST, now - before, earlier.run.as_of, count=count)


def _run_before(view: Snapshot) -> Snapshot | None:
    chosen = sa.select(RUNS.c.run_id, RUNS.c.as_of, RUNS.c.seed).where(RUNS.c.as_of < view.run.as_of)
    with view.store.begin() as connection:
        row = connection.execute(chosen.order_by(RUNS.c.as_of.desc()).limit(1)).first()
    return Snapshot(view.shop, Run(row.run_id, utc(row.as_of), row.seed), {}) if row else None


def _offers(view: Snapshot) -> Iterator[TodayItem]:
    for change in changes(view, decision_summary(view), effects(view)):
        if change.code in FROM_THE_BRIEF:
            yield TodayItem(
                "offers",
                change.link,
                change.value_cents,
                view.run.as_of,
                name=change.offer,
                count=change.count,
                change=change,
                details={"run": view.run.run_id},
            )


def today(
    shop: Shop, actor: Actor, of_run: RunItems | None, *, now: datetime, among: Container[str] = frozenset()
) -> Today:
    """What needs a decision of the reader; `of_run` is that of the last run, None before any.

    A reader whose team sees some customers only gets lines about those `among` whom they see, and none about all.
    """
    items = [
        *_held_sending(shop, actor),
        *_approvals(shop, actor),
        *_stopped(shop, actor, now),
        *_proposals(shop, actor),
        *_run_troubles(shop, actor, now),
        *_webhooks(shop, actor),
        *_digests(shop, actor, now),
        *_rejected_events(shop, actor, now),
        *_tasks(shop, actor, now, among),
        *_requests(shop, actor, now),
        *(_of_run(of_run, actor) if of_run else ()),
    ]
    items.sort(key=lambda one: (not one.is_first, -(one.value_cents or 0.0), one.kind, one.name))
    total = sum(item.value_cents or 0.0 for item in items)
    return Today(last_run_cutoff(shop), tuple(items), total, setup_steps(shop, actor))


def run_items_of(cache: AnswerCache) -> RunItems | None:
    """Lines that follow from the last run; None before any."""
    try:
        return cache.cached("run items", lambda: run_items(last_run(cache.shop)))
    except NoRunYet:
        return None


@operation(Right(Action.READ, Area.OVERVIEW), "GET /api/today")
def show_today(context: RequestContext) -> Today:
    """What needs a decision: approvals, alarms, what stopped, tasks and requests; by the money at stake."""
    settle_lost_jobs(context.shop, now=context.now)
    among = frozenset() if context.visible is None else context.visible
    return today(context.shop, context.actor, run_items_of(context.cache), now=context.now, among=among)


def _of_run(items: RunItems, actor: Actor) -> Iterator[TodayItem]:
    """Lines of a run that the reader may see; who sees some customers gets none that counts all or their money."""
    if actor.may(Action.READ, Area.MODELS):
        yield from (replace(model, value_cents=None) if actor.segment else model for model in items.of_models)
    if actor.segment:
        return
    yield from items.of_customers if actor.may(Action.READ, Area.CUSTOMERS) else ()
    yield from items.of_offers if actor.may(Action.READ, Area.OFFERS) else ()


def _approvals(shop: Shop, actor: Actor) -> Iterator[TodayItem]:
    """Plans that wait for the reader, who has not written them, and what changed since others were approved."""
    if not actor.may(Action.APPROVE, Area.CAMPAIGNS):
        return
    for kind, saved in _newest_versions(shop):
        if saved.state == PLANNED and saved.saved_by != actor.name:
            planned = saved.last("planned")
            at = planned.taken_at if planned else saved.saved_at
            yield TodayItem(
                f"{kind}_approval",
                f"/{kind}s/{saved.name}",
                value_cents=_planned_cents(saved),
                since=at,
                name=saved.name,
                details={"by": saved.saved_by},
            )
        elif (pending := pending_approval(shop, saved)) and (pending.changes or pending.held):
            yield TodayItem(
                f"{kind}_reapproval",
                f"/{kind}s/{saved.name}/approval",
                value_cents=_planned_cents(saved),
                since=saved.steps[-1].taken_at,
                name=saved.name,
            )


def _held_sending(shop: Shop, actor: Actor) -> Iterator[TodayItem]:
    """That nothing is sent since a restore."""
    if actor.may(Action.READ, Area.CAMPAIGNS) and (hold := current_hold(shop.store)):
        yield TodayItem("sending_held", "/sending", since=hold.held_at, is_first=True)


def _stopped(shop: Shop, actor: Actor, now: datetime) -> Iterator[TodayItem]:
    """Campaigns and journeys that were paused, or are over and not measured; messages that failed or are unsettled."""
    if not actor.may(Action.ACT, Area.CAMPAIGNS):
        return
    failed = sa.select(MESSAGES.c.campaign, sa.func.count(), sa.func.min(MESSAGES.c.written_at)).where(
        MESSAGES.c.state == "failed", MESSAGES.c.written_at >= now - RECENT
    )
    unknown = sa.select(MESSAGES.c.campaign, sa.func.count(), sa.func.min(MESSAGES.c.sent_at)).where(
        MESSAGES.c.state == "unknown"
    )
    with shop.store.begin() as connection:
        failures = {row[0]: row[1:] for row in connection.execute(failed.group_by(MESSAGES.c.campaign))}
        unsettled = {row[0]: row[1:] for row in connection.execute(unknown.group_by(MESSAGES.c.campaign))}
    for kind, saved in _newest_versions(shop):
        link, last = f"/{kind}s/{saved.name}", saved.steps[-1] if saved.steps else None
        since = last.taken_at if last else saved.saved_at
        if saved.state == PAUSED:
            yield TodayItem(f"{kind}_paused", link, value_cents=_planned_cents(saved), since=since, name=saved.name)
        if saved.state == ENDED:
            yield TodayItem(f"{kind}_ended", link, value_cents=_planned_cents(saved), since=since, name=saved.name)
        if saved.name in failures:
            count, first = failures[saved.name]
            yield TodayItem("messages_failed", link, value_cents=None, since=utc(first), name=saved.name, count=count)
        if saved.name in unsettled:
            count, first = unsettled[saved.name]
            yield TodayItem(
                "messages_unknown",
                f"{link}/messages#unknown",
                value_cents=None,
                since=utc(first),
                name=saved.name,
                count=count,
            )


def _newest_versions(shop: Shop) -> Iterator[tuple[str, SavedVersion[Campaign] | SavedVersion[Journey]]]:
    yield from (("campaign", one) for one in CAMPAIGN.all_saved_in(shop.store))
    yield from (("journey", one) for one in JOURNEY.all_saved_in(shop.store))


def _planned_cents(saved: SavedVersion[Campaign] | SavedVersion[Journey]) -> float | None:
    """Margin that the newest plan expects; None without a forecast."""
    plan: Mapping[str, Any] = details_of(saved.last("planned")) or {}
    return ((plan.get("replay") or plan).get("forecast") or {}).get("margin_cents")


def _proposals(shop: Shop, actor: Actor) -> Iterator[TodayItem]:
    """Changes of the policy that wait for the reader; the money is the budget that they propose."""
    if not actor.may(Action.APPROVE, Area.OFFERS):
        return
    column = POLICY_PROPOSALS.c
    chosen = sa.select(column.proposal_id, column.content, column.note, column.proposed_at, column.proposed_by)
    with shop.store.begin() as connection:
        rows = connection.execute(chosen.where(column.state == "proposed")).mappings().all()
    for row in rows:
        if row["proposed_by"] != actor.name:
            yield TodayItem(
                "policy_approval",
                f"/offers/proposals/{row['proposal_id']}",
                _budget_cents(row["content"]),
                utc(row["proposed_at"]),
                name=row["note"],
                details={"by": row["proposed_by"]},
            )


def _budget_cents(content: str) -> float | None:
    try:
        amount = tomllib.loads(content).get("budget", {}).get("amount")
        return None if amount is None else float(amount) * 100
    except (ValueError, TypeError, AttributeError):
        return None


def _run_troubles(shop: Shop, actor: Actor, now: datetime) -> Iterator[TodayItem]:
    """A run that failed, and forecasts that grow old."""
    if not actor.may(Action.READ, Area.RUNS):
        return
    newest = next(iter(newest_jobs(shop.store, RUN, limit=1)), None)
    if newest and newest.state == FAILED:
        problem = {name: text for name, text in (newest.problem or {}).items() if isinstance(text, str)}
        at = newest.finished_at or newest.requested_at
        yield TodayItem("run_failed", f"/jobs/{newest.job_id}", since=at, is_first=True, details=problem)
    cutoff = last_run_cutoff(shop)
    if cutoff and now - cutoff > STALE_AFTER:
        yield TodayItem("run_stale", "/runs", since=cutoff, count=(now - cutoff).days)


def _webhooks(shop: Shop, actor: Actor) -> Iterator[TodayItem]:
    """Webhooks that failed so long that they get nothing any more."""
    if not actor.may(Action.ADMINISTER, Area.SETTINGS):
        return
    for endpoint in webhook_endpoints(shop.store):
        if endpoint.disabled_at and endpoint.disabled_why != PERSON:
            host = urlsplit(endpoint.url).hostname or endpoint.url
            link = f"/settings/webhooks/{endpoint.endpoint_id}"
            yield TodayItem("webhook_disabled", link, since=endpoint.disabled_at, name=host, is_first=True)


def _digests(shop: Shop, actor: Actor, now: datetime) -> Iterator[TodayItem]:
    """Mail digests that did not arrive: the reader's own, and those of others for who sets the mail server up."""
    with shop.store.begin() as connection:
        failed = undelivered_digests(connection, now)
    if mine := next((one for one in failed if one.user_id == actor.user_id), None):
        yield TodayItem("digest_failed", "/account/digest", since=mine.attempted_at)
    others = [one for one in failed if one.user_id != actor.user_id]
    if others and actor.may(Action.ADMINISTER, Area.SETTINGS):
        since = min((other.attempted_at for other in others if other.attempted_at), default=None)
        yield TodayItem("digests_failed", "/settings/channels", since=since, count=len(others))


def _rejected_events(shop: Shop, actor: Actor, now: datetime) -> Iterator[TodayItem]:
    """Events of the last days in which something is wrong."""
    if not actor.may(Action.READ, Area.DATA):
        return
    column = DEAD_LETTERS.c
    chosen = sa.select(sa.func.count(), sa.func.min(column.created_at)).where(
        column.reason.in_(FAULTS), column.created_at >= now - RECENT
    )
    with shop.store.begin() as connection:
        count, first = connection.execute(chosen).one()
    if count:
        yield TodayItem("rejected", "/ingestion#letters", since=utc(first), count=count)


def _tasks(shop: Shop, actor: Actor, now: datetime, among: Container[str]) -> Iterator[TodayItem]:
    """Tasks of the reader that are due, and those of nobody for who may take them; of customers whom they see."""
    if not actor.may(Action.ACT, Area.CUSTOMERS) or not actor.user_id:
        return
    owners = [actor.user_id] if actor.segment else [actor.user_id, ""]
    column = TASKS.c
    figures: list[Any] = [sa.func.count(), sa.func.sum(column.value_at_risk_cents), sa.func.min(column.due_at)]
    is_due = (
        column.state == "open",
        column.owner.in_(owners),
        column.is_holdout.is_(False),
        column.due_at < now + timedelta(days=1),
    )
    of_each = sa.select(column.customer_id, *figures).where(*is_due).group_by(column.customer_id)
    with shop.store.begin() as connection:
        if actor.segment:
            rows = [tuple(row[1:]) for row in connection.execute(of_each) if row.customer_id in among]
        else:
            rows = [tuple(row) for row in connection.execute(sa.select(*figures).where(*is_due)) if row[0]]
    if rows:
        values = [float(value) for _, value, _ in rows if value is not None]
        count, first = sum(row[0] for row in rows), min(row[2] for row in rows)
        yield TodayItem("tasks_due", "/tasks", sum(values) if values else None, utc(first), count=count)


def _requests(shop: Shop, actor: Actor, now: datetime) -> Iterator[TodayItem]:
    """Requests of customers that are not answered, for those who answer them."""
    if not actor.may(Action.ACT, Area.PRIVACY) or actor.segment:
        return
    column = PRIVACY_REQUESTS.c
    chosen = sa.select(sa.func.count(), sa.func.min(column.due_at), sa.func.min(column.received_at))
    with shop.store.begin() as connection:
        count, due_at, received_at = connection.execute(chosen.where(column.state == "open")).one()
    if count:
        due = utc(due_at)
        yield TodayItem(
            "requests_due",
            "/privacy",
            since=utc(received_at),
            count=count,
            is_first=due < now + URGENT_BEFORE,
            details={"due_at": due.isoformat(), "is_overdue": "yes" if due < now else ""},
        )
