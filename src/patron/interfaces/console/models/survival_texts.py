"""How long customers stay and how early warnings were, in the reader's language."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from patron.answers.models.survival import LIFE_TABLE, LaterHorizon, Survival
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

SHOWN_SHARE = 0.1
"""Share of customers that the sentence about early warnings is of."""


def later_sentences(later: Iterable[LaterHorizon], words: Words, formats: Formats) -> Iterator[str]:
    """One sentence for horizons that wait for a date, and one for those that too few customers left to check."""
    waiting = [one for one in later if one.ready_at]
    if waiting:
        dates = [words("survival.from", n=one.horizon_days, date=formats.date(one.ready_at)) for one in waiting]
        yield words("missing.too_young", list=words("list.joint").join(dates))
    too_few = [words("survival.days", n=one.horizon_days) for one in later if not one.ready_at]
    if too_few:
        yield words("survival.too_few", list=words("list.joint").join(too_few))


def verdict_sentence(survival: Survival, words: Words, formats: Formats) -> str:
    """Whether hazards or the life table carry the curves on, and how that was checked."""
    first = survival.backtests[0]
    checked = words(
        "survival.checked",
        count=formats.count(first.customer_count),
        leavers=formats.count(first.leaver_count),
        date=formats.date(datetime.fromisoformat(first.origin).replace(hour=12, tzinfo=UTC)),
    )
    if first.champion == LIFE_TABLE:
        return checked + words("list.space") + words("survival.life_table_wins")
    return checked + words("list.space") + words("survival.model_wins", learner=words.code("learner", first.champion))


def warning_sentence(survival: Survival, words: Words, formats: Formats) -> str:
    """How often warnings of the churn forecast were right, and how early, at one share of customers."""
    shown = next(row for row in survival.warnings if row.rule == "churn" and row.share == SHOWN_SHARE)
    key = "warnings.sentence" if shown.lead_days is not None else "warnings.sentence_none"
    return words(
        key,
        share=formats.share(shown.share, 0),
        precision=formats.share(shown.precision, 0),
        base=formats.share(shown.base_rate, 0),
        days=formats.count(shown.lead_days),
    )
