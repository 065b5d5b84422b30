"""How results look in a terminal."""

from collections.abc import Iterable
from pathlib import Path

from patron.answers.backtest_results import backtest
from patron.answers.models import MONEY_METRICS, UNITS, Backtest, models, primary_metrics
from patron.answers.overview import overview
from patron.answers.prospects_by_value import Prospects
from patron.commands.demo import Demo
from patron.commands.doctor import Finding
from patron.commands.import_files import ImportSummary
from patron.interfaces.cli import output
from patron.interfaces.i18n import words
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.report import write_report
from patron.interfaces.report.summary_sentences import summary_sentences
from patron.run import FinishedRun

REPORTS = (("report.html", "en"), ("report.zh_CN.html", "zh_CN"))

BACKTEST_FIELDS = (
    "question",
    "origin",
    "learner",
    "champion",
    "metric",
    "value",
    "low",
    "high",
    "baseline",
    "baseline_value",
)
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def show_import(done: ImportSummary, *, json: bool) -> None:
    """Show what became of every row read."""
    if json:
        output.as_json(done)
        return
    output.say(
        f"{done.read:,} rows read = {done.stored:,} stored + {done.duplicate:,} duplicate + {done.dead:,} dead "
        f"({done.rows_per_second:,.0f} rows a second)"
    )
    for warning in done.warnings:
        output.say(warning, style="yellow")
    if done.dead:
        output.say("Set aside with their reason, such as:")
        for row in done.dead_rows:
            output.say(
                f"  {done.dead_by_reason[row.reason]:,} {row.reason}: {row.file} row {row.row_number}: {row.message}"
            )
        output.say(f"After mending the cause: patron import --replay {done.import_id}")


def show_run(finished: FinishedRun, currency: str, *, json: bool) -> None:
    """Show what one run did."""
    if json:
        output.as_json(finished)
        return
    output.say(f"Run {finished.run_id}: {finished.customer_count:,} customers in {finished.seconds:.1f} s.")
    rows = [
        (
            a.question,
            a.champion,
            a.metric,
            interval(a.value, a.low, a.high, per=cents_in(a.question, a.metric)),
            a.baseline,
            number(a.baseline_value, per=cents_in(a.question, a.metric)),
        )
        for a in finished.forecasts.answered
    ]
    output.grid(
        f"Forecasts (amounts in {currency})", ("question", "champion", "metric", "value", "naive", "its value"), rows
    )
    for reason in finished.forecasts.unanswered:
        output.say(reason, style="yellow")


def show_backtest(rows: Iterable[Backtest], currency: str, *, json: bool) -> None:
    """Show each learner's metric at each origin beside the best baseline."""
    listed = list(rows)
    if json:
        output.as_json([{name: getattr(row, name) for name in BACKTEST_FIELDS} for row in listed])
        return
    head = ("question", "origin", "learner", "metric", "value", "naive", "its value", "gain")
    output.grid(
        f"Backtest (* champion; gain over the best baseline, above 0 is better, 95 % intervals; money in {currency})",
        head,
        [
            (
                row.question,
                row.origin,
                row.learner + (" *" if row.learner == row.champion else ""),
                row.metric,
                interval(row.value, row.low, row.high, per=cents_in(row.question, row.metric)),
                row.baseline,
                number(row.baseline_value, per=cents_in(row.question, row.metric)),
                interval(row.gain, row.gain_low, row.gain_high, per=cents_in(row.question, row.metric)),
            )
            for row in listed
        ],
    )


def show_prospects(found: Prospects, currency: str, *, json: bool) -> None:
    """Show who without an order should bring most, and how well such forecasts ranked people in the past."""
    if json:
        output.as_json(found)
        return
    output.say(
        f"{found.people_count:,} people without an order should bring {currency} {found.expected_cents / 100:,.2f} "
        f"in 90 days ({found.learner}, run {found.run_id})."
    )
    if found.gini is not None:
        output.say(
            f"Ranking of {found.judged_count:,} earlier ones: normalised Gini "
            f"{interval(found.gini, found.gini_low, found.gini_high)}; the mean for everybody has 0."
        )
    output.say(found.why)
    rows = [
        (
            one.customer_id,
            one.acquisition_channel or "",
            ", ".join(one.reasons),
            f"{one.days_since_known:.1f}",
            f"{one.expected_cents / 100:,.2f}",
        )
        for one in found.people
    ]
    output.grid("", ("customer", "won by", "because of", "days known", f"expected, {currency}"), rows, numbers=2)


def show_doctor(findings: Iterable[Finding], *, json: bool) -> None:
    """Show what was looked at, and how to mend what is wrong."""
    listed = list(findings)
    if json:
        output.as_json(listed)
        return
    for finding in listed:
        output.say(f"{finding.check}: {finding.what}", mark=finding.level, style=STYLES[finding.level])
        if finding.todo:
            output.say(f"     {finding.todo}")


def show_demo(done: Demo, workspace: Path) -> None:
    """Write the report and show what the loop found, what the data cannot show, and where to look next."""
    shop = done.shop
    reports = [write_report(shop, shop.folder / name, locale).path for name, locale in REPORTS]
    seen, texts = overview(shop), words("en")
    show_backtest((row for row in backtest(shop) if is_primary_metric(row)), seen.currency, json=False)
    for run in done.runs:
        output.say(f"Run {run.run_id}: {run.customer_count:,} customers in {run.seconds:.1f} s")
    output.say()
    for line in summary_sentences(seen, models(shop), texts, Formats("en", seen.currency, seen.time_zone)):
        output.say(f"  {line}")
    for line in done.truth:
        output.say(f"  {line}")
    output.say()
    output.say("What this data cannot show:")
    for line in done.cannot_show:
        output.say(f"  - {line}")
    output.say()
    output.say(f"Report, open it in a browser: {reports[0]} (Chinese: {reports[1].name})")
    output.say(f"Console: patron serve --workspace {workspace}   (in this checkout: .venv/bin/patron)")


def is_primary_metric(row: Backtest) -> bool:
    """Whether a row is the champion's on what decides, over all origins together."""
    return row.origin == "all" and row.learner == row.champion and (row.metric,) == primary_metrics(row.question)[:1]


def cents_in(question: str, metric: str) -> int:
    """How many of what a metric counts make one of what is shown: 100 for amounts of money."""
    return 100 if UNITS.get(question) == "money" and metric in MONEY_METRICS else 1


def number(value: float | None, *, per: int = 1) -> str:
    """A number with as many digits as help."""
    if value is None:
        return ""
    value /= per
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def interval(value: float | None, low: float | None, high: float | None, *, per: int = 1) -> str:
    """A number with its interval."""
    if value is None:
        return ""
    ends = f" [{number(low, per=per)}, {number(high, per=per)}]" if low is not None and high is not None else ""
    return number(value, per=per) + ends
