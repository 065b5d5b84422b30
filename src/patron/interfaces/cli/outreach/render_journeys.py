"""Journeys as text: the list, one of them, and its plan."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.cli.outreach.journey_steps_text import step_lines, template_texts
from patron.interfaces.i18n.formats import Formats
from patron.schema.outreach.message_states import MESSAGE_REASONS
from patron.storage.outreach.journey_file import Journey

if TYPE_CHECKING:
    from patron.answers.outreach.journey_list import JourneyDetail, JourneyLine
    from patron.commands.outreach.journeys.plan_journey import JourneyPlan, JourneyReplay
    from patron.storage.settings import ShopSettings


def show_journeys(lines: "Sequence[JourneyLine]", currency: str, *, json: bool) -> None:
    """Print the list of journeys."""
    if json:
        output.as_json(lines)
        return
    if not lines:
        output.say("No journey is saved yet. `patron journey save --example` lists ready-made ones to start from.")
        return
    formats = Formats("en", currency, "UTC")
    rows = [
        (
            one.name,
            one.state,
            one.trigger,
            formats.count(one.entry_count),
            formats.count(one.active_count),
            formats.count(one.sent_messages),
            formats.whole_money(one.monthly_budget_cents),
        )
        for one in lines
    ]
    head = ("journey", "state", "trigger", "entered", "on their way", "messages", "budget a month")
    output.grid("Journeys", head, rows, numbers=4)


def show_detail(detail: "JourneyDetail", shop: "ShopSettings", *, texts: bool, json: bool) -> None:
    """Print one journey, with its templates where `texts` are wanted."""
    if json:
        output.as_json(detail)
        return
    line, formats = detail.line, Formats("en", shop.currency, shop.time_zone)
    output.say(f"{line.name}: {line.state}, version {line.version}", style="bold")
    span = f"from {line.start or 'its approval'}" + (f" to {line.end}" if line.end else "")
    output.say(f"trigger: {line.trigger}; {line.step_count} steps, by {line.channel}, {span}")
    output.say(f"budget {formats.money(line.monthly_budget_cents)} a month")
    journey = Journey.of(dict(detail.content), where=line.name)
    leaves = ", ".join(journey.exit_on) or "nothing"
    output.say(f"what ends it at once: {leaves}; {journey.holdout_share:.0%} are held out")
    output.grid("Steps", ("step", "what it does"), list(step_lines(journey)))
    if texts:
        for where, subject, body in template_texts(journey):
            output.say(f"{where}: {subject}", style="bold")
            output.say(body.strip())
    if detail.entries.total:
        states = ", ".join(f"{count:,} {state}" for state, count in detail.entries.states.items())
        output.say(f"{detail.assigned_count:,} customers entered, {detail.holdout_count:,} of them in the holdout")
        output.say(f"entries: {states}")
        for step, count in detail.entries.steps.items():
            output.say(f"  {count:,} at {step}")
    if detail.messages:
        output.say("messages: " + ", ".join(f"{count:,} {state}" for state, count in detail.messages.items()))
    for reason, count in detail.skipped.items():
        output.say(f"  {count:,} not sent: {MESSAGE_REASONS.get(reason, reason)}")
    if detail.result:
        output.say(str(detail.result["learned"]))
    rows = [(one.step, one.version, formats.time(one.taken_at), one.taken_by) for one in detail.steps]
    output.grid("History", ("step", "version", "when", "who"), rows)


def show_plan(plan: "JourneyPlan", shop: "ShopSettings", *, json: bool) -> None:
    """Print a plan."""
    if json:
        output.as_json(plan)
        return
    formats = Formats("en", shop.currency, shop.time_zone)
    output.say(f"{plan.journey}, version {plan.version}: planned by the run {plan.run_id}", style="bold")
    if plan.replay is not None:
        _show_replay(plan, plan.replay, formats)
    for sentence in plan.findings:
        output.say(sentence, style="bold")


def _show_replay(plan: "JourneyPlan", replay: "JourneyReplay", formats: Formats) -> None:
    output.say(
        f"from {formats.time(replay.since)} to {formats.time(replay.until)}, {replay.customer_count:,} customers would"
        f" have entered, {replay.entry_count:,} times"
    )
    output.say(f"  {replay.left_count:,} times what ends the journey came before the first message")
    output.say(f"  {replay.not_contactable_count:,} of them may not be contacted")
    output.say(f"  {replay.holdout_count:,} would be held out, so that the effect can be measured")
    rows = [
        (one.step, one.channel, one.offer or "message alone", f"{one.message_count:,}", formats.money(one.cost_cents))
        for one in replay.sends
    ]
    output.grid("Messages", ("step", "channel", "offer", "messages", "expected cost"), rows, numbers=2)
    if replay.later_count:
        output.say(f"{replay.later_count:,} of the messages are due after the run; some may not be needed by then")
    cost, counted = formats.money(replay.monthly_cost_cents), formats.money(replay.monthly_budget_use_cents)
    budget = formats.money(plan.monthly_budget_cents)
    output.say(f"a month: {replay.monthly_messages:,.0f} messages; with their offers they are expected to cost {cost}")
    output.say(f"the budget counts {counted} for them, of {budget}")
    low, high = formats.money(replay.forecast.low_cents), formats.money(replay.forecast.high_cents)
    output.say(
        f"incremental margin of these customers: {formats.money(replay.forecast.margin_cents)} (80 %: {low} to {high})"
    )
