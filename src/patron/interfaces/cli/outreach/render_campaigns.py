"""Campaigns as text: the list, and one of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.i18n.formats import Formats
from patron.schema.outreach.message_states import MESSAGE_REASONS

if TYPE_CHECKING:
    from patron.answers.outreach.campaign_list import CampaignDetail, CampaignLine
    from patron.storage.settings import ShopSettings


def show_campaigns(lines: "Sequence[CampaignLine]", currency: str, *, json: bool) -> None:
    """Print the list of campaigns."""
    if json:
        output.as_json(lines)
        return
    if not lines:
        output.say("No campaign is saved yet. `patron campaign save --example` prints a file to start from.")
        return
    formats = Formats("en", currency, "UTC")
    rows = [
        (
            one.name,
            str(one.version),
            one.state,
            f"{one.start:%Y-%m-%d} to {one.end:%Y-%m-%d}",
            one.segment,
            formats.count(one.planned_messages),
            formats.count(one.sent_messages),
            formats.whole_money(one.budget_cents),
            formats.whole_money(one.forecast_cents),
            formats.whole_money(one.effect_cents),
        )
        for one in lines
    ]
    head = ("campaign", "version", "state", "window", "segment", "planned", "sent", "budget", "forecast", "effect")
    output.grid("Campaigns (forecast and measured effect: incremental margin, net)", head, rows, numbers=5)


def show_detail(detail: "CampaignDetail", shop: "ShopSettings", *, json: bool) -> None:
    """Print one campaign."""
    if json:
        output.as_json(detail)
        return
    line, formats = detail.line, Formats("en", shop.currency, shop.time_zone)
    output.say(f"{line.name}: {line.state}, version {line.version}", style="bold")
    output.say(f"{line.goal}, by {line.channel}, to the segment {line.segment!r}, {line.start} to {line.end}")
    output.say(f"budget {formats.money(line.budget_cents)}")
    if detail.plan:
        assigned, holdout = formats.count(detail.assigned_count), formats.count(detail.holdout_count)
        output.say(f"{assigned} customers are assigned, {holdout} of them to the holdout")
        output.say(f"forecast: {formats.money(line.forecast_cents)} incremental margin")
    if detail.messages:
        output.say("messages: " + ", ".join(f"{count:,} {state}" for state, count in detail.messages.items()))
    for reason, count in detail.skipped.items():
        output.say(f"  {count:,} not sent: {MESSAGE_REASONS.get(reason, reason)}")
    if detail.result:
        output.say(str(detail.result["learned"]))
    rows = [(one.step, one.version, formats.time(one.taken_at), one.taken_by) for one in detail.steps]
    output.grid("History", ("step", "version", "when", "who"), rows)
