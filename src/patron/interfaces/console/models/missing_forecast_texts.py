"""What a run has too little history for, in the reader's language."""

from collections.abc import Iterable, Iterator

from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.storage.models.missing_forecasts import MissingForecast


def missing_sentences(missing: Iterable[MissingForecast], words: Words, formats: Formats) -> Iterator[str]:
    """One sentence for each reason, with the questions it holds for and from when on they can be answered."""
    named: dict[str, list[str]] = {}
    for one in missing:
        question = words.code("missing", one.question)
        waits = one.reason == "too_young" and one.ready_at is not None
        named.setdefault(one.reason, []).append(
            words("missing.from", question=question, date=formats.date(one.ready_at)) if waits else question
        )
    for reason, questions in named.items():
        yield words(f"missing.{reason}", list=words("list.joint").join(questions))


def missing_short(missing: Iterable[MissingForecast], question: str, words: Words, formats: Formats) -> str:
    """From when on a question can be answered, for a small space; empty where that is not known."""
    ready = next((one.ready_at for one in missing if one.question == question and one.ready_at), None)
    return words("missing.short", date=formats.date(ready)) if ready else ""
