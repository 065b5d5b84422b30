"""Why a customer is likely to leave, in the reader's language, with the fact and what is usual."""

from patron.answers.models.churn_reasons import ChurnReason
from patron.answers.models.models import BASELINES, Models
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.models.questions import CHURN

BY_ORDERS = frozenset({"pareto_chance", "logistic_rfm"})
"""Learners that know orders only: their days, and what was paid."""
FEW = 3
"""What is usual is written with a digit after the point below this."""


def driver_sentence(models: Models, words: Words) -> str:
    """Why a run has no reasons for churn, or reasons about orders only; empty where they may be about anything."""
    churn = next((question for question in models.questions if question.question == CHURN.name and question.card), None)
    if churn is None or any(one.question == CHURN.name for one in models.missing_forecasts):
        return ""
    learner = churn.card["learner"]
    name = words.code("learner", learner)
    if learner in BASELINES:
        return words("drivers.unexplained", learner=name)
    if not models.churn_drivers:
        return words("drivers.nobody")
    return words("drivers.orders_only", learner=name) if learner in BY_ORDERS else ""


def reason_sentence(reason: ChurnReason, words: Words, formats: Formats) -> str:
    """One reason: the fact, and what is usual where it makes the fact clearer."""
    key = f"churn_reason.{reason.code}"
    count = _count(reason.fact, reason)
    values = {"n": count, "fact": formats.count(count), "usual": _usual(reason, words, formats)}
    values |= {"of": formats.count(reason.of_count), "days": formats.count(reason.window_days)}
    match reason.code:
        case "less_spend":
            values |= {"fact": formats.whole_money(reason.fact), "usual": formats.whole_money(reason.usual)}
        case "fewer_orders" if count == 0:
            key += ".none"
        case "no_opens" if count == 0 and reason.since:
            key += ".since"
            values["month"] = formats.month(reason.since)
        case "no_opens" if count == 0:
            key += ".none"
        case "bad_review" | "one_order":
            days = reason.days_ago or 0
            key += "" if days else ".today"
            values |= {"n": days, "days": formats.count(days), "stars": words(f"stars.{min(max(count, 1), 2)}")}
        case "no_visit" | "overdue" | "fewer_orders" if reason.basis == "shop":
            key += ".shop"
        case _:
            pass
    return words(key, **values)


def help_sentence(reason: ChurnReason, words: Words) -> str:
    """What might help."""
    return words(f"churn_help.{reason.help}")


def _count(value: float, reason: ChurnReason) -> int:
    """A fact as a whole number; a share as that of how many."""
    return round(value * reason.of_count) if reason.of_count else round(value)


def _usual(reason: ChurnReason, words: Words, formats: Formats) -> str:
    if reason.of_count:
        return formats.count(_count(reason.usual, reason))
    if reason.code in ("overdue", "no_visit"):
        days = max(round(reason.usual), 1)
        return words("churn_reason.every_day") if days == 1 else words("churn_reason.every", usual=formats.count(days))
    is_whole = reason.usual >= FEW or reason.usual == round(reason.usual)
    return formats.count(reason.usual) if is_whole else formats.number(reason.usual, 1)
