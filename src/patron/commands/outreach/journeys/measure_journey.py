"""The result of a journey: what it caused among everybody who entered, what it cost, who left and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron.commands.outreach.campaigns.campaign_arms import CampaignArms, campaign_arms
from patron.commands.outreach.campaigns.campaign_results import (
    MarginEffect,
    SendResult,
    conclusion,
    findings,
    keep_result,
    shared_result,
)
from patron.commands.outreach.journeys.journey_step_results import StepResult, step_results
from patron.commands.outreach.messages.message_costs import message_cents
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.measure.campaign_outcomes import entry_outcomes_query
from patron.measure.effect_estimates import HOLDOUT, TREATED
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadJourney
from patron.schema.numbers import Numbers
from patron.schema.outreach.draft_name import DraftName
from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED
from patron.schema.sentences import Sentence
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import JOURNEY_ENTRIES, MESSAGES
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.outreach.outreach_counts import entry_counts
from patron.storage.outreach.versioned_drafts import IS_OVER, SavedVersion, state_in_words
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import Store

NOBODY_ENTERED = Sentence("nobody_entered", "{name!r} is {state}: nobody has entered")

STILL_OPEN = Sentence(
    "finding.open", "{count:,} customers do not count yet: the days in which their orders count are not over."
)
COMPLAINTS = Sentence(
    "finding.complaints",
    "{share:.1%} of the messages drew complaints. Change the content, or send it to fewer customers.",
)
NO_ENTRY_YET = Sentence("no_entry_yet", "nobody had entered {name!r} by the last run, as of {time} UTC")
RUN_AFTER_ENTRY = Sentence("run_after_entry", "Run the loop with `patron run` once somebody has entered.")

NOT_SENT_YET = Sentence("plan_and_approve", "Plan and approve it first; see `patron journey show`.")
MAX_COMPLAINTS = 0.003
"""Share of messages that were complained about from which the result says so."""
UNWANTED = ("unsubscribed", "complained")
"""Receipts that say that a message was not wanted."""
SO_FAR = "customers still enter, or their time is not over"


@dataclass(frozen=True, kw_only=True)
class JourneyResult(SendResult):
    """The result of a journey; amounts in cents."""

    journey: str
    window_days: int
    """Days from each customer's first entry in which orders count."""
    entered_count: int
    """Customers who ever entered, by the last run."""
    open_count: int
    """Customers whose time is not over by the last run; they do not count yet."""
    entry_counts: dict[str, int]
    """Entries by state: active, finished, left."""
    exit_counts: dict[str, int]
    """Entries that left, by reason."""
    waiting_counts: dict[str, int]
    """Entries on their way, by version and step that is next."""
    steps: tuple[StepResult, ...]
    """What the steps of each version sent."""
    unsubscribed_share: float | None
    """Share of the messages handed over after which their reader unsubscribed; NULL before any."""
    complained_share: float | None


@operation(
    Right(Action.ACT, Area.CAMPAIGNS),
    "POST /api/journeys/{name}/result",
    audit=AuditAction.JOURNEY_MEASURED,
    name_field="by",
)
def measure_journey(context: RequestContext, name: DraftName) -> JourneyResult:
    """Measure against the holdout by the last run; before its end this is the result so far.

    Once it is over, and everybody's time is, the result is kept.

    Raises NotFound, NoRunYet, BadJourney where nobody can have entered yet.
    """
    saved, result = _measure(context.shop, name, context.now)
    return keep_result(context, JOURNEY, saved, result) if result.is_final else result


def journey_result(shop: Shop, name: str, *, now: datetime) -> JourneyResult:
    """What measuring a journey would say now; nothing is kept. Raises as `measure_journey`."""
    return _measure(shop, name, now)[1]


def _measure(shop: Shop, name: str, now: datetime) -> tuple[SavedVersion[Journey], JourneyResult]:
    saved, snapshot = JOURNEY.saved_in(shop.store, name), last_run(shop)
    arms, people = journey_people(shop, saved, snapshot)
    return saved, _result(shop, saved, snapshot, arms=arms, people=people, now=now)


def journey_people(shop: Shop, saved: SavedVersion[Journey], snapshot: Snapshot) -> tuple[CampaignArms, pa.Table]:
    """Everybody who entered a journey before a run, with their arm and their window.

    Raises BadJourney where nobody can have entered.
    """
    name = saved.name
    if saved.last("approved") is None:
        what = NOBODY_ENTERED(name=name, state=state_in_words(saved.state))
        raise BadJourney(what, where="journey", todo=NOT_SENT_YET)
    arms, days = campaign_arms(shop.store, snapshot, name), timedelta(days=saved.content.window_days)
    windows: dict[str, tuple[datetime, datetime]] = {}
    for customer, at in _first_entries(shop.store, name).items():
        person = arms.today.get(customer, customer)
        windows[person] = min((at, at + days), windows.get(person, (at, at + days)))
    people = arms.with_windows(windows.get, snapshot.run.as_of)
    if not people.num_rows:
        what = NO_ENTRY_YET(time=f"{snapshot.run.as_of:%Y-%m-%d %H:%M}", name=name)
        raise BadJourney(what, where="journey", todo=RUN_AFTER_ENTRY)
    return arms, people


def _result(
    shop: Shop, saved: SavedVersion[Journey], snapshot: Snapshot, *, arms: CampaignArms, people: pa.Table, now: datetime
) -> JourneyResult:
    counted, plan = people.filter(people["is_over"]), saved.last("planned")
    replayed = (plan.details.get("replay") if plan else None) or {}
    facts = shared_result(
        shop,
        saved,
        snapshot,
        everybody=people,
        counted=counted,
        outcomes_sql=entry_outcomes_query(shop.settings.shop.margin_share, shop.policy.offers),
        sending=_sending_cents(shop, saved.name, arms, counted),
        forecast_cents=float(replayed.get("monthly_cost_cents", 0.0)),
        now=now,
    )
    entries, best = entry_counts(shop.store, saved.name), facts["effects"][-1] if facts["effects"] else None
    open_count = people.num_rows - counted.num_rows
    is_final = saved.state in IS_OVER and not open_count and not entries.states.get("active", 0)
    handed_over = sum(facts["message_counts"].get(state, 0) for state in MAY_HAVE_ARRIVED)
    shares = {kind: facts["receipt_counts"].get(kind, 0) / handed_over if handed_over else None for kind in UNWANTED}
    found = findings(people, facts["sample_ratio_p_value"], arms.merged_count)
    found += [STILL_OPEN(count=open_count)] if open_count else []
    complained = shares["complained"]
    found += [COMPLAINTS(share=complained)] if complained is not None and complained > MAX_COMPLAINTS else []
    return JourneyResult(
        **facts,
        journey=saved.name,
        until=snapshot.run.as_of,
        is_final=is_final,
        window_days=saved.content.window_days,
        entered_count=people.num_rows,
        open_count=open_count,
        entry_counts=entries.states,
        exit_counts=entries.reasons,
        waiting_counts=entries.steps,
        steps=step_results(shop.store, saved.name),
        unsubscribed_share=shares["unsubscribed"],
        complained_share=complained,
        findings=tuple(map(str, found)),
        finding_texts=tuple(text.plain() for text in found),
        learned=_conclusion(best, counted, shop.settings.shop.currency, is_final=is_final),
    )


def _conclusion(best: MarginEffect | None, counted: pa.Table, currency: str, *, is_final: bool) -> str:
    arms = counted["arm"].to_pylist()
    if best is None and not (TREATED in arms and HOLDOUT in arms) and not is_final:
        return "Nothing is known of its effect yet: both arms need customers whose days are over."
    return conclusion(best, None, None, currency, is_final=is_final, so_far=SO_FAR)


def _sending_cents(shop: Shop, journey: str, arms: CampaignArms, people: pa.Table) -> Numbers:
    """What the messages of each customer cost to send, cents."""
    table = MESSAGES.c
    counted = sa.select(table.customer_id, table.offer, sa.func.count()).where(
        table.campaign == journey, table.state.in_(MAY_HAVE_ARRIVED)
    )
    spent: dict[str, float] = {}
    with shop.store.begin() as connection:
        for customer, offer, count in connection.execute(counted.group_by(table.customer_id, table.offer)):
            person = arms.today.get(customer, customer)
            spent[person] = spent.get(person, 0.0) + count * message_cents(shop, offer)
    return np.array(
        [spent.get(customer_id, 0.0) for customer_id in people["customer_id"].to_pylist()], dtype=np.float64
    )


def _first_entries(store: Store, journey: str) -> dict[str, datetime]:
    """When each customer first entered."""
    table = JOURNEY_ENTRIES.c
    chosen = sa.select(table.customer_id, sa.func.min(table.entered_at)).where(table.journey == journey)
    with store.begin() as connection:
        return {row[0]: utc(row[1]) for row in connection.execute(chosen.group_by(table.customer_id))}
