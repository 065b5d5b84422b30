"""The plan of a campaign as text: audience, offers, times, forecast, and what can be known of it."""

from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.i18n.formats import Formats

if TYPE_CHECKING:
    from patron.commands.outreach.campaigns.plan_campaign import CampaignPlan
    from patron.storage.settings import ShopSettings


def show_plan(plan: "CampaignPlan", shop: "ShopSettings", *, json: bool) -> None:
    """Print a plan."""
    if json:
        output.as_json(plan)
        return
    from patron.commands.outreach.campaigns.plan_campaign import REASONS_LEFT_OUT

    formats = Formats("en", shop.currency, shop.time_zone)
    output.say(f"{plan.campaign}, version {plan.version}: planned by the run {plan.run_id}", style="bold")
    output.say(
        f"{plan.message_count:,} of {plan.member_count:,} members are written to;"
        f" {plan.holdout_count:,} are held out, so that the effect can be measured"
    )
    for reason, count in plan.left_out.items():
        output.say(f"  {count:,} left out: {REASONS_LEFT_OUT.get(reason, reason)}")
    if plan.kept_count:
        output.say(f"  {plan.kept_count:,} of earlier plans are not written to, and analysed all the same")
    rows = [
        (
            one.offer or "message alone",
            f"{one.message_count:,}",
            formats.money(one.cost_cents),
            formats.money(one.net_cents),
        )
        for one in plan.offers
    ]
    output.grid("Offers, while they are valid", ("offer", "messages", "expected cost", "expected net"), rows, numbers=3)
    if plan.first_send_at and plan.last_send_at:
        output.say(f"sent from {formats.time(plan.first_send_at)} to {formats.time(plan.last_send_at)}")
    _show_forecast(plan, formats)


def _show_forecast(plan: "CampaignPlan", formats: Formats) -> None:
    forecast = plan.forecast
    used = f"{formats.money(forecast.cost_cents)} of {formats.money(plan.budget_cents)}"
    output.say(f"expected cost {used}; the policy's period has {formats.money(plan.period_left_cents)} left")
    output.say(
        f"orders in the window: {formats.number(forecast.orders_without, 1)} without,"
        f" {formats.number(forecast.orders_with, 1)} with the campaign"
    )
    low, high = formats.money(forecast.low_cents), formats.money(forecast.high_cents)
    output.say(f"incremental margin: {formats.money(forecast.margin_cents)} (80 %: {low} to {high})")
    if forecast.measured_low_cents is not None:
        low, high = formats.money(forecast.measured_low_cents), formats.money(forecast.measured_high_cents)
        output.say(f"what the holdout will show is between {low} and {high} (80 %)")
    if forecast.learned_from:
        names = ", ".join(forecast.learned_from)
        output.say(f"gains count {forecast.gain_factor:.2f} times what is assumed, as measured in {names}")
    output.say(plan.detectable.sentence, style="" if plan.detectable.is_enough else "bold")
