"""The brief of the week: what Patron earned, what to change, what is not known, and which forecasts were wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from patron.answers.forecast_ledger import ForecastEntry, forecast_ledger_of
from patron.answers.model_alarms import model_alarms
from patron.answers.offer_results import DecisionSummary, Effect, decision_summary, effects
from patron.answers.watch_list import watch_list
from patron.schema.questions import PURCHASE, VALUE
from patron.storage.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

ANY, ALL = "any", "all"
LARGEST_WAIT_DAYS = 2 * 365
"""A question that takes longer to settle cannot be settled with the shop's traffic."""
DETECTION_ERRORS = 1.96 + 0.84
"""Standard errors that an effect must have to be found with a probability of 80 % by a 95 % interval."""
WORTH_SAYING = 0.05
"""A bias of a forecast below this share is not worth a line."""
TOP_DECILE = 10
MOST_LINES = 3
"""Lines of each part, so that the brief fits on a page."""


@dataclass(frozen=True)
class Earned:
    """What the offers of the measured decisions caused, cents of margin."""

    offer_count: int
    effect_cents: float
    """Per offer."""
    total_cents: float
    total_low: float
    total_high: float
    """Ends of the 95 % interval of the total."""
    is_placebo: bool
    """Whether no offer was really sent, so that the true effect is 0."""
    decided_from: datetime
    decided_until: datetime


@dataclass(frozen=True)
class Change:
    """Something to change, with what it is expected to be worth and where the evidence is."""

    code: str
    """data_alarm, send_offers, send_to_learn, raise_budget, ask_consent, stop_offer, no_offer_pays or watch_list."""
    count: int
    """Customers, or alarms, that it is about."""
    value_cents: float | None
    """Expected net value; None where it cannot be put in money."""
    cost_cents: float | None
    is_assumed: bool
    """Whether the value rests on assumed effects."""
    link: str
    """Page of the console with the evidence."""
    offer: str = ""


@dataclass(frozen=True)
class OpenQuestion:
    """An offer whose effect is not known to be above or below what sending it costs."""

    offer: str
    effect_cents: float | None
    """None where it was never measured."""
    low: float | None
    high: float | None
    decision_count: int
    """Decisions that it is measured on."""
    needed_count: int | None
    """Decisions that would tell; None where nothing is known to plan with."""
    days: int | None
    """Days until then at today's pace; None beyond LARGEST_WAIT_DAYS: it cannot be known with this traffic."""


@dataclass(frozen=True)
class WrongForecast:
    """A forecast that missed by more than chance, and what went with it."""

    entry: ForecastEntry
    causes: tuple[str, ...]
    """fewer_orders, more_orders, smaller_orders, larger_orders, data_changed or top_decile."""


@dataclass(frozen=True)
class Brief:
    """At most one page for a manager."""

    shop_name: str
    run_id: str
    as_of: datetime
    earned: Earned | None
    """None where no decision was measured."""
    exploration: tuple[int, float] | None
    """Customers whom the run offered something at random, and the expected net value given up by randomising, cents."""
    changes: tuple[Change, ...]
    """The most valuable first; those without a value in money stand where they matter most."""
    open_questions: tuple[OpenQuestion, ...]
    wrong_forecasts: tuple[WrongForecast, ...]
    checked_count: int
    """Forecasts that have been scored."""


def brief(shop: Shop) -> Brief:
    """The brief of the last finished run. Raises NoRunYet."""
    return brief_of(last_run(shop))


def brief_of(view: Snapshot) -> Brief:
    """The brief of one run."""
    measured, decided = effects(view), decision_summary(view)
    ledger = forecast_ledger_of(view).entries
    explored = decided.explored
    return Brief(
        shop_name=view.settings.shop.name,
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        earned=earned(measured),
        exploration=(explored.customer_count, decided.exploration_cost_cents) if explored else None,
        changes=tuple(ranked(changes(view, decided, measured)))[:MOST_LINES],
        open_questions=tuple(open_questions(view, measured)),
        wrong_forecasts=tuple(wrong_forecasts(ledger, has_data_alarm=_has_data_alarm(view)))[:MOST_LINES],
        checked_count=len(ledger),
    )


def earned(measured: tuple[Effect, ...]) -> Earned | None:
    """What all offers caused, against comparable customers without one."""
    whole = next((one for one in measured if one.offer == ANY and one.stratum == ALL), None)
    if whole is None:
        return None
    count = whole.treated_count
    return Earned(
        offer_count=count,
        effect_cents=whole.effect_cents,
        total_cents=count * whole.effect_cents,
        total_low=count * whole.low,
        total_high=count * whole.high,
        is_placebo=whole.is_placebo,
        decided_from=whole.decided_from,
        decided_until=whole.decided_until,
    )


def changes(view: Snapshot, decided: DecisionSummary, measured: tuple[Effect, ...]) -> Iterator[Change]:
    """Everything worth changing."""
    alarms = len(model_alarms(view))
    if alarms:
        yield Change("data_alarm", alarms, None, None, is_assumed=False, link="/models#alarms")
    is_assumed = "measured" not in decided.effect_sources
    if decided.offered_count and not view.policy.channel.is_delivered:
        is_worth = decided.expected_net_cents > 0
        yield Change(
            "send_offers" if is_worth else "send_to_learn",
            decided.offered_count,
            decided.expected_net_cents if is_worth else None,
            decided.cost_cents,
            is_assumed=is_assumed,
            link="/#decisions",
        )
    yield from _missed(view, is_assumed=is_assumed)
    contact = {offer.id: offer.contact_cost_cents for offer in view.policy.offers}
    for one in measured:
        if one.stratum == ALL and one.offer in contact and not one.is_placebo and one.high < contact[one.offer]:
            count = next((row.customer_count for row in decided.actions if row.action == one.offer), 0)
            loss = contact[one.offer] - one.effect_cents
            yield Change("stop_offer", count, count * loss, None, is_assumed=False, link="/#effects", offer=one.offer)
    at_risk = watch_list(view)
    if at_risk:
        at_stake = sum(row.value_at_risk_cents for row in at_risk)
        yield Change("watch_list", len(at_risk), None, at_stake, is_assumed=False, link="/#watch_list")


def _missed(view: Snapshot, *, is_assumed: bool) -> Iterator[Change]:
    """What customers without an offer would have been worth, where the budget or consent stood in the way."""
    sql = f"""
with best as (
  select a.decision_id, a.expected_net_value_cents, a.cost_cents,
    row_number() over (partition by a.decision_id order by a.expected_net_value_cents desc, a.action) as place
  from alternatives a where a.run_id = '{view.run.run_id}')
select d.reason, count(*) as customer_count,
  count(case when b.expected_net_value_cents > 0 then 1 end) as worth_count,
  coalesce(sum(case when b.expected_net_value_cents > 0 then b.expected_net_value_cents end), 0.0) as value_cents,
  coalesce(sum(case when b.expected_net_value_cents > 0 then b.cost_cents end), 0.0) as cost_cents
from decisions d join best b on b.decision_id = d.decision_id and b.place = 1
where d.run_id = '{view.run.run_id}' and d.action = 'none' group by d.reason"""
    by_reason = {row["reason"]: row for row in records(view.query(sql))}
    for reason, code in (("over_budget", "raise_budget"), ("no_consent", "ask_consent")):
        row = by_reason.get(reason)
        if row and row["worth_count"]:
            yield Change(
                code,
                row["worth_count"],
                row["value_cents"],
                row["cost_cents"],
                is_assumed=is_assumed,
                link=f"/decisions?reason={reason}",
            )
    losing = by_reason.get("net_value_below_zero")
    if losing and losing["customer_count"] == sum(
        row["customer_count"] for reason, row in by_reason.items() if reason not in {"no_consent", "holdout"}
    ):
        yield Change(
            "no_offer_pays",
            losing["customer_count"],
            None,
            None,
            is_assumed=is_assumed,
            link="/decisions?reason=net_value_below_zero",
        )


def ranked(every: Iterator[Change]) -> list[Change]:
    """Alarms first, as what is wrong with the data spoils the rest; then by value; what has none last."""
    return sorted(every, key=lambda one: (one.code != "data_alarm", one.value_cents is None, -(one.value_cents or 0.0)))


def open_questions(view: Snapshot, measured: tuple[Effect, ...]) -> Iterator[OpenQuestion]:
    """Offers of the policy whose interval holds what sending one costs, or that were never measured."""
    by_offer = {one.offer: one for one in measured if one.stratum == ALL and not one.is_placebo}
    for offer in view.policy.offers:
        one = by_offer.get(offer.id)
        if one is None:
            yield OpenQuestion(offer.id, None, None, None, 0, None, None)
        elif one.low <= offer.contact_cost_cents <= one.high:
            count = one.treated_count + one.control_count
            needed, days = _plan(one, offer.contact_cost_cents, count, view.run.as_of)
            yield OpenQuestion(offer.id, one.effect_cents, one.low, one.high, count, needed, days)


def _plan(one: Effect, cost_cents: float, count: int, now: datetime) -> tuple[int | None, int | None]:
    """Decisions that would tell the measured effect from the cost, and days until then at the pace so far."""
    distance = abs(one.effect_cents - cost_cents)
    if not distance:
        return None, None
    needed = round(count * (DETECTION_ERRORS * one.standard_error / distance) ** 2)
    days_so_far = max((now - one.decided_from).days, 1)
    days = round(max(needed - count, 0) * days_so_far / max(count, 1))
    return needed, days if days <= LARGEST_WAIT_DAYS else None


def wrong_forecasts(entries: tuple[ForecastEntry, ...], *, has_data_alarm: bool) -> Iterator[WrongForecast]:
    """The latest forecast of each question where it missed by more than chance and more than a little."""
    latest: dict[str, ForecastEntry] = {}
    for entry in entries:
        latest.setdefault(entry.question, entry)
    same_time = {entry.scored_at: entry for entry in reversed(entries) if entry.question == PURCHASE.name}
    for entry in latest.values():
        if entry.bias_share is None or not entry.is_biased or abs(entry.bias_share) < WORTH_SAYING:
            continue
        causes = [_cause_of_value(entry, same_time.get(entry.scored_at))] if entry.question == VALUE.name else []
        if entry.worst_decile == TOP_DECILE:
            causes.append("top_decile")
        if has_data_alarm:
            causes.append("data_changed")
        yield WrongForecast(entry, tuple(causes))


def _cause_of_value(entry: ForecastEntry, of_orders: ForecastEntry | None) -> str:
    """Whether customers ordered less or more often than forecast at the same time, or spent less or more."""
    is_high = (entry.bias_share or 0.0) > 0
    if of_orders is not None and of_orders.is_biased and ((of_orders.bias_share or 0.0) > 0) == is_high:
        return "fewer_orders" if is_high else "more_orders"
    return "smaller_orders" if is_high else "larger_orders"


def _has_data_alarm(view: Snapshot) -> bool:
    return any(alarm.kind == "data" for alarm in model_alarms(view))
