"""When models were trained and why, and what a training did to earlier customers, in the reader's language."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from patron.answers.models.metrics_by_group import GroupRow
from patron.answers.models.models import UNITS, Models
from patron.interfaces.console.models.model_cards import metric_text
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.tables import FIRST, RECENT, UNPROVEN
from patron.storage.models.trainings import Training

BEFORE = "before "
"""How the name of the oldest customers' group begins."""


def training_sentence(models: Models, question: str, words: Words, formats: Formats) -> str:
    """Why this run trained a question's champion, or when an earlier one did and the next will."""
    training = next((one for one in models.trainings if one.question == question), None)
    if training is None:
        return words("training.always")
    days = (models.as_of - training.trained_at).days
    return words(f"training.{training.reason}", **_dates(models, training, formats), n=days, days=formats.count(days))


def training_summary(models: Models, words: Words, formats: Formats) -> Iterator[str]:
    """A sentence for each reason why models were trained again, and for each training whose models were used again."""
    groups: dict[tuple[str, str], list[Training]] = {}
    for training in models.trainings:
        if training.reason not in (FIRST, UNPROVEN):  # why: there was no model worth using again
            groups.setdefault((training.reason, training.trained_run_id), []).append(training)
    for (reason, _), trainings in groups.items():
        names = words("list.joint").join(words.code("question", training.question) for training in trainings)
        is_all = len(trainings) == len(models.trainings)
        name = words("training.all_models") if is_all else words("training.models_of", questions=names)
        yield words(f"summary.training_{reason}", models=name, **_dates(models, trainings[0], formats))


def _dates(models: Models, training: Training, formats: Formats) -> dict[str, str]:
    due = training.trained_at + timedelta(days=models.retrain_days)
    return {"date": formats.date(training.trained_at), "due": formats.date(due)}


def measured_sentence(models: Models, words: Words, formats: Formats) -> str:
    """Of which day measurements are, where this run did not train every model; empty where it did."""
    dates = sorted({training.trained_at for training in models.trainings if training.reason == RECENT})
    return words("training.measured", date=words("list.joint").join(map(formats.date, dates))) if dates else ""


def cohort_sentences(groups: Iterable[GroupRow], words: Words, formats: Formats) -> Iterator[str]:
    """The error on earlier and later customers at a past cutoff: of the model there was, and of this training."""
    rows = [row for row in groups if row.grouping == "first_order" and row.earlier_value is not None]
    if not rows:
        return
    first = rows[0]
    pairs = (
        words("cohorts.pair", group=_name(row, words), before=_error(row, row.earlier_value, formats), after=after)
        for row in rows
        for after in [_error(row, row.value, formats)]
    )
    yield words(
        "cohorts.before_after",
        metric=words.code("metric", first.metric),
        version=(first.earlier_version or "").partition("/")[2],
        origin=first.origin,
        list=words("list.joint").join(pairs),
    )
    worse = [row for row in rows if row.earlier_gain_high is not None and row.earlier_gain_high < 0]
    if worse:
        yield words("cohorts.worse", list=words("list.joint").join(_name(row, words) for row in worse))
    else:
        yield words("cohorts.none_worse")


def _name(row: GroupRow, words: Words) -> str:
    half_year = row.group_name.removeprefix(BEFORE)
    return half_year if half_year == row.group_name else words("cohorts.before", half_year=half_year)


def _error(row: GroupRow, value: float | None, formats: Formats) -> str:
    return metric_text(row.metric, value, UNITS.get(row.question, "number"), formats)
