"""How results look in a terminal."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from patron.interfaces.cli import output

if TYPE_CHECKING:
    from patron.answers.customers.prospects import Prospects
    from patron.answers.data.sql_query import TableInfo
    from patron.answers.models.models import Backtest
    from patron.commands.data.demo import Demo
    from patron.commands.data.findings import Finding
    from patron.commands.data.trace import Trace
    from patron.commands.models.export_scores import ScoresExport, ShopTotal

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


def show_trace(trace: "Trace", *, json: bool) -> None:
    """Show the places where an event is or was, in order."""
    if json:
        output.as_json(trace)
        return
    output.say(f"Event {trace.event_id}")
    for step in trace.steps:
        source = f" ({step.source})" if step.source else ""
        at = f"{step.at:%Y-%m-%d %H:%M:%S} UTC  " if step.at else ""
        output.say(f"  {at}{step.place}{source}: {step.what}")


def show_backtest(rows: "Iterable[Backtest]", currency: str, *, json: bool) -> None:
    """Show each learner's metric at each origin next to the best baseline."""
    listed = list(rows)
    if json:
        output.as_json([{name: getattr(row, name) for name in BACKTEST_FIELDS} for row in listed])
        return
    head = ("question", "origin", "learner", "metric", "value", "baseline", "baseline value", "gain")
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


def show_prospects(ranked: "Prospects", currency: str, *, json: bool) -> None:
    """Show the prospects with the highest expected revenue, and how well such rankings did on earlier ones."""
    if json:
        output.as_json(ranked)
        return
    output.say(
        f"{ranked.people_count:,} people without an order: {currency} {ranked.expected_cents / 100:,.2f} "
        f"expected in 90 days ({ranked.learner}, run {ranked.run_id})."
    )
    if ranked.gini is not None:
        output.say(
            f"Backtest on {ranked.evaluated_count:,} earlier prospects: normalised Gini "
            f"{interval(ranked.gini, ranked.gini_low, ranked.gini_high)}; a ranking at random has 0."
        )
    output.say(ranked.why)
    rows = [
        (
            person.customer_id,
            person.acquisition_channel or "",
            ", ".join(person.reasons),
            f"{person.days_since_known:.1f}",
            f"{person.expected_cents / 100:,.2f}",
        )
        for person in ranked.people
    ]
    head = ("customer", "acquisition channel", "reasons", "days known", f"expected, {currency}")
    output.grid("", head, rows, numbers=2)


def show_scores_export(export: "ScoresExport", path: Path, *, json: bool) -> None:
    """Show where the scores were written, how many there are, and who was left out."""
    if json:
        counts = {"customer_count": export.rows.num_rows, "objecting_count": export.objecting_count}
        run = {"run_id": export.run_id, "as_of": export.as_of, "file": str(path)}
        run |= {"missing_forecasts": export.missing_forecasts}
        output.as_json(run | counts | {"erased_count": export.erased_count})
        return
    output.say(f"Wrote {path}: scores of {export.rows.num_rows:,} customers, run {export.run_id}.")
    for one in export.missing_forecasts:
        output.say(f"{one}; the column is empty.", style="yellow")
    output.say(
        f"Left out: {export.objecting_count:,} who object to profiling. Erased so far: {export.erased_count:,} people."
    )


def show_shop_total(total: "ShopTotal", time_zone: str, *, json: bool) -> None:
    """Show the forecast of all customers together."""
    if json:
        output.as_json(total)
        return
    known = total.low is not None and total.high is not None
    ends = f", 80% interval {total.low:,.2f} to {total.high:,.2f}" if known else "; this run has no interval of it"
    day = total.as_of.astimezone(ZoneInfo(time_zone))
    output.say(f"{total.currency} {total.value:,.2f} expected in the 90 days from {day:%Y-%m-%d}{ends}.")


def show_tables(tables: "Sequence[TableInfo]", *, json: bool) -> None:
    """Show all tables with their columns' names, or one table with what its columns mean."""
    if json:
        output.as_json(tables)
    elif len(tables) == 1:
        output.say(f"{tables[0].name}: {tables[0].row}")
        rows = [(column.name, column.type, column.unit, column.meaning) for column in tables[0].columns]
        output.grid("", ("column", "type", "unit", "meaning"), rows)
    else:
        for table in tables:
            output.say(
                f"{table.row}\n  {', '.join(column.name for column in table.columns)}", mark=table.name, style="bold"
            )
        output.say("What the columns of one table mean: patron sql TABLE")


def show_doctor(findings: "Iterable[Finding]", *, json: bool) -> None:
    """Show every check, and how to fix what is wrong."""
    listed = list(findings)
    if json:
        output.as_json([one.plain() for one in listed])
        return
    for finding in listed:
        output.say(f"{finding.check}: {finding.what}", mark=finding.level, style=STYLES[finding.level])
        if finding.todo:
            output.say(f"     {finding.todo}")


def show_demo(result: "Demo", workspace: Path) -> None:
    """Write the report and show the results, the limits of the data, and where to look next."""
    from patron.answers.insight.overview import overview
    from patron.answers.models.backtest_results import backtest
    from patron.answers.models.models import models
    from patron.interfaces.i18n.formats import Formats
    from patron.interfaces.i18n.translations import words
    from patron.interfaces.report.html_report import write_report
    from patron.interfaces.report.summary_sentences import summary_sentences

    shop = result.shop
    reports = [write_report(shop, shop.folder / name, locale).path for name, locale in REPORTS]
    summary, texts = overview(shop), words("en")
    show_backtest((row for row in backtest(shop) if is_primary_metric(row)), summary.currency, json=False)
    for run in result.runs:
        output.say(f"Run {run.run_id}: {run.customer_count:,} customers in {run.seconds:.1f} s")
    output.say()
    for line in summary_sentences(summary, models(shop), texts, Formats("en", summary.currency, summary.time_zone)):
        output.say(f"  {line}")
    for line in result.truth:
        output.say(f"  {line}")
    output.say()
    output.say("What this data cannot show:")
    for line in result.limits:
        output.say(f"  - {line}")
    output.say()
    output.say(f"Report, open it in a browser: {reports[0]} (Chinese: {reports[1].name})")
    folder = shlex.quote(str(workspace))
    output.say(f"Console: patron serve --demo --workspace {folder}   (in this checkout: .venv/bin/patron)")


def is_primary_metric(row: "Backtest") -> bool:
    """Whether a row is the champion's primary metric over all origins."""
    from patron.answers.models.models import primary_metrics

    return row.origin == "all" and row.learner == row.champion and (row.metric,) == primary_metrics(row.question)[:1]


def cents_in(question: str, metric: str) -> int:
    """Divisor of a metric for display: 100 for amounts, which are stored in cents, else 1."""
    from patron.answers.models.models import MONEY_METRICS, UNITS

    return 100 if UNITS.get(question) == "money" and metric in MONEY_METRICS else 1


def number(value: float | None, *, per: int = 1) -> str:
    """A number with four significant digits."""
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
