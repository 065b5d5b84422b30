"""Model cards in the reader's language: the registry keeps codes and numbers, the sentences are texts of i18n."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from patron.answers.models.models import MONEY_METRICS, SHARE_METRICS, Question
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

SQUARED_CENTS = 10_000
"""Squared cents in a squared unit of the currency."""


@dataclass(frozen=True)
class CardRow:
    """One entry of a model card: its name, and its text or its settings."""

    name: str
    text: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    is_english: bool = False


def card_rows(question: Question, words: Words, formats: Formats) -> tuple[CardRow, ...]:
    """Entries of a question's model card, in the reader's language."""
    card = question.card
    learner = card.get("learner", question.champion or "")
    texts = {
        "learner": words.code("learner", learner),
        "description": description(learner, words),
        "why": why_champion(question, words, formats),
        "best_baseline": words.code("learner", card["best_baseline"]) if "best_baseline" in card else "",
        "cutoffs": words("list.joint").join(card["cutoffs"].split(", ")) if "cutoffs" in card else "",
        "training": training(question, words, formats),
        "limits": words("list.space").join(limits(question, words, formats)),
        "reproducible": words("card.reproducible_text"),
    }
    rows = [CardRow(words.code("card", key), text) for key, text in texts.items() if text]
    if settings := settings_of(card.get("settings", "")):
        rows.insert(3, CardRow(words.code("card", "settings"), settings=settings))
    if "left_out" in card:  # why: names of learners with the error of a library, which has one language
        rows.append(CardRow(words.code("card", "left_out"), card["left_out"], is_english=words.locale != "en"))
    return tuple(rows)


def description(learner: str, words: Words) -> str:
    """What a learner is, in a sentence; nothing for one without a text."""
    text = words.texts.get(f"learner_help.{learner}", "")
    return text if isinstance(text, str) else ""


def why_champion(question: Question, words: Words, formats: Formats) -> str:
    """Why the champion was chosen, by the rule of `predict.backtest`: its primary metric and the best baseline's."""
    rows = {row.learner: row for row in question.board}
    champion = rows.get(question.champion or "")
    if champion is None:
        return words("card.why_unproven")

    def metric(value: float | None) -> str:
        return metric_text(champion.metric, value, question.unit, formats)

    named = {
        "metric": words.code("metric", champion.metric),
        "value": metric(champion.value),
        "baseline": words.code("learner", champion.baseline),
        "baseline_value": metric(champion.baseline_value),
    }
    if champion.learner == champion.baseline:
        return words("card.why_baseline", metric=named["metric"], value=named["value"])
    if champion.gain is not None and champion.gain < 0:
        return words("card.why_behind", **named)
    if question.default and champion.learner != question.default:
        return words("card.why_better", default=words.code("learner", question.default), **named)
    return words("card.why_default", **named)


def training(question: Question, words: Words, formats: Formats) -> str:
    """How much data the model was fitted to, and until when."""
    card = question.card
    if "training_order_lines" in card:
        return words("card.training_order_lines", lines=formats.count(float(card["training_order_lines"])))
    if "training_rows" not in card:
        return ""
    until = datetime.fromisoformat(card["training_until"])
    key = "card.training_events" if question.is_live else "card.training_rows"
    return words(key, rows=formats.count(float(card["training_rows"])), date=formats.date(until))


def limits(question: Question, words: Words, formats: Formats) -> Iterator[str]:
    """What the model cannot do, and how often its intervals held."""
    yield words("card.limits_recommend" if question.question == "recommend" else "card.limits_forecast")
    if "interval_coverage" in question.card:
        yield words("card.interval", share=formats.share(float(question.card["interval_coverage"]), 0))


def metric_text(metric: str, value: float | None, unit: str, formats: Formats) -> str:
    """Value of a metric in its own unit."""
    if metric in MONEY_METRICS and unit == "money":
        return formats.whole_money(value)
    if metric == "mse" and unit == "money" and value is not None:
        return formats.number(value / SQUARED_CENTS, 0)
    return formats.share(value) if metric in SHARE_METRICS else formats.number(value, 3)


def settings_of(text: str) -> tuple[tuple[str, str], ...]:
    """Settings written as `name = value, ...`, one by one, nested ones too; empty when they are not so written."""
    try:
        call = ast.parse(f"dict({text})", mode="eval").body
        settings = (
            {item.arg: ast.literal_eval(item.value) for item in call.keywords} if isinstance(call, ast.Call) else {}
        )
    except (SyntaxError, ValueError):
        return ()
    return tuple(_flat(settings))


def _flat(settings: dict[str | None, object]) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield str(name).replace("_", " "), str(value)
