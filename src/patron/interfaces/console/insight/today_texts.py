"""What a line of Today says, and the text of its action, in the reader's language."""

from collections.abc import Mapping
from datetime import datetime

from patron.answers.insight.today import TodayItem
from patron.interfaces.console.access.audit_texts import bare_actor
from patron.interfaces.console.models.alarm_texts import alarm_sentence
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.refusal_texts import translate
from patron.interfaces.i18n.translations import Words
from patron.interfaces.report.brief_sentences import change_sentence
from patron.schema.access.access_rights import Action, Actor, Area


def today_sentence(item: TodayItem, names: Mapping[str, str], words: Words, formats: Formats) -> str:
    """One line in a sentence or two."""
    if item.alarm:
        more = item.count - 1
        rest = words("today.more_alarms", n=more, count=formats.count(more)) if more else ""
        return alarm_sentence(item.alarm, words, formats) + rest
    if item.change:
        return change_sentence(item.change, dict(names), words, formats)
    details = {name: translate(text, words) for name, text in item.details.items() if name in {"what", "todo"}}
    details["by"] = bare_actor(item.details.get("by", ""))
    due = item.details.get("due_at")
    if due:
        key = "overdue" if item.details.get("is_overdue") else "due"
        values = {"n": item.count, "count": formats.count(item.count)}
        return words(f"today.requests_{key}", date=formats.date(datetime.fromisoformat(due)), **values)
    return words(
        f"today.{item.kind}",
        n=item.count,
        count=formats.count(item.count),
        name=item.name,
        value=formats.whole_money(item.value_cents),
        **{"what": "", "todo": "", **details},
    )


def is_of_waiting_offers(item: TodayItem) -> bool:
    """Whether a line is about offers of a run that wait to be sent."""
    return item.change is not None and item.change.code in {"send_offers", "send_to_learn"}


def today_action(item: TodayItem, actor: Actor, words: Words) -> str:
    """What the button of a line says; who may start no run only looks."""
    if item.kind == "run_stale" and not actor.may(Action.ACT, Area.RUNS):
        return words("today.do")
    key = f"today.do_{item.kind}"
    return words(key) if key in words.texts else words("today.do")
