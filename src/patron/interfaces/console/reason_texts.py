"""Why a customer is likely to leave, in the reader's language, with the fact and what is usual."""

from patron.answers.churn_reasons import ChurnReason
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

FEW = 3
"""What is usual is written with a digit after the point below this."""


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
