"""The customer card: identity, history, forecasts with reasons, decisions and recommendations of one customer."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from patron.answers.category_needs import CategoryNeed, customer_needs
from patron.answers.churn_reasons import ChurnReason, churn_reasons
from patron.answers.contract_forecasts import CustomerContract, customer_contracts
from patron.answers.customer_timeline import TimelineEntry, timeline_page
from patron.answers.models import UNITS
from patron.answers.repeat_purchase import CustomerRepeatPurchase, customer_repeat_purchase
from patron.answers.response_forecasts import ResponseForecast, customer_responses
from patron.answers.score_reasons import mean_by_recency, score_reasons
from patron.answers.survival import CustomerSurvival, customer_survival
from patron.answers.value_parts import ValueParts, value_parts
from patron.schema.customer_contacts import unknown_customer
from patron.schema.live_profile import LiveProfile
from patron.schema.questions import CHURN
from patron.storage.engine import timestamp
from patron.storage.last_run import last_run, records
from patron.storage.missing_forecasts import MissingForecast, missing_forecasts
from patron.storage.shop import Shop, Snapshot
from patron.storage.snapshot import customer_row

MONTHS = 12


@dataclass(frozen=True)
class Score:
    """One forecast for the customer, with its interval, its reasons and its model."""

    question: str
    unit: str
    as_of: datetime
    model_version: str
    value: float
    low: float | None
    high: float | None
    reasons: tuple[str, ...]
    """Features that moved the forecast most, signed."""
    churn_reasons: tuple[ChurnReason, ...] | None = None
    """Of churn: what sets the customer apart, the strongest first; None where the run has none of anybody."""


@dataclass(frozen=True)
class NextOrder:
    """When the next order is likely, with an 80 % interval; None is later than `until`."""

    likely_by: datetime | None
    low_at: datetime | None
    high_at: datetime | None
    until: datetime
    """The end of the 90 days that the forecast covers."""


@dataclass(frozen=True)
class NextProductReason:
    """Why a product is recommended, with its facts."""

    code: str
    product_name: str | None
    """The other product that it is about; its id where it has no name."""
    days_since: float | None
    """Days since the customer last bought the product."""
    usual_days: float | None
    """Days between the customer's purchases of it."""
    offer_starts_at: datetime | None
    """When the promotion that it is about starts; none once it runs."""
    offer_ends_at: datetime | None
    """When it is over."""


@dataclass(frozen=True)
class Recommendation:
    """One product to show."""

    rank: int
    product_id: str
    product_name: str | None
    category: str | None
    price_cents: int | None
    reason: NextProductReason


@dataclass(frozen=True)
class Decision:
    """The decision for the customer at one run, with its reason."""

    decision_id: str
    run_id: str
    as_of: datetime
    action: str
    reason: str
    stratum: str
    expected_net_value_cents: float
    effect_cents: float
    cost_cents: float
    effect_source: str
    propensity: float
    is_holdout: bool
    consent_basis: str
    policy_version: str
    is_withdrawn: bool
    """Whether the run's offers were withdrawn before they were sent."""


@dataclass(frozen=True)
class Trait:
    """A trait the customer declared, neither identifying nor sensitive."""

    trait: str
    value: str
    known_at: datetime


@dataclass(frozen=True)
class CustomerConsent:
    """The customer's latest consent for one purpose."""

    purpose: str
    is_granted: bool
    basis: str
    wording_version: str | None
    policy_version: str | None
    occurred_at: datetime


@dataclass(frozen=True)
class MonthlySpend:
    """Paid in one 30-day month before the run."""

    starts_at: datetime
    paid_cents: int


@dataclass(frozen=True)
class CustomerCard:
    """Everything the run knows about one customer."""

    customer_id: str
    run_id: str
    as_of: datetime
    is_identified: bool
    first_event_at: datetime
    first_order_at: datetime | None
    last_order_at: datetime | None
    days_since_last_order: int | None
    """Calendar days in the shop's time zone, as the feature and the reasons count them."""
    order_count: int
    paid_cents: int
    refunded_cents: int
    acquisition_channel: str | None
    user_id_count: int
    device_count: int
    lifecycle_stage: str | None
    persona_code: str | None
    recency_score: int | None
    frequency_score: int | None
    monetary_score: int | None
    traits: tuple[Trait, ...]
    consents: tuple[CustomerConsent, ...]
    """By purpose, as of the last run."""
    months: tuple[MonthlySpend, ...]
    scores: tuple[Score, ...]
    value_parts: ValueParts | None
    """What makes up their value; None without a forecast of it."""
    next_order: NextOrder | None
    """When their next order is likely; None without a forecast."""
    needs: tuple[CategoryNeed, ...]
    """The categories that they are likely to buy next, five at most."""
    responses: tuple[ResponseForecast, ...]
    """How likely they respond to the next message, by channel and type; none in a shop with too few messages."""
    contracts: tuple[CustomerContract, ...]
    """Running contracts with a declared end, the next to end first."""
    repeat_purchase: CustomerRepeatPurchase | None
    """From the days of their orders; None without any, or where the run's model of them is not confirmed."""
    decisions: tuple[Decision, ...]
    recommendations: tuple[Recommendation, ...]
    timeline: tuple[TimelineEntry, ...]
    """The latest entries; `customer_timeline` has the others."""
    segments: tuple[str, ...] = ()
    """Saved segments that they are in."""
    missing_forecasts: tuple[MissingForecast, ...] = ()
    """What the run has too little history for."""
    survival: CustomerSurvival | None = None
    """How long they are likely to stay; None where churn has no forecast, and without an order."""
    live: LiveProfile | None = None
    """The customer at this second; None when unknown or not included."""


def customer_card(shop: Shop, customer_id: str) -> CustomerCard:
    """Card of one customer at the last run. Raises NoRunYet, and NotFound for an id nobody has."""
    view = last_run(shop)
    lines, facts = _lines(view, customer_id), _facts(view, customer_id)
    return CustomerCard(
        customer_id=customer_id,
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        **facts,
        traits=_traits(view, customer_id),
        consents=_consents(view, customer_id),
        months=_months(view, lines),
        scores=_scores(view, customer_id),
        value_parts=value_parts(view, customer_id),
        next_order=_next_order(view, customer_id),
        needs=customer_needs(view, customer_id),
        responses=customer_responses(view, customer_id),
        contracts=customer_contracts(view, customer_id),
        repeat_purchase=customer_repeat_purchase(view, customer_id),
        decisions=_decisions(view, customer_id),
        recommendations=_recommendations(view, customer_id),
        timeline=timeline_page(view, customer_id).entries,
        segments=_segments(view, customer_id),
        missing_forecasts=missing_forecasts(view),
        survival=customer_survival(view, customer_id, facts["last_order_at"]),
    )


def _facts(view: Snapshot, customer_id: str) -> dict[str, Any]:
    run_id = view.run.run_id
    sql = f"""
with c as (select c.* from customers c join customer a on a.customer_id = c.customer_id),
s as (select s.* from segments s join customer a on a.customer_id = s.customer_id where s.run_id = '{run_id}'),
i as (
  select count(case when i.is_user then 1 end) as user_id_count,
    count(case when not i.is_user then 1 end) as device_count
  from identities i join customer a on a.customer_id = i.customer_id)
select c.is_identified, c.first_event_at, c.first_order_at, c.last_order_at, c.order_count, c.paid_cents,
  c.refunded_cents, c.acquisition_channel, s.lifecycle_stage, s.recency_score, s.frequency_score, s.monetary_score,
  p.name_code as persona_code, i.user_id_count, i.device_count
from c cross join i left join s on true
left join personas p on p.run_id = '{run_id}' and p.persona_id = s.persona_id"""
    rows = records(view.query_customer(customer_id, sql))
    if not rows:
        raise unknown_customer(customer_id)
    last, zone = rows[0]["last_order_at"], ZoneInfo(view.settings.shop.time_zone)
    days = (view.run.as_of.astimezone(zone).date() - last.astimezone(zone).date()).days if last else None
    return {**rows[0], "days_since_last_order": days}


def _segments(view: Snapshot, customer_id: str) -> tuple[str, ...]:
    sql = """
select m.segment from segment_members m join customer a on a.customer_id = m.customer_id
where m.left_at is null order by m.segment"""
    return tuple(view.query_customer(customer_id, sql)["segment"].to_pylist())


def _traits(view: Snapshot, customer_id: str) -> tuple[Trait, ...]:
    sql = """
select trait, value, known_at from (
  select t.trait, t.value, t.known_at,
    row_number() over (partition by t.trait order by t.known_at desc, t.event_id) as place
  from traits t join customer a on a.customer_id = t.customer_id) ranked
where place = 1 order by trait"""
    return tuple(Trait(**row) for row in records(view.query_customer(customer_id, sql)))


def _consents(view: Snapshot, customer_id: str) -> tuple[CustomerConsent, ...]:
    sql = """
select c.purpose, c.is_granted, c.basis, c.wording_version, c.policy_version, c.occurred_at
from consents c join customer a on a.customer_id = c.customer_id where c.is_latest order by c.purpose"""
    return tuple(CustomerConsent(**row) for row in records(view.query_customer(customer_id, sql)))


def _lines(view: Snapshot, customer_id: str) -> pa.Table:
    """The customer's order lines, read once for all parts of the card."""
    sql = """
select l.order_id, l.ordered_at, l.occurred_at, l.is_refund, l.paid_cents, coalesce(l.category, '') as category
from order_lines l join customer a on a.customer_id = l.customer_id"""
    return view.query_customer(customer_id, sql)


def _months(view: Snapshot, lines: pa.Table) -> tuple[MonthlySpend, ...]:
    end = int(view.run.as_of.timestamp())
    since = timestamp(view.run.as_of - timedelta(days=30 * MONTHS))
    sql = f"""
select cast(floor(({end} - 1 - seconds_of(ordered_at)) / 2592000) as bigint) as ago,
  cast(sum(paid_cents) as bigint) as paid_cents
from lines where ordered_at >= {since} group by 1"""
    paid = {row["ago"]: row["paid_cents"] for row in records(view.query(sql, lines=lines))}
    starts = ((ago, view.run.as_of - timedelta(days=30 * (ago + 1))) for ago in range(MONTHS - 1, -1, -1))
    return tuple(MonthlySpend(start, paid.get(ago, 0)) for ago, start in starts)


def _scores(view: Snapshot, customer_id: str) -> tuple[Score, ...]:
    sql = f"""
select s.question, s.as_of, s.model_version, s.value, s.low, s.high, s.reasons
from scores s join customer a on a.customer_id = s.customer_id where s.run_id = '{view.run.run_id}'"""
    missing = {one.question for one in missing_forecasts(view)}
    order = list(UNITS)
    rows = sorted(
        (row for row in records(view.query_customer(customer_id, sql)) if row["question"] not in missing),
        key=lambda row: (order.index(row["question"]) if row["question"] in order else len(order), row["question"]),
    )
    why = churn_reasons(view, customer_row(customer_id))
    of_customer = None if why is None else next(iter(why.values()), ())
    return tuple(_score(view, row, of_customer if row["question"] == CHURN.name else None) for row in rows)


def _score(view: Snapshot, row: dict[str, Any], why: tuple[ChurnReason, ...] | None) -> Score:
    mean = None if row["reasons"] else mean_by_recency(view, row["question"])
    reasons = score_reasons(row["value"], row["reasons"], mean)
    unit = UNITS.get(row["question"], "number")
    return Score(**{**row, "unit": unit, "reasons": reasons, "churn_reasons": why})


def _next_order(view: Snapshot, customer_id: str) -> NextOrder | None:
    sql = f"""
select n.median_days, n.low_days, n.high_days
from next_orders n join customer a on a.customer_id = n.customer_id where n.run_id = '{view.run.run_id}'"""
    rows = records(view.query_customer(customer_id, sql))
    if not rows:
        return None
    start = view.run.as_of
    times = (None if days is None else start + timedelta(days=days) for days in rows[0].values())
    return NextOrder(*times, until=start + timedelta(days=CHURN.horizon_days))


def _decisions(view: Snapshot, customer_id: str) -> tuple[Decision, ...]:
    sql = f"""
select d.decision_id, d.run_id, d.as_of, d.action, d.reason, d.stratum, d.expected_net_value_cents, d.effect_cents,
  d.cost_cents, d.effect_source, d.propensity, d.is_holdout, d.consent_basis, d.policy_version
from decisions d join customer a on a.customer_id = d.customer_id
where d.run_id <= '{view.run.run_id}' order by d.run_id desc limit 6"""
    rows = records(view.query_customer(customer_id, sql))
    return tuple(Decision(**row, is_withdrawn=row["run_id"] in view.withdrawn) for row in rows)


def _recommendations(view: Snapshot, customer_id: str) -> tuple[Recommendation, ...]:
    sql = f"""
select r.rank, r.product_id, p.product_name, p.category, p.price_cents, r.reason as code,
  coalesce(b.product_name, r.because_product_id) as because, r.days_since, r.usual_days, r.offer_starts_at,
  r.offer_ends_at
from recommendations r join customer a on a.customer_id = r.customer_id
left join products p on p.product_id = r.product_id
left join products b on b.product_id = r.because_product_id
where r.run_id = '{view.run.run_id}' order by r.rank"""
    rows = records(view.query_customer(customer_id, sql))
    facts = ("code", "because", "days_since", "usual_days", "offer_starts_at", "offer_ends_at")
    reasons = [NextProductReason(*(row.pop(name) for name in facts)) for row in rows]
    return tuple(Recommendation(**row, reason=reason) for row, reason in zip(rows, reasons, strict=True))
