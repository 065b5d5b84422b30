"""What the effect of tasks suggests, in sentences."""

from collections.abc import Iterator

from patron.answers.customers.task_effects import ALL, MARGIN, UNKNOWN, TaskPart
from patron.answers.customers.task_suggestions import TaskSuggestion
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.policy_texts import value_text
from patron.interfaces.i18n.translations import Words


def suggestion_sentences(one: TaskSuggestion, texts: Words, formats: Formats) -> Iterator[str]:
    """What to change, and why."""
    old, new = (value_text(one.key, value, texts, formats) for value in (one.old, one.new))
    yield texts(f"task_suggestion.{one.code}", old=old, new=new)
    if one.detectable_cents is not None and one.new_detectable_cents is not None:
        old_effect, new_effect = (formats.money(cents) for cents in (one.detectable_cents, one.new_detectable_cents))
        yield texts("task_suggestion.detectable", old=old_effect, new=new_effect)
    for part in one.parts:
        yield _evidence(part, texts, formats)


def _evidence(part: TaskPart, texts: Words, formats: Formats) -> str:
    margin = part.of(MARGIN)
    numbers = {"effect": margin.effect, "low": margin.low, "high": margin.high}
    if margin.effect is None:
        return texts("task_suggestion.unknown", part=part_name(part, texts))
    money = {name: formats.money(value) for name, value in numbers.items()}
    return texts("task_suggestion.evidence", part=part_name(part, texts), **money)


def part_name(part: TaskPart, texts: Words) -> str:
    """Name of a part of the tasks."""
    playbook = texts("task_effect.all") if part.playbook == ALL else texts(f"playbook.{part.playbook}")
    if part.reason == ALL:
        return playbook
    reason = texts("task_effect.no_reason") if part.reason == UNKNOWN else texts.code("reason_code", part.reason)
    return reason if part.playbook == ALL else texts("task_effect.of_reason", playbook=playbook, reason=reason)
