"""The result of a journey as text."""

from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.cli.outreach.render_campaign_result import show_arms, show_effects, show_messages
from patron.interfaces.i18n.formats import Formats

if TYPE_CHECKING:
    from patron.commands.outreach.journeys.measure_journey import JourneyResult
    from patron.storage.settings import ShopSettings


def show_result(result: "JourneyResult", shop: "ShopSettings", *, json: bool) -> None:
    """Print the result of a journey."""
    if json:
        output.as_json(result)
        return
    formats = Formats("en", shop.currency, shop.time_zone)
    until = f"{result.window_days} days from each first entry, orders until {formats.time(result.until)}"
    output.say(f"{result.journey}: {until}" + ("" if result.is_final else ", so far"), style="bold")
    output.say(result.learned)
    for finding in result.findings:
        output.say(finding, style="bold")
    show_effects(result.effects, formats, is_final=result.is_final)
    show_arms(result.arms, formats)
    spend = result.spend
    output.say(
        f"spent {formats.money(spend.total_cents)} (sending {formats.money(spend.sending_cents)}, discounts"
        f" {formats.money(spend.discount_cents)}, other {formats.money(spend.other_cents)});"
        f" forecast {formats.money(spend.forecast_cents)} a month"
    )
    _show_steps(result)
    states = ", ".join(f"{count:,} {state}" for state, count in result.entry_counts.items())
    output.say(f"{result.entered_count:,} customers entered; entries: {states}")
    for reason, count in result.exit_counts.items():
        output.say(f"  {count:,} left: {reason}")
    for step, count in result.waiting_counts.items():
        output.say(f"  {count:,} on their way, at {step}")
    show_messages(result.message_counts, result.receipt_counts)
    if result.unsubscribed_share is not None:
        output.say(f"unsubscribed after {result.unsubscribed_share:.2%} of the messages")
    for one in result.guard_rails:
        output.say(f"guard-rail {one.metric}: {one.verdict}")


def _show_steps(result: "JourneyResult") -> None:
    rows = [
        (
            str(one.version),
            one.step,
            one.channel,
            one.offer or "message alone",
            ", ".join(f"{count:,} {state}" for state, count in one.message_counts.items()),
            ", ".join(f"{count:,} {kind}" for kind, count in one.receipt_counts.items()),
        )
        for one in result.steps
    ]
    if rows:
        output.grid("Messages by step", ("version", "step", "channel", "offer", "messages", "receipts"), rows)
