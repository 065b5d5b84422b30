"""The brief of the week: what Patron earned, what to change, what is not known, and which forecasts were wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from patron.answers.customers.watch_list import watch_list_total
from patron.answers.models.forecast_ledger import ForecastEntry, forecast_ledger_of
from patron.answers.models.model_alarms import model_alarms
from patron.answers.offers.offer_results import DecisionSummary, Effect, Exploration, decision_summary, effects
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.models.questions import CHURN, VALUE
from patron.storage.offers.deliveries import DeliveryState
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

ANY, ALL = "any", "all"
MAX_WAIT_DAYS = 2 * 365
"""A question that takes longer to settle cannot be settled with the shop's traffic."""
DETECTION_ERRORS = 1.96 + 0.84
"""Standard errors that an effect must have to be found with a probability of 80 % by a 95 % interval."""
WORTH_SAYING = 0.05
"""A bias of a forecast below this share is not worth a line."""
MIN_CENTS = 100
"""A change that would bring less is not suggested: it would be shown as 0."""
TOP_DECILE = 10
EXCLUDED = frozenset({"no_consent", "holdout", "cap_reached", "not_eligible", "ordinary_offer"})
"""Reasons of customers for whom no offer was weighed."""
DECISIONS_PAGE = "/overview?view=decisions"
WATCH_LIST = "/watch-list?show=all"
"""Page with everybody on the watch list, whom a count of it names."""
MAX_LINES = 3
"""Lines of each part, so that the brief fits on a page."""


@dataclass(frozen=True)
class OfferEarnings:
    """What the offers of the measured decisions caused, cents of margin after all of their costs."""

    offer_count: int
    net_cents: float
    """Per offer."""
    total_cents: float
    total_low: float
    total_high: float
    """Ends of the 95 % interval of the total."""
    is_placebo: bool
    """Whether no offer was really sent, so that the true effect is 0 and there were no costs."""
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
    """An offer that is not known to earn or to lose."""

    offer: str
    net_cents: float | None
    """Effect on margin less what one costs besides; None where it was never measured."""
    low: float | None
    high: float | None
    decision_count: int
    """Decisions that it is measured on."""
    needed_count: int | None
    """Decisions that would tell; None where nothing is known to plan with."""
    days: int | None
    """Days until then at today's pace; None beyond MAX_WAIT_DAYS: it cannot be known with this traffic."""


@dataclass(frozen=True)
class WrongForecast:
    """A forecast that missed by more than chance, and what went with it."""

    entry: ForecastEntry
    causes: tuple[str, ...]
    """fewer_customers, more_customers, smaller_orders, larger_orders, data_changed or top_decile."""


@dataclass(frozen=True)
class Brief:
    """At most one page for a manager."""

    shop_name: str
    run_id: str
    as_of: datetime
    earnings: OfferEarnings | None
    """None where no decision was measured."""
    exploration: Exploration | None
    """None where nobody was randomised, or the offers were withdrawn."""
    changes: tuple[Change, ...]
    """The most valuable first; those without a value in money stand where they matter most."""
    open_questions: tuple[OpenQuestion, ...]
    wrong_forecasts: tuple[WrongForecast, ...]
    checked_count: int
    """Questions whose latest forecast has been scored."""


@operation(Right(Action.READ, Area.OVERVIEW), "GET /api/brief", is_of_whole_shop=True)
def show_brief(cache: AnswerCache) -> Brief:
    """What offers earned, what to change, what is not known, and which forecasts were wrong."""
    return cache.cached("brief", lambda: brief(cache.shop))


def brief(shop: Shop) -> Brief:
    """The brief of the last finished run. Raises NoRunYet."""
    return brief_of(last_run(shop))


def brief_of(view: Snapshot) -> Brief:
    """The brief of one run."""
    measured, decided = effects(view), decision_summary(view)
    latest = latest_forecasts(forecast_ledger_of(view).entries)
    return Brief(
        shop_name=view.settings.shop.name,
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        earnings=offer_earnings(measured),
        exploration=decided.exploration if _holds(decided) else None,
        changes=tuple(changes_by_value(changes(view, decided, measured)))[:MAX_LINES],
        open_questions=tuple(open_questions(view, measured)),
        wrong_forecasts=tuple(wrong_forecasts(latest, has_data_alarm=_data_alarm_count(view) > 0))[:MAX_LINES],
        checked_count=len(latest),
    )


def _holds(decided: DecisionSummary) -> bool:
    """Whether the run's offers were sent, or may be."""
    return decided.delivery is None or decided.delivery.holds


def offer_earnings(measured: tuple[Effect, ...]) -> OfferEarnings | None:
    """What all offers caused, against comparable customers without one."""
    whole = next((one for one in measured if one.offer == ANY and one.stratum == ALL), None)
    if whole is None:
        return None
    count, cost = whole.treated_count, 0.0 if whole.is_placebo else whole.other_cost_cents or 0.0
    return OfferEarnings(
        offer_count=count,
        net_cents=whole.effect_cents - cost,
        total_cents=count * (whole.effect_cents - cost),
        total_low=count * (whole.low - cost),
        total_high=count * (whole.high - cost),
        is_placebo=whole.is_placebo,
        decided_from=whole.decided_from,
        decided_until=whole.decided_until,
    )


def changes(view: Snapshot, decided: DecisionSummary, measured: tuple[Effect, ...]) -> Iterator[Change]:
    """Everything worth changing."""
    alarms = _data_alarm_count(view)
    if alarms:
        yield Change("data_alarm", alarms, None, None, is_assumed=False, link="/models/drift#alarms")
    is_assumed = "measured" not in decided.effect_sources
    is_waiting = decided.delivery is not None and decided.delivery.state is DeliveryState.RESERVED
    if decided.offered_count and is_waiting:
        is_worth = decided.expected_net_cents > 0
        yield Change(
            "send_offers" if is_worth else "send_to_learn",
            decided.offered_count,
            decided.expected_net_cents if is_worth else None,
            decided.cost_cents,
            is_assumed=is_assumed,
            link=f"/decisions?{urlencode({'run': view.run.run_id})}#delivery",
        )
    yield from _changes_for_others(view, decided, is_assumed=is_assumed)
    contact = {offer.id: float(offer.contact_cost_cents) for offer in view.policy.offers}
    decided_count = {row.action: row.customer_count for row in decided.actions}
    for one in measured:
        if one.stratum != ALL or one.offer not in contact or one.is_placebo:
            continue
        cost, count = _cost(one, contact[one.offer]), decided_count.get(one.offer, 0)
        if count and one.high < cost:
            loss = cost - one.effect_cents
            yield Change(
                "stop_offer",
                count,
                count * loss,
                None,
                is_assumed=False,
                link=f"{DECISIONS_PAGE}#effects",
                offer=one.offer,
            )
    watched = watch_list_total(view)
    if at_stake := watched.value_at_risk_cents:
        yield Change("watch_list", watched.customer_count, None, at_stake, is_assumed=False, link=WATCH_LIST)


def _cost(one: Effect, contact_cents: float) -> float:
    """What an offer costs besides what its effect on margin contains, cents."""
    return contact_cents if one.other_cost_cents is None else one.other_cost_cents


def _changes_for_others(view: Snapshot, decided: DecisionSummary, *, is_assumed: bool) -> Iterator[Change]:
    """What customers without an offer would have been worth, where the budget or consent stood in the way.

    Offers that a rule forbids anyhow do not count; where consent is missing, the other rules were not looked at. More
    budget is worth something only where it has a price: a stock may have ended as well.
    """
    sql = f"""
with best as (
  select a.decision_id, a.expected_net_value_cents, a.cost_cents,
    row_number() over (partition by a.decision_id order by a.expected_net_value_cents desc, a.action) as place
  from this_alternatives a
  where coalesce(a.forbidden_by, 'no_consent') = 'no_consent')
select d.reason, count(*) as customer_count, coalesce(max(d.budget_price), 0.0) > 0 as has_price,
  count(case when b.expected_net_value_cents > 0 then 1 end) as worth_count,
  coalesce(sum(case when b.expected_net_value_cents > 0 then b.expected_net_value_cents end), 0.0) as value_cents,
  coalesce(sum(case when b.expected_net_value_cents > 0 then b.cost_cents end), 0.0) as cost_cents
from decisions d join best b on b.decision_id = d.decision_id and b.place = 1
where d.run_id = '{view.run.run_id}' and d.action = 'none' group by d.reason"""
    by_reason = {row["reason"]: row for row in records(view.query(sql))}
    for reason, code in (("over_budget", "raise_budget"), ("no_consent", "ask_consent")):
        row = by_reason.get(reason)
        if row and row["value_cents"] >= MIN_CENTS and (row["has_price"] or reason == "no_consent"):
            yield Change(
                code,
                row["worth_count"],
                row["value_cents"],
                row["cost_cents"],
                is_assumed=is_assumed,
                link=f"/decisions?reason={reason}",
            )
    considered = {row.reason: row.customer_count for row in decided.reasons if row.reason not in EXCLUDED}
    if list(considered) == ["net_value_below_zero"]:
        yield Change(
            "no_offer_pays",
            considered["net_value_below_zero"],
            None,
            None,
            is_assumed=is_assumed,
            link="/decisions?reason=net_value_below_zero",
        )


def changes_by_value(every: Iterator[Change]) -> list[Change]:
    """Alarms first, as what is wrong with the data spoils the rest; then by value; what has none last."""
    return sorted(every, key=lambda one: (one.code != "data_alarm", one.value_cents is None, -(one.value_cents or 0.0)))


def open_questions(view: Snapshot, measured: tuple[Effect, ...]) -> Iterator[OpenQuestion]:
    """Offers of the policy whose interval holds what one costs, or that were never measured."""
    by_offer = {one.offer: one for one in measured if one.stratum == ALL and not one.is_placebo}
    for offer in view.policy.offers:
        one = by_offer.get(offer.id)
        if one is None:
            yield OpenQuestion(offer.id, None, low=None, high=None, decision_count=0, needed_count=None, days=None)
            continue
        cost = _cost(one, offer.contact_cost_cents)
        if one.low <= cost <= one.high:
            count = one.treated_count + one.control_count
            needed, days = _plan(one, cost, count, view.run.as_of)
            yield OpenQuestion(
                offer.id,
                one.effect_cents - cost,
                low=one.low - cost,
                high=one.high - cost,
                decision_count=count,
                needed_count=needed,
                days=days,
            )


def _plan(one: Effect, cost_cents: float, count: int, now: datetime) -> tuple[int | None, int | None]:
    """Decisions that would tell the measured effect from the cost, and days until then at the pace so far."""
    distance = abs(one.effect_cents - cost_cents)
    if not distance:
        return None, None
    needed = round(count * (DETECTION_ERRORS * one.standard_error / distance) ** 2)
    days_so_far = max((now - one.decided_from).days, 1)
    days = max(round((needed - count) * days_so_far / max(count, 1)), 1)
    return needed, days if days <= MAX_WAIT_DAYS else None


def latest_forecasts(entries: tuple[ForecastEntry, ...]) -> dict[str, ForecastEntry]:
    """The latest forecast of each question that was scored and has a bias."""
    latest: dict[str, ForecastEntry] = {}
    for entry in entries:
        if entry.bias_share is not None and entry.bias_low is not None:
            latest.setdefault(entry.question, entry)
    return latest


def wrong_forecasts(latest: dict[str, ForecastEntry], *, has_data_alarm: bool) -> Iterator[WrongForecast]:
    """Forecasts that missed by more than chance and more than a little."""
    for entry in latest.values():
        bias = entry.bias_share or 0.0
        if not entry.is_biased or abs(bias) < WORTH_SAYING:
            continue
        causes = [*_cause_of_value(entry, latest.get(CHURN.name))] if entry.question == VALUE.name else []
        if entry.worst_decile == TOP_DECILE and (entry.worst_decile_bias or 0.0) * bias > 0:
            causes.append("top_decile")
        if has_data_alarm:
            causes.append("data_changed")
        yield WrongForecast(entry, tuple(causes))


def _cause_of_value(entry: ForecastEntry, of_churn: ForecastEntry | None) -> Iterator[str]:
    """Whether fewer or more customers ordered than forecast for the same days, or as many spent less or more."""
    if of_churn is None or (of_churn.scored_at, of_churn.due_at) != (entry.scored_at, entry.due_at):
        return
    is_high = (entry.bias_share or 0.0) > 0
    if not of_churn.is_biased:
        yield "smaller_orders" if is_high else "larger_orders"
    elif ((of_churn.bias_share or 0.0) < 0) == is_high:
        yield "fewer_customers" if is_high else "more_customers"


def _data_alarm_count(view: Snapshot) -> int:
    return sum(alarm.kind == "data" for alarm in model_alarms(view))
