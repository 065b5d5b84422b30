"""What became of tasks and what they changed, in a terminal."""

from typing import TYPE_CHECKING, Any

from patron.answers.customers.customer_marks import list_staff
from patron.answers.customers.task_effects import METRICS
from patron.answers.customers.task_suggestions import find_suggestion
from patron.interfaces.cli import output
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.task_texts import part_name, suggestion_sentences
from patron.interfaces.i18n.translations import Words, words

if TYPE_CHECKING:
    from patron.answers.customers.task_effects import MetricEffect, TaskPart
    from patron.answers.customers.task_results import TaskResults
    from patron.answers.customers.task_suggestions import TaskAdvice
    from patron.storage.shop import Shop
    from patron.storage.toml_edit import Place

RESULTS = ("tasks", "open", "done", "dropped", "outcomes", "median days")


def show_results(shop: "Shop", results: "TaskResults", *, json: bool) -> None:
    """One line a person, playbook, reason or month."""
    if json:
        output.as_json(results)
        return
    staff = {one.user_id: one.name for one in list_staff(shop)} if results.by == "person" else {}
    rows = [
        (
            staff.get(one.key, one.key) or "-",
            f"{one.task_count:,}",
            f"{one.open_count:,}",
            f"{one.done_count:,}",
            f"{one.dropped_count:,}",
            ", ".join(f"{name} {count:,}" for name, count in one.outcomes.items()),
            "-" if one.median_days is None else f"{one.median_days:.1f}",
        )
        for one in results.rows
    ]
    output.grid("", (results.by, *RESULTS), rows)


def show_effects(shop: "Shop", advice: "TaskAdvice", locale: str | None, *, json: bool) -> None:
    """Every part by every metric, then what that suggests."""
    if json:
        output.as_json(advice)
        return
    effects = advice.effects
    texts, formats = _language(shop, locale)
    running = effects.running.treated_count + effects.running.control_count
    if running:
        date = formats.date(effects.running.next_end_at)
        output.say(texts("task_effect.running", n=running, count=formats.count(running), date=date))
    if effects.whole is None:
        output.say(texts("task_effect.empty"))
        return
    head = tuple(texts(f"task_effect.{name}") for name in ("title", "arms", *METRICS))
    parts = (effects.whole, *effects.playbooks, *effects.reasons)
    output.grid(texts("task_effect.difference"), head, [_row(one, texts, formats) for one in parts])
    if detectable := effects.whole.of("margin").detectable:
        output.say(texts("task_effect.cannot_show", effect=formats.money(detectable)))
    for one in advice.suggestions:
        output.say(f"{one.code}: {' '.join(suggestion_sentences(one, texts, formats))}")


def suggested_change(shop: "Shop", code: str, locale: str | None) -> "tuple[dict[Place, Any], str]":
    """The value to change that a code stands for, and its evidence as the note of a proposal. Raises NotFound."""
    one = find_suggestion(shop, code)
    return {("tasks", one.key): one.new}, " ".join(suggestion_sentences(one, *_language(shop, locale)))


def _row(part: "TaskPart", texts: Words, formats: Formats) -> tuple[str, ...]:
    counts = f"{part.treated_count:,} / {part.control_count:,}"
    return part_name(part, texts), counts, *(_metric(one, texts, formats) for one in part.metrics)


def _metric(one: "MetricEffect", texts: Words, formats: Formats) -> str:
    if one.effect is None or one.low is None or one.high is None:
        return texts("task_effect.not_known")

    def write(value: float) -> str:
        if one.metric in {"revenue", "margin"}:
            return formats.money(value)
        return formats.number(value, 2) if one.metric == "orders" else formats.share(value)

    return f"{write(one.effect)} {texts('component.interval', low=write(one.low), high=write(one.high))}"


def _language(shop: "Shop", locale: str | None) -> tuple[Words, Formats]:
    settings = shop.settings.shop
    code = locale or settings.locale
    return words(code), Formats(code, settings.currency, settings.time_zone)
