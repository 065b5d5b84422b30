"""How models look in a terminal."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from patron.interfaces.cli import output
from patron.interfaces.cli.render import cents_in, interval, number
from patron.interfaces.console.models.training_texts import cohort_sentences
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words

if TYPE_CHECKING:
    from patron.answers.models.metrics_by_group import GroupRow
    from patron.answers.models.model_versions import ModelDetail, ModelVersion
    from patron.commands.models.manage_models import Rollback
    from patron.commands.models.verify_model import Verification
    from patron.storage.models.model_decisions import ModelDecision

HEAD = ("model", "learner", "state", "metric", "value", "baseline", "baseline value")


def show_versions(versions: "tuple[ModelVersion, ...]", currency: str, *, json: bool) -> None:
    """Show a row for each model, the newest of each question first."""
    if json:
        output.as_json(versions)
        return
    rows = [
        (
            one.model_version,
            one.learner or "damaged",
            ", ".join(states_of(one)),
            one.metric or "",
            interval(one.value, one.low, one.high, per=cents_in(one.question, one.metric or "")),
            one.baseline or "",
            number(one.baseline_value, per=cents_in(one.question, one.metric or "")),
        )
        for one in versions
    ]
    output.grid(f"Models (backtests with 95 % intervals; amounts in {currency})", HEAD, rows)


def states_of(model: "ModelVersion") -> Iterator[str]:
    """What a model is now, in words."""
    if model.is_in_use:
        yield "in use"
    if model.is_pinned:
        yield "pinned"
    if model.is_approved:
        yield "approved"


def show_model(detail: "ModelDetail", formats: Formats, *, json: bool) -> None:
    """Show the card, the manifest and the decisions of one model."""
    if json:
        output.as_json(detail)
        return
    model = detail.model
    states = ", ".join(states_of(model))
    output.say(f"{model.model_version}" + (f" ({states})" if states else ""), style="bold")
    per = cents_in(model.question, model.metric or "")
    if model.value is not None:
        value = interval(model.value, model.low, model.high, per=per)
        output.say(
            f"{model.metric} {value}; the best baseline, {model.baseline}: {number(model.baseline_value, per=per)}"
        )
    for key, text in detail.card.items():
        output.say(f"{key.replace('_', ' ')}: {text}")
    versions = ", ".join(f"{name} {version}" for name, version in detail.manifest["table_versions"].items())
    output.say(f"fitted to: {versions} (table versions), seed {detail.manifest['seed']}")
    for decision in detail.decisions:
        who = f" by {decision.name}" if decision.name else ""
        note = f": {decision.note}" if decision.note else ""
        output.say(f"{decision.decision}{who}, {decision.decided_at:%Y-%m-%d %H:%M} UTC{note}")
    if detail.groups:
        _show_groups(detail.groups, formats)


def _show_groups(groups: "tuple[GroupRow, ...]", formats: Formats) -> None:
    """Show the groups of one question, next to the baseline and the earlier model."""
    first = groups[0]
    per = cents_in(first.question, first.metric)
    rows = [
        (
            f"{one.grouping.replace('_', ' ')} {one.group_name}",
            f"{one.customer_count:,}",
            interval(one.value, one.low, one.high, per=per),
            interval(one.gain, one.gain_low, one.gain_high, per=per),
            interval(one.earlier_gain, one.earlier_gain_low, one.earlier_gain_high, per=per),
        )
        for one in groups
    ]
    against = first.earlier_version or "an earlier model (none is old enough)"
    head = ("group", "customers", first.metric, f"gain over {first.baseline}", f"gain over {against}")
    output.grid(f"Customers as of {first.origin} (95 % intervals; a gain above 0 is better)", head, rows)
    for sentence in cohort_sentences(groups, words("en"), formats):
        output.say(sentence)


def show_rollback(rollback: "Rollback", time_zone: str, *, json: bool) -> None:
    """Show what scores a question from now on, and how to have it at once."""
    if json:
        output.as_json(rollback)
        return
    question, as_of = rollback.question, rollback.last_run_as_of.astimezone(ZoneInfo(time_zone))
    output.say(f"{question} is pinned to {rollback.model_version}, instead of {rollback.instead_of}.")
    output.say("Scores, decisions and pages change with the next run: the pinned model then scores every customer.")
    output.say(f"To change those of the last run now: patron run --as-of {as_of:%Y-%m-%dT%H:%M}.")
    output.say(f"To end the rollback: patron models release {question}.")


def show_verification(verification: "Verification", *, json: bool) -> None:
    """Show whether another fit of a model has the same bytes."""
    if json:
        output.as_json(verification)
        return
    count, name = verification.file_count, verification.model_version
    versions = ", ".join(f"{table} {version}" for table, version in verification.table_versions.items())
    output.say(f"{name}: fitted again to {versions} (table versions).")
    if verification.is_same:
        output.say(f"All {count} files have the same bytes.")
    else:
        files = ", ".join(verification.differences)
        output.say(f"{len(verification.differences)} of {count} files differ: {files}.", style="bold red")
        output.say("The data are the same: another version of Patron or a library fitted it, or an erasure changed it.")


def pin_sentences(pins: "Iterable[ModelDecision]") -> Iterator[str]:
    """A sentence for each question that is scored with a pinned model."""
    for pin in pins:
        since = f"{pin.decided_at:%Y-%m-%d}"
        yield f"{pin.model_version} has been pinned since {since} ({pin.note}): newly trained models are only kept."
