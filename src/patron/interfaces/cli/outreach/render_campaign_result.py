"""The result of a campaign as text, and that of a trial on the simulated shop."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.i18n.formats import Formats

if TYPE_CHECKING:
    from patron.commands.outreach.campaigns.campaign_results import ArmSummary, MarginEffect
    from patron.commands.outreach.campaigns.measure_campaign import CampaignResult
    from patron.commands.outreach.campaigns.try_campaign import CampaignTrial
    from patron.storage.settings import ShopSettings


def show_result(result: "CampaignResult", shop: "ShopSettings", *, json: bool) -> None:
    """Print the result of a campaign."""
    if json:
        output.as_json(result)
        return
    formats = Formats("en", shop.currency, shop.time_zone)
    until = f"orders until {formats.time(result.until)}" + ("" if result.is_final else ", before its end")
    output.say(f"{result.campaign}: {until}", style="bold")
    output.say(result.learned)
    for finding in result.findings:
        output.say(finding, style="bold")
    show_effects(result.effects, formats, is_final=result.is_final)
    show_arms(result.arms, formats)
    spend = result.spend
    output.say(
        f"spent {formats.money(spend.total_cents)} (sending {formats.money(spend.sending_cents)}, discounts"
        f" {formats.money(spend.discount_cents)}, other {formats.money(spend.other_cents)});"
        f" forecast {formats.money(spend.forecast_cents)}"
    )
    against = result.against_forecast
    if against is not None:
        low, high = formats.money(against.low_cents), formats.money(against.high_cents)
        place = "within" if against.is_within else "outside"
        actual, forecast = formats.money(against.actual_cents), formats.money(against.forecast_cents)
        output.say(f"incremental margin {actual}, forecast {forecast}: {place} the 80 % interval, {low} to {high}")
    show_messages(result.message_counts, result.receipt_counts)
    for one in result.guard_rails:
        output.say(f"guard-rail {one.metric}: {one.verdict}")


def show_messages(messages: Mapping[str, int], receipts: Mapping[str, int]) -> None:
    """Print messages by state and by what became of them."""
    for title, counts in (("messages", messages), ("receipts", receipts)):
        if counts:
            output.say(f"{title}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if "opened" in receipts or "clicked" in receipts:
        output.say("Opens and clicks are no success: mail programs and scanners open and click, too.")


def show_effects(effects: "Iterable[MarginEffect]", formats: Formats, *, is_final: bool) -> None:
    """Print effects; before the end with the interval for those who look more than once."""
    rows = []
    for one in effects:
        low, high = (one.low_cents, one.high_cents)
        if not is_final:
            low, high = (one.sequence_low_cents, one.sequence_high_cents)
        each = f"{formats.money(low)} to {formats.money(high)}"
        total = f"{formats.money(one.total_low_cents)} to {formats.money(one.total_high_cents)}"
        rows.append((one.method, formats.money(one.effect_cents), each, formats.money(one.total_cents), total))
    if rows:
        head = ("method", "per customer", "95 %", "in total", "95 % of one look")
        output.grid("Effect on net margin, everybody assigned", head, rows, numbers=4)


def show_arms(arms: "Mapping[str, ArmSummary]", formats: Formats) -> None:
    """Print what each arm did."""
    rows = [
        (
            name,
            f"{one.customers:,}",
            f"{one.orders:,}",
            formats.money(one.paid_cents),
            formats.money(one.discount_cents),
            formats.money(one.refund_cents),
        )
        for name, one in arms.items()
    ]
    output.grid("Arms", ("arm", "customers", "orders", "paid", "discounts", "refunds"), rows, numbers=5)


def show_campaign_trial(trial: "CampaignTrial", shop: "ShopSettings", *, json: bool) -> None:
    """Print the trial of a campaign."""
    if json:
        output.as_json({"is_as_expected": trial.is_as_expected, "trial": trial})
        return
    formats, found = Formats("en", shop.currency, shop.time_zone), trial.figures
    output.say(
        f"{trial.campaign} on a simulated shop of {trial.customers:,} customers, seed {trial.seed}", style="bold"
    )
    rows = [
        (name, formats.money(one.cents), _interval(one.low_cents, one.high_cents, formats))
        for name, one in (("forecast", found.forecast), ("measured (95 %)", found.measured))
        if one is not None
    ]
    rows.append(("truth", formats.money(found.truth_cents), ""))
    output.grid(
        f"Incremental margin of {found.message_count:,} messages", ("", "in total", "interval"), rows, numbers=2
    )
    output.say(f"truth per customer: {formats.money(found.truth_each_cents)}")
    for sentence in trial.unmet:
        output.say(sentence, style="bold red")


def _interval(low: float, high: float, formats: Formats) -> str:
    return f"{formats.money(low)} to {formats.money(high)}"
