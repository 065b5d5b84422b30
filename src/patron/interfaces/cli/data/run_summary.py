"""How a run ends in a terminal: its forecasts, then money, people and decisions in words, and what to do next."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from patron.answers.insight.overview import overview_of
from patron.answers.models.models import models_of
from patron.answers.offers.decision_ledger import decisions
from patron.interfaces.cli import output
from patron.interfaces.cli.models.render_models import pin_sentences
from patron.interfaces.cli.offers.render_decisions import show_reasons, show_rows
from patron.interfaces.cli.render import cents_in, interval, number
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.summary_sentences import offer_sentences, summary_sentences
from patron.storage.offers.policy import policy_notice
from patron.storage.runs.last_run import last_run, run_as_of
from patron.storage.workspace.workspace_files import POLICY_FILE

if TYPE_CHECKING:
    from patron.answers.models.models import Backtest, Models
    from patron.run import FinishedRun
    from patron.storage.shop import Shop

LEFT_OUT = "left_out"
"""Key of a model card: learners that could not be fitted, with the reason."""
MAX_PREVIEWED = 20
"""Offers that a preview lists in a terminal; `--json` has a page of them."""
HEAD = ("question", "champion", "metric", "value", "baseline", "baseline value")


def show_run(shop: "Shop", finished: "FinishedRun", workspace: Path, *, json: bool) -> None:
    """Show what one run did, found and left to do."""
    view = run_as_of(shop, finished.as_of)
    models = models_of(view)
    rankings = [row for row in _primary_rows(models) if row.question not in _question_names(finished)]
    left_out = {
        question.question: question.card[LEFT_OUT] for question in models.questions if LEFT_OUT in question.card
    }
    if json:
        output.as_json({**vars(finished), "rankings": rankings, LEFT_OUT: left_out})
        return
    summary = overview_of(view)
    output.say(f"Run {finished.run_id}: {finished.customer_count:,} customers in {finished.seconds:.1f} s.")
    _show_forecasts(finished, rankings, summary.currency)
    used = {forecast.model_version for forecast in finished.forecasts.answered}
    for sentence in pin_sentences(pin for pin in models.pins if pin.model_version in used):
        output.say(sentence, style="yellow")
    for question, learners in left_out.items():
        output.say(f"Left out of {question}: {learners}.", style="dim")
    missing = {one.question: one for one in finished.missing_forecasts}
    for reason in finished.forecasts.unanswered:
        if reason.partition(":")[0] not in missing:
            output.say(reason, style="yellow")
    for one in missing.values():
        output.say(str(one), style="yellow")
    notice = policy_notice(shop.folder / POLICY_FILE)
    if notice:
        output.say(
            f"policy.toml was written for an older Patron: {notice}. Replace the old key in policy.toml.",
            style="yellow",
        )
    output.say()
    formats = Formats("en", summary.currency, summary.time_zone)
    for line in summary_sentences(summary, models, words("en"), formats):
        output.say(line)
    for line in (*_outbox(shop, finished), *_next(shop, finished, workspace)):
        output.say(line)


def show_preview(copy: "Shop", finished: "FinishedRun", *, json: bool) -> None:
    """Show what a run would decide: the summary, and its offers with the best expected net value first."""
    summary, page = overview_of(run_as_of(copy, finished.as_of)), decisions(copy, run_id=finished.run_id)
    if json:
        output.as_json(
            {"run_id": finished.run_id, "as_of": finished.as_of, "decisions": summary.decisions, "list": page}
        )
        return
    output.say(f"Preview of the run {finished.run_id}: nothing was written.", style="bold")
    formats = Formats("en", summary.currency, summary.time_zone)
    for line in offer_sentences(summary, words("en"), formats):
        output.say(line)
    show_reasons(page)
    offers = [row for row in page.rows if row.action != "none"][:MAX_PREVIEWED]
    if offers:
        show_rows("The offers with the best expected net value", offers, summary.currency)


def _question_names(finished: "FinishedRun") -> set[str]:
    return {forecast.question for forecast in finished.forecasts.answered}


def _primary_rows(models: "Models") -> "list[Backtest]":
    """The champion of each question on its primary metric, over all origins together."""
    return [question.primary_metric[0] for question in models.questions if question.primary_metric]


def _show_forecasts(finished: "FinishedRun", rankings: "list[Backtest]", currency: str) -> None:
    missing = {one.question for one in finished.missing_forecasts}
    rows = [
        (
            forecast.question,
            forecast.champion,
            forecast.metric,
            interval(forecast.value, forecast.low, forecast.high, per=cents_in(forecast.question, forecast.metric))
            or "not evaluated yet",
            forecast.baseline,
            number(forecast.baseline_value, per=cents_in(forecast.question, forecast.metric)),
        )
        for forecast in (*finished.forecasts.answered, *rankings)
        if forecast.question not in missing
    ]
    output.grid(f"Forecasts (amounts in {currency})", HEAD, rows)


def _outbox(shop: "Shop", finished: "FinishedRun") -> Iterator[str]:
    """Where the outbox is, and whom it leaves out."""
    outbox = finished.outbox
    if not outbox.files:
        yield "Outbox: nothing, as sending is held. Release it, then run again: patron sending release."
        return
    folder = shop.folder / Path(outbox.files[0]).parent
    names = " and ".join(Path(name).name for name in outbox.files)
    yield (
        f"Outbox: {folder} has {names}: offers for {_people(outbox.offer_count)}, recommendations for "
        f"{_people(outbox.recommended_customer_count)}."
    )
    if outbox.refused_count:
        yield (
            f"Neither file holds {_people(outbox.refused_count)} who may not be contacted: by consent, by the topic"
            " they left, or by an address that is suppressed."
        )


def _people(count: int) -> str:
    """How many, people without an order among them."""
    return f"{count:,} {'person' if count == 1 else 'people'}"


def _next(shop: "Shop", finished: "FinishedRun", workspace: Path) -> Iterator[str]:
    """What to do next; what to do where nobody may be contacted is among the sentences of the summary."""
    newest = last_run(shop).run
    if newest.as_of > finished.as_of:
        yield f"Console and report show run {newest.run_id}, which has a later cutoff."
    if finished.outbox.offer_count and shop.policy.channel.confirm == "manual":
        days = shop.policy.channel.confirm_within_days
        yield (
            f"Next: send the offers with your mail system, and say so within {days} days, so that they count and their"
            f" effect is measured: patron outbox confirm {finished.run_id} --workspace {shlex.quote(str(workspace))}"
        )
    elif not shop.policy.offers:
        yield "Next: add an [[offers]] entry to policy.toml, so that offers can be made."
    folder = shlex.quote(str(workspace))
    yield f"Read the results: patron report --workspace {folder}, or patron serve --workspace {folder}."
