"""`patron journey`: journeys from a file to their result."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Workspace, command_context
from patron.interfaces.cli.outreach.campaign_step_commands import PlannedAt, Reason, Terms, Version, show_state

Name = Annotated[str, typer.Argument(help="Name of the journey.")]

journey = typer.Typer(
    name="journey",
    help="Journeys: messages that follow what customers do. Save, plan, approve, and measure against the holdout.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@journey.command()
def save(
    file: Annotated[
        Path | None, typer.Argument(help="Journey file, TOML; with --example the name of one.", show_default=False)
    ] = None,
    name: SystemUser = "",
    workspace: Workspace = HERE,
    *,
    example: Annotated[
        bool, typer.Option("--example", help="Print a ready-made file, or list them; save nothing.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="With --example: folder for the file and its segment.")] = None,
    json: AsJson = False,
) -> None:
    """Save a journey from its file, as a draft; a changed one is a new version, and must be planned again.

    Example: patron journey save --example abandoned_cart --out journeys

    Example: patron journey save journeys/abandoned_cart.toml --as "A. Lee" --workspace shop
    """
    from patron.commands.outreach.journeys.save_journey import save_journey
    from patron.storage.outreach.journey_file import Journey
    from patron.storage.shop import Shop

    if example:
        _example(str(file or ""), out, json=json)
        return
    if file is None:
        raise typer.BadParameter("name a file, or list ready-made ones with --example", param_hint="FILE")
    content = Journey.load(file)
    saved = save_journey(command_context(Shop.open(workspace), name), content)
    show_state("journey", saved, json=json)
    if not json and saved.state == "draft":
        output.say(f'Next: patron journey plan "{saved.name}"')


def _example(name: str, out: Path | None, *, json: bool) -> None:
    from patron.commands.outreach.journeys import journey_examples

    now = datetime.now().astimezone()
    if not name and json:
        output.as_json({key: one.about for key, one in journey_examples.EXAMPLES.items()})
    elif not name:
        rows = [(key, one.about) for key, one in journey_examples.EXAMPLES.items()]
        output.grid("Ready-made journeys", ("name", "what it does"), rows)
        output.say("Print one: patron journey save --example abandoned_cart (--out FOLDER writes it)")
    elif out is None:
        output.say(journey_examples.journey_text(name, now).rstrip())
    else:
        paths = journey_examples.write_example(name, out, now)
        for path in paths:
            output.say(f"Written: {path}")
        for path in paths:
            kind = "segment" if path.name.endswith(journey_examples.SEGMENT_ENDING) else "journey"
            output.say(f"Next: patron {kind} save {path}")


@journey.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List all journeys: state, what makes customers enter, how many did, and messages.

    Example: patron journey list --workspace shop
    """
    from patron.answers.outreach.journey_list import list_journeys
    from patron.interfaces.cli.outreach.render_journeys import show_journeys
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_journeys(list_journeys(shop), shop.settings.shop.currency, json=json)


@journey.command()
def show(
    name: Name,
    workspace: Workspace = HERE,
    *,
    texts: Annotated[bool, typer.Option("--texts", help="Also print what its messages say, as written.")] = False,
    json: AsJson = False,
) -> None:
    """Show a journey: what its steps do, where customers are, what was sent, and its history with who and when.

    Example: patron journey show "abandoned cart" --texts --workspace shop
    """
    from patron.answers.outreach.journey_list import show_journey
    from patron.interfaces.cli.outreach.render_journeys import show_detail
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_detail(show_journey(shop, name), shop.settings.shop, texts=texts, json=json)


@journey.command()
def plan(name: Name, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Plan a journey by replay of the last 28 days: who would enter, what a month costs, and what can be known of it.

    Example: patron journey plan "abandoned cart" --workspace shop
    """
    from patron.commands.outreach.journeys.plan_journey import plan_journey
    from patron.interfaces.cli.outreach.render_journeys import show_plan
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    planned = plan_journey(command_context(shop, by), name)
    show_plan(planned, shop.settings.shop, json=json)
    if not json:
        output.say(f'Next: patron journey approve "{name}" --as NAME --version {planned.version}, not by its author')


@journey.command()
def approve(  # noqa: PLR0913 - options of a command
    name: Name,
    by: SystemUser = "",
    version: Version = None,
    planned_at: PlannedAt = "",
    terms: Terms = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Approve the plan of a journey, so that customers enter it, or what changed since; its author cannot.

    Example: patron journey approve "abandoned cart" --as "B. Kim" --version 2 --workspace shop
    """
    from patron.commands.outreach.campaigns import campaign_steps
    from patron.storage.outreach.journey_file import JOURNEY
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    looked_at = {"planned_at": planned_at, "terms": terms}
    saved = campaign_steps.approve(command_context(shop, by), JOURNEY, name, version=version, **looked_at)
    show_state("journey", saved, json=json)
    if not json:
        output.say("`patron serve` takes customers through it from now on.")


@journey.command()
def pause(
    name: Name, by: SystemUser = "", reason: Reason = "", workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Stop a journey for now.

    Example: patron journey pause "abandoned cart" --reason "wrong link" --workspace shop
    """
    from patron.commands.outreach.campaigns.campaign_steps import take_step
    from patron.storage.outreach.journey_file import JOURNEY
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_state(
        "journey",
        take_step(command_context(shop, by), JOURNEY, name, "paused", reason=reason),
        json=json,
    )


@journey.command()
def resume(name: Name, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Go on with a paused journey.

    Example: patron journey resume "abandoned cart" --workspace shop
    """
    from patron.commands.outreach.campaigns.campaign_steps import take_step
    from patron.storage.outreach.journey_file import JOURNEY
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_state("journey", take_step(command_context(shop, by), JOURNEY, name, "resumed"), json=json)


@journey.command()
def withdraw(
    name: Name, by: SystemUser = "", reason: Reason = "", workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Stop a journey for good, for those on their way too; what was sent stays on record.

    Example: patron journey withdraw "abandoned cart" --reason "new shop" --workspace shop
    """
    from patron.commands.outreach.campaigns.campaign_steps import take_step
    from patron.storage.outreach.journey_file import JOURNEY
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_state(
        "journey",
        take_step(command_context(shop, by), JOURNEY, name, "withdrawn", reason=reason),
        json=json,
    )


@journey.command()
def result(name: Name, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Measure a journey against its holdout, by the last run; before its end this is the result so far.

    Example: patron journey result "abandoned cart" --workspace shop
    """
    from patron.commands.outreach.journeys.measure_journey import measure_journey
    from patron.interfaces.cli.outreach.render_journeys import show_result
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_result(measure_journey(command_context(shop, by), name), shop.settings.shop, json=json)


@journey.command()
def advance(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Advance all journeys: who enters by new events, the steps that are due, and what they send.

    `patron serve` does this by itself; without it, run this every minute, such as by cron.

    Example: patron journey advance --workspace shop
    """
    from patron.commands.outreach.journeys.advance_journeys import advance_journeys
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    due_at, troubles = advance_journeys(shop, clock=lambda: datetime.now(UTC))
    while due_at and due_at <= datetime.now(UTC) and not troubles:  # why: a round sends some seconds long
        due_at, troubles = advance_journeys(shop, clock=lambda: datetime.now(UTC))
    output.answer(
        {"next_due_at": due_at, "troubles": [str(trouble) for trouble in troubles]},
        f"Next step: {due_at:%Y-%m-%d %H:%M} UTC." if due_at else "Nobody is on the way.",
        json=json,
    )
    if troubles:
        raise troubles[0]


COMMANDS = (journey,)
