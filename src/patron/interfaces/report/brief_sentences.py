"""The brief of the week in sentences, each with the page that holds its evidence."""

from collections.abc import Iterator
from dataclasses import dataclass

from patron.answers.insight.brief import (
    DECISIONS_PAGE,
    MAX_LINES,
    Brief,
    Change,
    OfferEarnings,
    OpenQuestion,
    WrongForecast,
)
from patron.interfaces.i18n.decision_texts import exploration_sentence
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.models.questions import QUESTION_BY_NAME


@dataclass(frozen=True)
class BriefLine:
    """One sentence or two, and the page of the console with the evidence; empty where there is none."""

    text: str
    link: str = ""


@dataclass(frozen=True)
class BriefPart:
    """One of the four parts."""

    code: str
    title: str
    lines: tuple[BriefLine, ...]


def brief_parts(brief: Brief, offer_names: dict[str, str], words: Words, formats: Formats) -> tuple[BriefPart, ...]:
    """The four parts of the brief; none is empty."""
    lines = {
        "earned": _earnings(brief, words, formats),
        "changes": _changes(brief, offer_names, words, formats),
        "open": _open_questions(brief, offer_names, words, formats),
        "forecasts": _forecasts(brief, words, formats),
    }
    return tuple(BriefPart(code, words(f"brief.{code}"), tuple(rows)) for code, rows in lines.items())


def _earnings(brief: Brief, words: Words, formats: Formats) -> Iterator[BriefLine]:
    link = f"{DECISIONS_PAGE}#effects"
    if brief.earnings is None:
        yield BriefLine(words("brief.not_measured"))
    else:
        yield BriefLine(_earnings_sentence(brief.earnings, words, formats), link)
    if brief.exploration:
        yield BriefLine(exploration_sentence(brief.exploration, words, formats), "/decisions?reason=exploring")


def _earnings_sentence(earnings: OfferEarnings, words: Words, formats: Formats) -> str:
    if earnings.is_placebo:
        share = 1 / max(earnings.offer_count, 1)
        return words(
            "brief.placebo",
            each=formats.money(earnings.net_cents),
            low=formats.money(earnings.total_low * share),
            high=formats.money(earnings.total_high * share),
        )
    is_clear = not earnings.total_low <= 0 <= earnings.total_high
    key = ("more" if earnings.total_cents > 0 else "less") if is_clear else "unclear"
    # why: "lost 5.00" says the sign; its interval is of the loss
    sign = -1.0 if key == "less" else 1.0
    low, high = sorted(sign * end for end in (earnings.total_low, earnings.total_high))
    return words(
        f"brief.earned_{key}",
        n=earnings.offer_count,
        count=formats.count(earnings.offer_count),
        first=formats.date(earnings.decided_from),
        last=formats.date(earnings.decided_until),
        total=formats.whole_money(sign * earnings.total_cents),
        each=formats.money(sign * earnings.net_cents),
        low=formats.whole_money(low),
        high=formats.whole_money(high),
    )


def _changes(brief: Brief, names: dict[str, str], words: Words, formats: Formats) -> Iterator[BriefLine]:
    if not brief.changes:
        yield BriefLine(words("brief.no_change"))
    for change in brief.changes:
        yield BriefLine(change_sentence(change, names, words, formats), change.link)


def change_sentence(one: Change, names: dict[str, str], words: Words, formats: Formats) -> str:
    """Something to change, with what it is worth."""
    text = words(
        f"brief.change_{one.code}",
        n=one.count,
        count=formats.count(one.count),
        value=formats.whole_money(one.value_cents),
        cost=formats.whole_money(one.cost_cents),
        offer=words.offer(one.offer, names) if one.offer else "",
    )
    return text + words("brief.assumed") if one.is_assumed and one.value_cents is not None else text


def _open_questions(brief: Brief, names: dict[str, str], words: Words, formats: Formats) -> Iterator[BriefLine]:
    if not brief.open_questions:
        yield BriefLine(words("brief.nothing_open"))
    never = [words.offer(question.offer, names) for question in brief.open_questions if question.net_cents is None]
    if never:
        yield BriefLine(words("brief.never_measured", n=len(never), offers=words("list.joint").join(never)))
    for one in [question for question in brief.open_questions if question.net_cents is not None][
        : MAX_LINES - bool(never)
    ]:
        yield BriefLine(_question_sentence(one, names, words, formats), f"{DECISIONS_PAGE}#effects")


def _question_sentence(one: OpenQuestion, names: dict[str, str], words: Words, formats: Formats) -> str:
    key = "even" if one.needed_count is None else "plan" if one.days is not None else "too_long"
    return words(
        f"brief.open_{key}",
        n=one.days or 0,
        offer=words.offer(one.offer, names),
        net=formats.money(one.net_cents),
        low=formats.money(one.low),
        high=formats.money(one.high),
        count=formats.count(one.decision_count),
        needed=formats.count(one.needed_count),
        days=formats.count(one.days),
    )


def _forecasts(brief: Brief, words: Words, formats: Formats) -> Iterator[BriefLine]:
    if not brief.wrong_forecasts:
        count = brief.checked_count
        key = "all_right" if count else "none_due"
        yield BriefLine(words(f"brief.{key}", n=count, count=formats.count(count)), "/models/ledger")
    for one in brief.wrong_forecasts:
        yield BriefLine(forecast_sentence(one, words, formats), "/models/ledger")


def forecast_sentence(one: WrongForecast, words: Words, formats: Formats) -> str:
    """How far a forecast missed, and what went with it."""
    entry = one.entry
    is_share = QUESTION_BY_NAME[entry.question].is_probability

    def amount(value: float) -> str:
        return formats.share(value) if is_share else formats.money(value)

    bias = entry.bias_share or 0.0
    low, high = sorted(abs(end) for end in (entry.bias_low or 0.0, entry.bias_high or 0.0))
    sentences = [
        words(
            f"brief.forecast_{'high' if bias > 0 else 'low'}",
            question=words.code("question", entry.question),
            date=formats.date(entry.scored_at),
            forecast=amount(entry.forecast_mean),
            actual=amount(entry.actual_mean),
            bias=formats.share(abs(bias), 0),
            low=formats.share(low, 0),
            high=formats.share(high, 0),
        ),
        *(words(f"brief.cause_{cause}") for cause in one.causes),
    ]
    return words("brief.joint").join(sentences)
