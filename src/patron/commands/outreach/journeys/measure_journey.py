"""The result of a journey: what it caused among everybody who entered, what it cost, who left and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron.commands.outreach.campaigns.campaign_arms import (
    HOLDOUT,
    TREATED,
    CampaignArms,
    campaign_arms,
    holdout_shares,
)
from patron.commands.outreach.campaigns.campaign_assignments import HANDED_OVER
from patron.commands.outreach.campaigns.campaign_effect import (
    ArmSummary,
    EffectEstimate,
    GuardRailResult,
    arm_summaries,
    estimates,
    guard_rails,
    sample_ratio,
)
from patron.commands.outreach.campaigns.campaign_findings import findings, lesson
from patron.commands.outreach.campaigns.campaign_spend import CampaignSpend, message_cents, other_cents
from patron.commands.outreach.journeys.journey_step_results import StepResult, step_results
from patron.govern.access import audit_log
from patron.measure.campaign_outcomes import entry_outcomes_query
from patron.measure.decision_outcomes import BEFORE_DAYS
from patron.schema.errors import BadJourney
from patron.schema.numbers import Numbers, float_column
from patron.schema.table_definition import TIME
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import JOURNEY_ENTRIES, MESSAGES
from patron.storage.outreach.journey_counts import entry_counts
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.outreach.message_counts import message_counts, receipt_counts
from patron.storage.outreach.versioned_drafts import IS_OVER, MEASURED, SavedVersion, state_in_words
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import Store

NOT_SENT_YET = "Plan and approve it first; see `patron journey show`."
MOST_COMPLAINTS = 0.003
"""Share of messages that were complained about from which the result says so."""
SO_FAR = "customers still enter, or their time is not over"


@dataclass(frozen=True)
class JourneyResult:
    """The result of a journey; amounts in cents."""

    journey: str
    version: int
    state: str
    measured_at: datetime
    run_id: str
    until: datetime
    """Orders before it count."""
    is_final: bool
    """Whether it has ended or was withdrawn and everybody's time is over; else the interval to read is the sequence."""
    currency: str
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
    arms: dict[str, ArmSummary]
    """Everybody who entered and whose time is over, whatever they were sent."""
    steps: tuple[StepResult, ...]
    """What the steps of each version sent."""
    message_counts: dict[str, int]
    """Messages by state."""
    receipt_counts: dict[str, int]
    """Messages by what became of them; opened and clicked are no success: machines open and click, too."""
    unsubscribed_share: float | None
    """Share of the messages handed over after which their reader unsubscribed; NULL before any."""
    complained_share: float | None
    effects: tuple[EffectEstimate, ...]
    sample_ratio_p_value: float | None
    guard_rails: tuple[GuardRailResult, ...]
    spend: CampaignSpend
    """Of those who count; the forecast is what the plan expected of a month."""
    findings: tuple[str, ...]
    learned: str


def measure_journey(shop: Shop, name: str, *, by: str, now: datetime) -> JourneyResult:
    """Measure a journey by the last run; once it is over, and everybody's time is, the result is kept.

    Raises NotFound, NoRunYet, BadJourney where nobody can have entered yet.
    """
    saved, result = _measure(shop, name, now)
    if result.is_final:
        with shop.store.begin() as connection:
            JOURNEY.take_step(connection, name, "measured", saved.version, by, now, msgspec.to_builtins(result))
            audit_log.append(shop, connection, "journey measured", {"journey": name}, at=now, by=by)
        return replace(result, state=MEASURED)
    return result


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
        what = f"{name!r} is {state_in_words(saved.state)}: nobody has entered"
        raise BadJourney(what, where="journey", todo=NOT_SENT_YET)
    arms, entered_at = campaign_arms(shop.store, snapshot, name), _first_entries(shop.store, name)
    people = _people(arms, entered_at, saved.content.window_days, snapshot.run.as_of)
    if not people.num_rows:
        what = (
            f"the last run, as of {snapshot.run.as_of:%Y-%m-%d %H:%M} UTC, knows of nobody who entered {name!r} before"
        )
        raise BadJourney(what, where="journey", todo="Run the loop with `patron run` once somebody has entered.")
    return arms, people


def _people(arms: CampaignArms, entered_at: Mapping[str, datetime], days: int, until: datetime) -> pa.Table:
    """Everybody who entered before a run, with their window."""
    first: dict[str, datetime] = {}
    for customer, at in entered_at.items():
        person = arms.today.get(customer, customer)
        first[person] = min(at, first.get(person, at))
    rows = [
        row
        | {
            "before_at": at - timedelta(days=BEFORE_DAYS),
            "start_at": at,
            "until_at": min(at + timedelta(days=days), until),
            "is_over": at + timedelta(days=days) <= until,
        }
        for row in arms.people.to_pylist()
        if (at := first.get(row["customer_id"])) is not None and at < until
    ]
    times = [(name, TIME) for name in ("before_at", "start_at", "until_at")]
    schema = pa.schema([*arms.people.schema, *(pa.field(*one) for one in times), pa.field("is_over", pa.bool_())])
    return pa.Table.from_pylist(rows, schema=schema)


def _result(
    shop: Shop, saved: SavedVersion[Journey], snapshot: Snapshot, *, arms: CampaignArms, people: pa.Table, now: datetime
) -> JourneyResult:
    counted = people.filter(people["is_over"])
    outcomes = snapshot.query(entry_outcomes_query(shop.settings.shop.margin_share), assigned=counted)
    counted = pa.table(
        {name: counted[name] for name in counted.column_names}
        | {name: outcomes[name] for name in outcomes.column_names if name != "customer_id"}
    )
    sending, other = _sending_cents(shop, saved.name, arms, counted), other_cents(shop, counted)
    counted = counted.append_column("net_cents", pa.array(float_column(counted, "margin_cents") - sending - other))
    effects, srm = estimates(counted), sample_ratio(people, holdout_shares(shop.store, saved.name))
    entries = entry_counts(shop.store, saved.name)
    open_count = people.num_rows - counted.num_rows
    is_final = saved.state in IS_OVER and not open_count and not entries.states.get("active", 0)
    receipts, messages = receipt_counts(shop.store, saved.name), message_counts(shop.store, saved.name)
    handed_over = sum(messages.get(state, 0) for state in HANDED_OVER)
    shares = {kind: receipts.get(kind, 0) / handed_over if handed_over else None for kind in UNWANTED}
    plan = saved.last("planned")
    replayed = (plan.details.get("replay") if plan else None) or {}
    best, currency = (effects[-1] if effects else None), shop.settings.shop.currency
    return JourneyResult(
        journey=saved.name,
        version=saved.version,
        state=saved.state,
        measured_at=now,
        run_id=snapshot.run.run_id,
        until=snapshot.run.as_of,
        is_final=is_final,
        currency=currency,
        window_days=saved.content.window_days,
        entered_count=people.num_rows,
        open_count=open_count,
        entry_counts=entries.states,
        exit_counts=entries.reasons,
        waiting_counts=entries.steps,
        arms=arm_summaries(counted),
        steps=step_results(shop.store, saved.name),
        message_counts=messages,
        receipt_counts=receipts,
        unsubscribed_share=shares["unsubscribed"],
        complained_share=shares["complained"],
        effects=effects,
        sample_ratio_p_value=srm,
        guard_rails=guard_rails(counted),
        spend=CampaignSpend.of(counted, sending, other, float(replayed.get("monthly_cost_cents", 0.0))),
        findings=tuple(_findings(people, counted, srm, arms.merged_count, shares["complained"])),
        learned=_lesson(best, counted, currency, is_final=is_final),
    )


UNWANTED = ("unsubscribed", "complained")
"""Receipts that say that a message was not wanted."""


def _findings(
    people: pa.Table, counted: pa.Table, srm: float | None, merged: int, complained: float | None
) -> Sequence[str]:
    sentences = list(findings(people, srm, merged))
    if people.num_rows > counted.num_rows:
        count = people.num_rows - counted.num_rows
        sentences.append(f"{count:,} customers do not count yet: the days in which their orders count are not over.")
    if complained is not None and complained > MOST_COMPLAINTS:
        sentences.append(f"{complained:.1%} of the messages were complained about: change it, or send it to fewer.")
    return sentences


def _lesson(best: EffectEstimate | None, counted: pa.Table, currency: str, *, is_final: bool) -> str:
    arms = counted["arm"].to_pylist()
    if best is None and not (TREATED in arms and HOLDOUT in arms) and not is_final:
        return "Nothing is known of its effect yet: both arms need customers whose days are over."
    return lesson(best, None, None, currency, is_final=is_final, so_far=SO_FAR)


def _sending_cents(shop: Shop, journey: str, arms: CampaignArms, people: pa.Table) -> Numbers:
    """What the messages of each customer cost to send, cents."""
    table = MESSAGES.c
    counted = sa.select(table.customer_id, table.offer, sa.func.count()).where(
        table.campaign == journey, table.state.in_(HANDED_OVER)
    )
    spent: dict[str, float] = {}
    with shop.store.begin() as connection:
        for customer, offer, count in connection.execute(counted.group_by(table.customer_id, table.offer)):
            person = arms.today.get(customer, customer)
            spent[person] = spent.get(person, 0.0) + count * message_cents(shop, offer)
    return np.array([spent.get(one, 0.0) for one in people["customer_id"].to_pylist()], dtype=np.float64)


def _first_entries(store: Store, journey: str) -> dict[str, datetime]:
    """When each customer first entered."""
    table = JOURNEY_ENTRIES.c
    chosen = sa.select(table.customer_id, sa.func.min(table.entered_at)).where(table.journey == journey)
    with store.begin() as connection:
        return {row[0]: utc(row[1]) for row in connection.execute(chosen.group_by(table.customer_id))}
