"""The customer card: identity, history, forecasts with reasons, decisions and recommendations of one customer."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from patron.answers.customers.category_needs import CategoryNeed, customer_needs
from patron.answers.customers.contract_forecasts import CustomerContract, customer_contracts
from patron.answers.customers.customer_timeline import TimelineEntry, timeline_page
from patron.answers.customers.response_forecasts import ResponseForecast, customer_responses
from patron.answers.customers.value_parts import ValueParts, value_parts
from patron.answers.data.products import Product, name_of, products_by_id
from patron.answers.models.churn_reasons import ChurnReason, customer_churn_reasons
from patron.answers.models.models import UNITS
from patron.answers.models.score_reasons import mean_by_recency, score_reasons
from patron.answers.models.survival import CustomerSurvival, customer_survival
from patron.schema.customers.customer_contacts import unknown_customer
from patron.schema.customers.live_profile import LiveProfile
from patron.schema.models.questions import CHURN
from patron.storage.models.missing_forecasts import MissingForecast, missing_forecasts
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

FACTS = (
    "is_identified",
    "first_event_at",
    "first_order_at",
    "last_order_at",
    "order_count",
    "paid_cents",
    "refunded_cents",
    "acquisition_channel",
)
SEGMENT_FACTS = ("lifecycle_stage", "recency_score", "frequency_score", "monetary_score")
MONTHS = 12
MONTH_DAYS = 30
MAX_DECISIONS = 6


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


@dataclass(frozen=True, kw_only=True)
class CustomerFacts:
    """Who one customer is, and what they have bought."""

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
    live: LiveProfile | None = None
    """The customer at this second; None when unknown or not included."""


@dataclass(frozen=True, kw_only=True)
class CustomerOutlook(CustomerFacts):
    """Who one customer is, and what is likely next."""

    scores: tuple[Score, ...]
    next_order: NextOrder | None
    """When their next order is likely; None without a forecast."""
    needs: tuple[CategoryNeed, ...]
    """The categories that they are likely to buy next, five at most."""
    recommendations: tuple[Recommendation, ...]
    missing_forecasts: tuple[MissingForecast, ...] = ()
    """What the run has too little history for."""


@dataclass(frozen=True, kw_only=True)
class CustomerSummary(CustomerOutlook):
    """What matters most about one customer: who they are, what they are worth, and what is likely next."""

    traits: tuple[Trait, ...]
    consents: tuple[CustomerConsent, ...]
    """By purpose, as of the last run."""
    value_parts: ValueParts | None
    """What makes up their value; None without a forecast of it."""
    timeline: tuple[TimelineEntry, ...]
    """The latest entries; `customer_timeline` has the others."""
    segments: tuple[str, ...] = ()
    """Saved segments that they are in."""


@dataclass(frozen=True, kw_only=True)
class CustomerForecasts(CustomerOutlook):
    """What the run expects of one customer, and what it decided."""

    months: tuple[MonthlySpend, ...]
    responses: tuple[ResponseForecast, ...]
    """How likely they respond to the next message, by channel and type; none in a shop with too few messages."""
    contracts: tuple[CustomerContract, ...]
    """Running contracts with a declared end, the next to end first."""
    decisions: tuple[Decision, ...]
    survival: CustomerSurvival | None = None
    """How long they are likely to stay; None where churn has no forecast, and without an order."""


@dataclass(frozen=True, kw_only=True)
class CustomerCard(CustomerForecasts, CustomerSummary):
    """Everything the run knows about one customer."""


def customer_facts(shop: Shop, customer_id: str) -> CustomerFacts:
    """Facts of one customer at the last run. Raises NoRunYet, and NotFound for an id nobody has."""
    return _facts(last_run(shop), customer_id)


def customer_summary(shop: Shop, customer_id: str) -> CustomerSummary:
    """Summary of one customer at the last run. Raises NoRunYet, and NotFound for an id nobody has."""
    view = last_run(shop)
    return CustomerSummary(**_outlook(view, customer_id), **_portrait(view, customer_id))


def customer_forecasts(shop: Shop, customer_id: str) -> CustomerForecasts:
    """Forecasts of one customer at the last run. Raises NoRunYet, and NotFound for an id nobody has."""
    view = last_run(shop)
    outlook = _outlook(view, customer_id)
    return CustomerForecasts(**outlook, **_forecasts(view, customer_id, outlook["last_order_at"]))


def customer_card(shop: Shop, customer_id: str) -> CustomerCard:
    """Card of one customer at the last run. Raises NoRunYet, and NotFound for an id nobody has."""
    view = last_run(shop)
    outlook = _outlook(view, customer_id)
    forecasts = _forecasts(view, customer_id, outlook["last_order_at"])
    return CustomerCard(**outlook, **_portrait(view, customer_id), **forecasts)


def _outlook(view: Snapshot, customer_id: str) -> dict[str, Any]:
    return {
        **vars(_facts(view, customer_id)),
        "scores": _scores(view, customer_id),
        "next_order": _next_order(view, customer_id),
        "needs": customer_needs(view, customer_id),
        "recommendations": _recommendations(view, customer_id),
        "missing_forecasts": missing_forecasts(view),
    }


def _portrait(view: Snapshot, customer_id: str) -> dict[str, Any]:
    return {
        "traits": _traits(view, customer_id),
        "consents": _consents(view, customer_id),
        "value_parts": value_parts(view, customer_id),
        "timeline": timeline_page(view, customer_id).entries,
        "segments": _segments(view, customer_id),
    }


def _forecasts(view: Snapshot, customer_id: str, last_order_at: datetime | None) -> dict[str, Any]:
    return {
        "months": _months(view, customer_id),
        "responses": customer_responses(view, customer_id),
        "contracts": customer_contracts(view, customer_id),
        "decisions": _decisions(view, customer_id),
        "survival": customer_survival(view, customer_id, last_order_at),
    }


def _facts(view: Snapshot, customer_id: str) -> CustomerFacts:
    customers = records(view.customer_rows("customers", customer_id).select(FACTS))
    if not customers:
        raise unknown_customer(customer_id)
    rows = records(view.customer_rows("segments", customer_id, is_of_run=True))
    segment = rows[0] if rows else {}
    is_user = view.customer_rows("identities", customer_id)["is_user"].to_pylist()
    last, zone = customers[0]["last_order_at"], ZoneInfo(view.settings.shop.time_zone)
    days = (view.run.as_of.astimezone(zone).date() - last.astimezone(zone).date()).days if last else None
    known: dict[str, Any] = {**customers[0], **{name: segment.get(name) for name in SEGMENT_FACTS}}
    return CustomerFacts(
        customer_id=customer_id,
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        **known,
        persona_code=_persona_codes(view).get(segment.get("persona_id")),
        user_id_count=is_user.count(True),
        device_count=is_user.count(False),
        days_since_last_order=days,
    )


def _persona_codes(view: Snapshot) -> dict[Any, str]:
    sql = "select persona_id, name_code from this_personas"
    return view.once("persona codes", lambda: {row["persona_id"]: row["name_code"] for row in records(view.query(sql))})


def _segments(view: Snapshot, customer_id: str) -> tuple[str, ...]:
    rows = records(view.customer_rows("segment_members", customer_id).select(["segment", "left_at"]))
    return tuple(sorted(row["segment"] for row in rows if row["left_at"] is None))


def _traits(view: Snapshot, customer_id: str) -> tuple[Trait, ...]:
    rows = view.customer_rows("traits", customer_id)
    ordered = rows.sort_by([("trait", "ascending"), ("known_at", "ascending"), ("event_id", "descending")])
    latest = {row["trait"]: row for row in records(ordered.select(["trait", "value", "known_at"]))}
    return tuple(Trait(**row) for row in latest.values())


def _consents(view: Snapshot, customer_id: str) -> tuple[CustomerConsent, ...]:
    rows = view.customer_rows("consents", customer_id).sort_by("purpose")
    facts = [field_.name for field_ in fields(CustomerConsent)]
    return tuple(CustomerConsent(**row) for row in records(rows.select([*facts, "is_latest"])) if row.pop("is_latest"))


def _months(view: Snapshot, customer_id: str) -> tuple[MonthlySpend, ...]:
    starts = [view.run.as_of - timedelta(days=MONTH_DAYS * ago) for ago in range(MONTHS, 0, -1)]
    paid = dict.fromkeys(starts, 0)
    for line in records(view.customer_rows("order_lines", customer_id).select(["ordered_at", "paid_cents"])):
        if line["ordered_at"] is not None and starts[0] <= line["ordered_at"] < view.run.as_of:
            paid[starts[(line["ordered_at"] - starts[0]) // timedelta(days=MONTH_DAYS)]] += line["paid_cents"]
    return tuple(MonthlySpend(start, cents) for start, cents in paid.items())


def _scores(view: Snapshot, customer_id: str) -> tuple[Score, ...]:
    facts = ["question", "as_of", "model_version", "value", "low", "high", "reasons"]
    scores = records(view.customer_rows("scores", customer_id, is_of_run=True).select(facts))
    missing = {one.question for one in missing_forecasts(view)}
    order = list(UNITS)
    rows = sorted(
        (row for row in scores if row["question"] not in missing),
        key=lambda row: (order.index(row["question"]) if row["question"] in order else len(order), row["question"]),
    )
    why = customer_churn_reasons(view, customer_id)
    return tuple(_score(view, row, why if row["question"] == CHURN.name else None) for row in rows)


def _score(view: Snapshot, row: dict[str, Any], why: tuple[ChurnReason, ...] | None) -> Score:
    mean = None if row["reasons"] else mean_by_recency(view, row["question"])
    reasons = score_reasons(row["value"], row["reasons"], mean)
    unit = UNITS.get(row["question"], "number")
    return Score(**{**row, "unit": unit, "reasons": reasons, "churn_reasons": why})


def _next_order(view: Snapshot, customer_id: str) -> NextOrder | None:
    days = ["median_days", "low_days", "high_days"]
    rows = records(view.customer_rows("next_orders", customer_id, is_of_run=True).select(days))
    if not rows:
        return None
    start = view.run.as_of
    times = (None if days is None else start + timedelta(days=days) for days in rows[0].values())
    return NextOrder(*times, until=start + timedelta(days=CHURN.horizon_days))


def _decisions(view: Snapshot, customer_id: str) -> tuple[Decision, ...]:
    facts = [field_.name for field_ in fields(Decision) if field_.name != "is_withdrawn"]
    rows = records(view.customer_rows("decisions", customer_id).sort_by([("run_id", "descending")]).select(facts))
    until = [row for row in rows if row["run_id"] <= view.run.run_id]
    return tuple(
        Decision(**row, is_withdrawn=row["run_id"] in view.deliveries.withdrawn) for row in until[:MAX_DECISIONS]
    )


def _recommendations(view: Snapshot, customer_id: str) -> tuple[Recommendation, ...]:
    rows = records(view.customer_rows("recommendations", customer_id, is_of_run=True).sort_by("rank"))
    products = products_by_id(view, {row[name] for row in rows for name in ("product_id", "because_product_id")})
    return tuple(_recommendation(row, products) for row in rows)


def _recommendation(row: dict[str, Any], products: Mapping[str, Product]) -> Recommendation:
    product, other = products.get(row["product_id"]), row["because_product_id"]
    return Recommendation(
        row["rank"],
        row["product_id"],
        product_name=product.product_name if product else None,
        category=product.category if product else None,
        price_cents=product.price_cents if product else None,
        reason=NextProductReason(
            row["reason"],
            name_of(products, other) or other,
            days_since=row["days_since"],
            usual_days=row["usual_days"],
            offer_starts_at=row["offer_starts_at"],
            offer_ends_at=row["offer_ends_at"],
        ),
    )
