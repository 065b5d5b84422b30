"""Journeys as text: the list, one of them with its steps as sentences, its plan, and its result."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from json import dumps
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.cli.outreach.render_campaigns import (
    show_guard_rails,
    show_history,
    show_messages,
    show_outcome,
)
from patron.interfaces.i18n.formats import Formats
from patron.storage.outreach.journey_file import Branch, Journey, JourneyStep, Send, Wait, WaitFor

if TYPE_CHECKING:
    from patron.answers.outreach.journey_list import JourneyDetail, JourneyLine
    from patron.commands.outreach.journeys.measure_journey import JourneyResult
    from patron.commands.outreach.journeys.plan_journey import JourneyPlan, JourneyReplay
    from patron.storage.settings import ShopSettings

UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


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
            line.name,
            line.state,
            line.trigger,
            formats.count(line.entry_count),
            formats.count(line.active_count),
            formats.count(line.sent_messages),
            formats.whole_money(line.monthly_budget_cents),
        )
        for line in lines
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
    show_history(detail, formats)


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
        (
            send.step,
            send.channel,
            send.offer or "message alone",
            f"{send.message_count:,}",
            formats.money(send.cost_cents),
        )
        for send in replay.sends
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


def show_result(result: "JourneyResult", shop: "ShopSettings", *, json: bool) -> None:
    """Print the result of a journey."""
    if json:
        output.as_json(result)
        return
    formats = Formats("en", shop.currency, shop.time_zone)
    until = f"{result.window_days} days from each first entry, orders until {formats.time(result.until)}"
    title = f"{result.journey}: {until}" + ("" if result.is_final else ", so far")
    show_outcome(result, title, formats, budget_period=" a month")
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
    show_guard_rails(result)


def _show_steps(result: "JourneyResult") -> None:
    rows = [
        (
            str(step.version),
            step.step,
            step.channel,
            step.offer or "message alone",
            ", ".join(f"{count:,} {state}" for state, count in step.message_counts.items()),
            ", ".join(f"{count:,} {kind}" for kind, count in step.receipt_counts.items()),
        )
        for step in result.steps
    ]
    if rows:
        output.grid("Messages by step", ("version", "step", "channel", "offer", "messages", "receipts"), rows)


def step_lines(journey: Journey) -> Iterator[tuple[str, str]]:
    """Id of each step, and what it does."""
    for place, step in enumerate(journey.steps):
        yield journey.step_id(place), _words(journey, place, step)


def template_texts(journey: Journey) -> Iterator[tuple[str, str, str]]:
    """What is sent: step and language, subject, and body as it was written."""
    for place, step in enumerate(journey.steps):
        if isinstance(step, Send):
            for language, one in step.template.items():
                yield f"step {journey.step_id(place)}, {language}", one.subject, one.body


def _words(journey: Journey, place: int, step: JourneyStep) -> str:
    match step:
        case Wait():
            return f"wait {_time(step.duration)}"
        case WaitFor():
            came, late = _target(journey, place, step.then), _target(journey, place, step.otherwise)
            return f"wait for {step.event}, at most {_time(step.duration)}; if it comes, {came}, else {late}"
        case Branch():
            holds, fails = _target(journey, place, step.then), _target(journey, place, step.otherwise)
            return f"if {dumps(step.rule, ensure_ascii=False)}, {holds}, else {fails}"
        case Send():
            subject = next(iter(step.template.values())).subject
            offer = f", with offer {step.offer}" if step.offer else ""
            late = _time(timedelta(hours=step.within_hours))
            languages = ", ".join(step.template)
            return f'send "{subject}" ({languages}) by {step.channel or journey.channel}{offer}, at most {late} late'
        case _:
            return "leave the journey"


def _target(journey: Journey, place: int, target: str) -> str:
    after = journey.place_after(place, target)
    return "end the journey" if after == len(journey.steps) else f"go on at step {journey.step_id(after)}"


def _time(duration: timedelta) -> str:
    """A duration in the largest unit that it is a whole number of, else in minutes."""
    name, unit = next((one for one in UNITS if not duration % one[1]), UNITS[-1])
    count = duration / unit
    return f"{count:g} {name}{'' if count == 1 else 's'}"
