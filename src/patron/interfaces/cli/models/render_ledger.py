"""How the forecast ledger looks in a terminal."""

from itertools import groupby
from typing import TYPE_CHECKING

from patron.answers.models.forecast_ledger import IN_CENTS, INTERVAL_SHARE
from patron.interfaces.cli import output
from patron.interfaces.i18n.formats import Formats

if TYPE_CHECKING:
    from patron.answers.models.forecast_ledger import ForecastEntry, ForecastLedger

HEAD = ("question", "forecast of", "due", "customers", "forecast", "actual", "bias", "error", "one for all", "covered")


def show_ledger(ledger: "ForecastLedger", formats: Formats, *, most: int, json: bool) -> None:
    """Show the newest forecasts of each question, then how many are still to come due."""
    newest = [entry for _, rows in groupby(ledger.entries, lambda entry: entry.question) for entry in [*rows][:most]]
    if json:
        output.as_json({"run_id": ledger.run_id, "entries": newest, "waiting": ledger.waiting})
        return
    if newest:
        covered = formats.share(INTERVAL_SHARE, 0)
        title = f"Forecasts against actuals (bias with 95 % interval; {covered} should be covered)"
        output.grid(title, HEAD, [_row(entry, formats) for entry in newest])
    else:
        output.say("No earlier forecast has reached the end of its horizon yet.")
    for one in ledger.waiting:
        runs = f"{one.run_count:,} forecast{'s' if one.run_count != 1 else ''}"
        verb = "waits" if one.run_count == 1 else "wait"
        output.say(f"{one.question}: {runs} {verb} for the actual; the next is due {formats.date(one.next_due_at)}.")


def _row(entry: "ForecastEntry", formats: Formats) -> tuple[str, ...]:
    def amount(value: float | None) -> str:
        return formats.money(value) if entry.question in IN_CENTS else formats.number(value, 3)

    bias = formats.change(entry.bias_share)
    if entry.bias_low is not None:
        bias += f" [{formats.change(entry.bias_low)}, {formats.change(entry.bias_high)}]"
    return (
        entry.question,
        formats.date(entry.scored_at),
        formats.date(entry.due_at),
        formats.count(entry.customer_count),
        amount(entry.forecast_mean),
        amount(entry.actual_mean),
        bias,
        amount(entry.error),
        amount(entry.baseline_error),
        formats.share(entry.covered_share, 0),
    )
