"""`patron campaign`: campaigns from a file to their result."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Wait, Workspace, command_context
from patron.interfaces.cli.outreach import campaign_step_commands
from patron.interfaces.cli.outreach.send_commands import send, settle

Name = Annotated[str, typer.Argument(help="Name of the campaign.")]
CampaignFile = Annotated[Path | None, typer.Argument(help="Campaign file, TOML.", show_default=False)]

campaign = typer.Typer(
    name="campaign",
    help="Campaigns in money: save, plan, approve, send, and measure against the holdout.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@campaign.command()
def save(
    file: CampaignFile = None,
    name: SystemUser = "",
    workspace: Workspace = HERE,
    *,
    example: Annotated[bool, typer.Option("--example", help="Print a file that works, and save nothing.")] = False,
    out: Annotated[Path | None, typer.Option(help="With --example: folder for the file and its template.")] = None,
    json: AsJson = False,
) -> None:
    """Save a campaign from its file, as a draft; a changed one is a new version, and must be planned again.

    Example: patron campaign save campaign.toml --as "A. Lee" --workspace shop
    """
    from patron.commands.outreach.campaigns import save_campaign
    from patron.storage.outreach.campaign_file import Campaign
    from patron.storage.outreach.versioned_drafts import state_in_words
    from patron.storage.shop import Shop

    now = datetime.now().astimezone()
    if example and out is not None:
        for path in save_campaign.write_example(out, now):
            output.say(f"Written: {path}")
        return
    if example:
        output.say(save_campaign.example_file(now).rstrip())
        return
    if file is None:
        raise typer.BadParameter("name a file, or print one with --example", param_hint="FILE")
    campaign = Campaign.load(file)
    saved = save_campaign.save_campaign(command_context(Shop.open(workspace), name), campaign)
    if json:
        output.as_json({"name": saved.name, "version": saved.version, "state": saved.state})
    else:
        state = state_in_words(saved.state)
        output.say(f"The campaign {saved.name!r} is saved as version {saved.version}; it is {state}.")
        if saved.state == "draft":
            output.say(f'Next: patron campaign plan "{saved.name}"')


@campaign.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List all campaigns: state, messages, forecast and measured effect.

    Example: patron campaign list --workspace shop
    """
    from patron.answers.outreach.campaign_list import list_campaigns
    from patron.interfaces.cli.outreach.render_campaigns import show_campaigns
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_campaigns(list_campaigns(shop), shop.settings.shop.currency, json=json)


@campaign.command()
def show(name: Name, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Show a campaign: its versions and steps with who and when, its plan, and what was sent.

    Example: patron campaign show "win back" --workspace shop
    """
    from patron.answers.outreach.campaign_list import show_campaign
    from patron.interfaces.cli.outreach.render_campaigns import show_detail
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_detail(show_campaign(shop, name), shop.settings.shop, json=json)


@campaign.command()
def plan(
    name: Name, by: SystemUser = "", wait: Wait = None, workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Plan a campaign in money: who gets what and when, what it will bring, and what can be known of it.

    Example: patron campaign plan "win back" --workspace shop
    """
    from patron.commands.outreach.campaigns.plan_campaign import plan_campaign
    from patron.interfaces.cli.outreach.render_campaigns import show_plan
    from patron.storage.shop import Shop

    shop = Shop.open(workspace, wait_seconds=wait)
    with output.progress("planning") as progress:
        progress("planning", 0, None)
        planned = plan_campaign(command_context(shop, by), name)
    show_plan(planned, shop.settings.shop, json=json)
    if not json:
        output.say(f'Next: patron campaign approve "{name}" --as NAME --version {planned.version}, not by its author')


@campaign.command()
def result(name: Name, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Measure a campaign against its holdout, by the last run; before its end this is the result so far.

    Example: patron campaign result "win back" --workspace shop
    """
    from patron.commands.outreach.campaigns.measure_campaign import measure_campaign
    from patron.interfaces.cli.outreach.render_campaigns import show_result
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_result(measure_campaign(command_context(shop, by), name), shop.settings.shop, json=json)


@campaign.command("try")
def try_(
    file: Annotated[Path, typer.Argument(help="Campaign file, TOML.")],
    customers: Annotated[int, typer.Option(min=100, help="Customers at the opening of the simulated shop.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")] = 0,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Try a campaign on a simulated shop whose truth is known; exit code 1 if it misses what its file expects.

    Example: patron campaign try campaign.toml --workspace shop
    """
    from patron.commands.outreach.campaigns.try_campaign import try_campaign
    from patron.interfaces.cli.outreach.render_campaigns import show_campaign_trial
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    with output.progress("trying the campaign") as progress:
        trial = try_campaign(shop, file, customers=customers, seed=seed, progress=progress)
    show_campaign_trial(trial, shop.settings.shop, json=json)
    if not trial.is_as_expected:
        raise typer.Exit(1)


for command in (*campaign_step_commands.STEPS, send, settle):
    campaign.command()(command)
COMMANDS = (campaign,)
