"""Campaigns as text: the list, one of them, its plan, its result, its trial; and what journeys print alike."""

from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.i18n.formats import Formats
from patron.schema.outreach.message_states import MESSAGE_REASONS
from patron.schema.sentences import JOINT

if TYPE_CHECKING:
    from patron.answers.outreach.campaign_list import CampaignDetail, CampaignLine, DraftDetail
    from patron.commands.outreach.campaigns.campaign_results import ArmSummary, MarginEffect, SendResult
    from patron.commands.outreach.campaigns.measure_campaign import CampaignResult
    from patron.commands.outreach.campaigns.plan_campaign import CampaignPlan
    from patron.commands.outreach.campaigns.try_campaign import CampaignTrial
    from patron.storage.outreach.approved_terms import TermsChange
    from patron.storage.outreach.pending_approvals import PendingApproval
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
            line.name,
            str(line.version),
            line.state,
            f"{line.start:%Y-%m-%d} to {line.end:%Y-%m-%d}",
            line.segment or f"run {line.run}",
            formats.count(line.planned_messages),
            formats.count(line.sent_messages),
            formats.whole_money(line.budget_cents),
            formats.whole_money(line.forecast_cents),
            formats.whole_money(line.effect_cents),
        )
        for line in lines
    ]
    head = ("campaign", "version", "state", "window", "audience", "planned", "sent", "budget", "forecast", "effect")
    output.grid("Campaigns (forecast and measured effect: incremental margin, net)", head, rows, numbers=5)


def show_detail(detail: "CampaignDetail", shop: "ShopSettings", *, json: bool) -> None:
    """Print one campaign."""
    if json:
        output.as_json(detail)
        return
    line, formats = detail.line, Formats("en", shop.currency, shop.time_zone)
    output.say(f"{line.name}: {line.state}, version {line.version}", style="bold")
    whom = f"to the segment {line.segment!r}" if line.segment else f"the offers of the run {line.run}"
    output.say(f"{line.goal}, by {line.channel}, {whom}, {line.start} to {line.end}")
    output.say(f"budget {formats.money(line.budget_cents)}")
    if detail.plan:
        assigned, holdout = formats.count(detail.assigned_count), formats.count(detail.holdout_count)
        output.say(f"{assigned} customers are assigned, {holdout} of them to the holdout")
        output.say(f"forecast: {formats.money(line.forecast_cents)} incremental margin")
    show_history(detail, formats)


def show_awaiting(awaiting: "Sequence[PendingApproval]", why: str) -> None:
    """Print approved campaigns and journeys that do not follow a change before they are approved again."""
    if awaiting:
        output.say(f"{why}; these go on as they were approved until they are approved again:")
    for one in awaiting:
        held = f" (nothing is sent: {JOINT.join(reason['text'] for reason in one.held)})" if one.held else ""
        output.say(f'  patron {one.kind} approve "{one.name}"{held}')


def _show_pending(pending: "PendingApproval") -> None:
    """Print what changed since the approval, and what follows."""
    for reason in pending.held:
        output.say(f"nothing is sent until it is approved again, or the change undone: {reason['text']}", style="bold")
    if pending.changes:
        output.say("changed since the approval, and waits for `approve`:")
    for change in pending.changes:
        output.say(f"  {_change(change)}")
    if pending.unplanned:
        output.say("changed since it was planned; pause it and plan it again to follow that:")
    for change in pending.unplanned:
        output.say(f"  {_change(change)}")


def _change(change: "TermsChange") -> str:
    """A value as it was approved and as it is."""
    if change.section == "segments":
        versions = [f"version {one['version']}" if one else "none" for one in (change.before, change.after)]
        return f"rule of the segment {change.name!r}: {' -> '.join(versions)}"
    where = ".".join(part for part in (change.section, change.name, change.key) if part)
    return f"{where}: {dumps(change.before)} -> {dumps(change.after)}"


def show_history(detail: "DraftDetail", formats: Formats) -> None:
    """Print what waits, was sent of a campaign or a journey and learned, and its steps with who and when."""
    if detail.pending:
        _show_pending(detail.pending)
    if detail.messages:
        output.say("messages: " + ", ".join(f"{count:,} {state}" for state, count in detail.messages.items()))
    for reason, count in detail.skipped.items():
        output.say(f"  {count:,} not sent: {MESSAGE_REASONS.get(reason, reason)}")
    if detail.result:
        output.say(str(detail.result["learned"]))
    rows = [(step.step, step.version, formats.time(step.taken_at), step.taken_by) for step in detail.steps]
    output.grid("History", ("step", "version", "when", "who"), rows)


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
            offer.offer or "message alone",
            f"{offer.message_count:,}",
            formats.money(offer.cost_cents),
            formats.money(offer.net_cents),
        )
        for offer in plan.offers
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


def show_result(result: "CampaignResult", shop: "ShopSettings", *, json: bool) -> None:
    """Print the result of a campaign."""
    if json:
        output.as_json(result)
        return
    formats = Formats("en", shop.currency, shop.time_zone)
    until = f"orders until {formats.time(result.until)}" + ("" if result.is_final else ", before its end")
    show_outcome(result, f"{result.campaign}: {until}", formats)
    against = result.against_forecast
    if against is not None:
        low, high = formats.money(against.low_cents), formats.money(against.high_cents)
        place = "within" if against.is_within else "outside"
        actual, forecast = formats.money(against.actual_cents), formats.money(against.forecast_cents)
        output.say(f"incremental margin {actual}, forecast {forecast}: {place} the 80 % interval, {low} to {high}")
    show_messages(result.message_counts, result.receipt_counts)
    show_guard_rails(result)


def show_outcome(result: "SendResult", title: str, formats: Formats, *, budget_period: str = "") -> None:
    """Print what a campaign or a journey caused, and what it cost; `budget_period` stands after the forecast."""
    output.say(title, style="bold")
    output.say(result.learned)
    for finding in result.findings:
        output.say(finding, style="bold")
    _show_effects(result.effects, formats, is_final=result.is_final)
    _show_arms(result.arms, formats)
    spend = result.spend
    output.say(
        f"spent {formats.money(spend.total_cents)} (sending {formats.money(spend.sending_cents)}, discounts"
        f" {formats.money(spend.discount_cents)}, other {formats.money(spend.other_cents)});"
        f" forecast {formats.money(spend.forecast_cents)}{budget_period}"
    )


def show_guard_rails(result: "SendResult") -> None:
    """Print whether metrics became worse than they may."""
    for rail in result.guard_rails:
        output.say(f"guard-rail {rail.metric}: {rail.verdict}")


def show_messages(messages: Mapping[str, int], receipts: Mapping[str, int]) -> None:
    """Print messages by state and by what became of them."""
    for title, counts in (("messages", messages), ("receipts", receipts)):
        if counts:
            output.say(f"{title}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if "opened" in receipts or "clicked" in receipts:
        output.say("Opens and clicks are no success: mail programs and scanners open and click, too.")


def _show_effects(effects: "Iterable[MarginEffect]", formats: Formats, *, is_final: bool) -> None:
    """Print effects; before the end with the interval for those who look more than once."""
    rows = []
    for effect in effects:
        low, high = (effect.low_cents, effect.high_cents)
        if not is_final:
            low, high = (effect.sequence_low_cents, effect.sequence_high_cents)
        each = f"{formats.money(low)} to {formats.money(high)}"
        total = f"{formats.money(effect.total_low_cents)} to {formats.money(effect.total_high_cents)}"
        rows.append((effect.method, formats.money(effect.effect_cents), each, formats.money(effect.total_cents), total))
    if rows:
        head = ("method", "per customer", "95 %", "in total", "95 % of one look")
        output.grid("Effect on net margin, everybody assigned", head, rows, numbers=4)


def _show_arms(arms: "Mapping[str, ArmSummary]", formats: Formats) -> None:
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
