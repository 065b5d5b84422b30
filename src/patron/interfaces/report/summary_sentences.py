"""The run in a few plain sentences."""

from collections.abc import Iterator
from math import log

from patron.answers.insight.overview import Overview
from patron.answers.models.models import Models
from patron.answers.offers.offer_results import Effect
from patron.answers.segments.segments_overview import ValueSpread
from patron.interfaces.console.models.alarm_texts import alarm_help, alarm_sentence
from patron.interfaces.console.models.fairness_texts import fairness_sentences
from patron.interfaces.console.models.missing_forecast_texts import missing_sentences
from patron.interfaces.console.models.training_texts import training_summary
from patron.interfaces.i18n.decision_texts import delivery_sentence, exploration_sentence
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.data.refunds import LaterRefunds
from patron.schema.models.questions import CHURN
from patron.storage.offers.deliveries import Evidence

SAME_SHARE = 0.005
"""Changes smaller than this count as no change."""
SLIGHT_SEASON = 0.03
"""A season that differs less from the mean of the year is not worth a sentence."""
METHODS_APART = 0.15
"""Difference of the logarithms of two totals, below which no sentence tells them apart."""


def summary_sentences(overview: Overview, models: Models | None, words: Words, formats: Formats) -> list[str]:
    """Sentences for the top of a page, the most important first."""
    return [
        *assignment_sentences(overview, words, formats),
        *(_alarms(models, words, formats) if models else ()),
        *_revenue(overview, words, formats),
        *later_refunds_sentences(overview.later_refunds, words, formats),
        *_expected(overview, words, formats),
        *_risk(overview, words, formats),
        *offer_sentences(overview, words, formats),
        *fairness_sentences(models.fairness if models else None, words, formats),
        *(sentence for effect in overview.effects[:1] for sentence in _effect(effect, words, formats)),
        *(_forecasts(models, words, formats) if models else ()),
        *(training_summary(models, words, formats) if models else ()),
    ]


def _alarms(models: Models, words: Words, formats: Formats) -> Iterator[str]:
    """The first alarm with what to do, and how many more there are."""
    if models.alarms:
        first, more = models.alarms[0], len(models.alarms) - 1
        yield words("summary.alarm", sentence=alarm_sentence(first, words, formats), help=alarm_help(first, words))
        if more:
            yield words("summary.more_alarms", n=more, count=formats.count(more))


def assignment_sentences(overview: Overview, words: Words, formats: Formats) -> Iterator[str]:
    """That an assignment is not as declared, and what to do; nothing where all are."""
    for alarm in overview.assignment_alarms:
        is_offer = alarm.assignment == "actions" and alarm.arm != "none"
        arm = words.offer(alarm.arm, overview.offer_names) if is_offer else words.code("arm", alarm.arm)
        count, expected = formats.count(alarm.decision_count), formats.count(alarm.expected_decisions)
        yield words(f"assignment.{alarm.assignment}", arm=arm, count=count, expected=expected)


def _figure(overview: Overview, code: str) -> tuple[float | None, float | None]:
    match = next((figure for figure in overview.key_figures if figure.code == code), None)
    return (match.value, match.previous) if match else (None, None)


def _revenue(overview: Overview, words: Words, formats: Formats) -> Iterator[str]:
    now, before = _figure(overview, "revenue")
    buyers, _ = _figure(overview, "buyers")
    if now is None:
        return
    values = {"paid": formats.short_money(now), "buyers": formats.count(buyers)}
    if not before:
        yield words("summary.revenue_alone", **values)
        return
    change = now / before - 1
    key = "same" if abs(change) < SAME_SHARE else ("more" if change > 0 else "less")
    yield words(f"summary.revenue_{key}", **values, change=formats.share(abs(change)))


def later_refunds_sentences(later: LaterRefunds | None, words: Words, formats: Formats) -> Iterator[str]:
    """That refunds became known only after the run's cutoff, if any did, and do not count."""
    if later is None:
        return
    count, money = formats.count(later.refund_count), formats.whole_money(later.refund_cents)
    first, last = formats.date(later.first_known_at), formats.date(later.last_known_at)
    key = "summary.later_refunds" if first == last else "summary.later_refunds_between"
    yield words(key, n=later.refund_count, count=count, money=money, first=first, last=last)


def _expected(overview: Overview, words: Words, formats: Formats) -> Iterator[str]:
    value = overview.value
    yield from missing_sentences(overview.missing_forecasts, words, formats)
    if not value.total_cents:
        return
    values = {"expected": formats.short_money(value.total_cents), "share": formats.share(value.top_tenth_share, 0)}
    if value.low_cents is None or value.high_cents is None:
        yield words("summary.expected", **values)
    else:
        ends = {"low": formats.short_money(value.low_cents), "high": formats.short_money(value.high_cents)}
        yield words("summary.expected_between", **values, **ends)
        yield from _methods(value, words, formats)
        yield from _season(value, words, formats)
    _, brought = _figure(overview, "expected_value")
    if brought is not None:
        yield words("summary.brought_since", paid=formats.short_money(brought))
    if value.prospect_count:
        yield words(
            "summary.prospects",
            n=value.prospect_count,
            count=formats.count(value.prospect_count),
            expected=formats.short_money(value.prospects_cents),
        )


def _methods(value: ValueSpread, words: Words, formats: Formats) -> Iterator[str]:
    """What each method expects, and which the total is nearer to, where they are far apart."""
    history, models, weight = value.history_cents, value.models_cents, value.history_weight
    if not history or not models or weight is None or abs(log(history / models)) < METHODS_APART:
        return
    key = "summary.methods_history" if weight > 1 / 2 else "summary.methods_models"
    share = formats.share(max(weight, 1 - weight), 0)
    yield words(key, history=formats.short_money(history), models=formats.short_money(models), share=share)


def _season(value: ValueSpread, words: Words, formats: Formats) -> Iterator[str]:
    """What the season does to the coming 90 days, where it does much, or that the shop is too young to tell."""
    season = value.season
    if season is None and value.calendar_trust is not None:
        yield words("summary.season_entered", share=formats.share(value.calendar_trust, 0))
    elif season is None:
        yield words("summary.season_unseen")
    elif abs(season - 1) >= SLIGHT_SEASON:
        key = "summary.season_high" if season > 1 else "summary.season_low"
        yield words(key, share=formats.share(abs(season - 1), 0))


def _risk(overview: Overview, words: Words, formats: Formats) -> Iterator[str]:
    now, before = _figure(overview, "at_risk")
    if now is None:
        return
    if any(one.question == CHURN.name for one in overview.missing_forecasts):
        yield words("summary.overdue", n=int(now), count=formats.count(now))
        return
    change = int(now - before) if before is not None else 0
    key = (
        "risk_alone"
        if before is None
        else "risk_same"
        if change == 0
        else ("risk_more" if change > 0 else "risk_fewer")
    )
    yield words(f"summary.{key}", n=int(now), count=formats.count(now), change=formats.count(abs(change)))
    watched = overview.watch_list_total
    if at_stake := watched.value_at_risk_cents:
        count = formats.count(watched.customer_count)
        yield words("summary.stake", n=watched.customer_count, count=count, stake=formats.whole_money(at_stake))


def offer_sentences(overview: Overview, words: Words, formats: Formats) -> Iterator[str]:
    """What the run decided, what that is expected to cost, and what is left of the budget."""
    decided = overview.decisions
    if not decided.customer_count:
        return
    if decided.is_nobody_contactable:
        count = decided.refused_count
        yield words("summary.nobody_contactable", n=count, count=formats.count(count))
        return
    values = {
        "offers": formats.count(decided.offered_count),
        "cost": formats.whole_money(decided.cost_cents),
        "held": formats.count(decided.holdout_count),
    }
    if decided.budget_cents is None:
        yield words("summary.offers", n=decided.offered_count, **values)
    else:
        left = {
            "left": formats.money(decided.left_cents or 0.0),
            "budget": formats.whole_money(decided.amount_cents or 0),
        }
        period = words(f"budget_period.{decided.period}")
        yield words("summary.offers_budget", n=decided.offered_count, period=period, **left, **values)
    if decided.delivery and decided.delivery.evidence is not Evidence.POLICY:
        yield delivery_sentence(decided.delivery, words, formats)
    if decided.exploration:
        yield exploration_sentence(decided.exploration, words, formats)
    if "assumed" in decided.effect_sources:
        yield words("summary.assumed")


def _effect(effect: Effect, words: Words, formats: Formats) -> Iterator[str]:
    """What offers changed, raw and adjusted, and what that is after all costs."""
    has_zero = effect.low <= 0 <= effect.high
    kind = "placebo" if effect.is_placebo else "effect"
    yield words(
        f"summary.{kind}_{'zero' if has_zero else 'clear'}",
        n=effect.treated_count,
        count=formats.count(effect.treated_count),
        effect=formats.money(effect.effect_cents),
        low=formats.money(effect.low),
        high=formats.money(effect.high),
    )
    if effect.is_placebo or effect.raw_cents is None:
        return
    yield words(
        "summary.effect_raw",
        raw=formats.money(effect.raw_cents),
        low=formats.money(effect.sequence_low),
        high=formats.money(effect.sequence_high),
    )
    yield words("summary.effect_net", cost=formats.money(effect.cost_cents), net=formats.money(effect.net_cents))


def _forecasts(models: Models, words: Words, formats: Formats) -> Iterator[str]:
    for question in models.questions:
        whole = next((check for check in question.checks if check.decile == 0 and check.bias_share is not None), None)
        if question.question != "value" or whole is None or whole.bias_share is None:
            continue
        key = "high" if whole.bias_share >= 0 else "low"
        yield words(
            f"summary.forecast_{key}",
            date=formats.date(whole.scored_at),
            forecast=formats.money(whole.forecast_mean),
            actual=formats.money(whole.actual_mean),
            bias=formats.share(abs(whole.bias_share)),
        )
