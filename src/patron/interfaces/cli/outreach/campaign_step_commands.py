"""Steps of `patron campaign` that people take with a planned one: approve, pause, resume, withdraw."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Workspace

if TYPE_CHECKING:
    from patron.storage.outreach.campaigns import SavedCampaign

Name = Annotated[str, typer.Argument(help="Name of the campaign.")]
Version = Annotated[
    int | None,
    typer.Option(min=1, help="Version that is approved (default: the newest); refused if there is a newer one."),
]
Reason = Annotated[str, typer.Option(help="Why, in a few words; no personal data.")]


def approve(
    name: Name, by: SystemUser = "", version: Version = None, workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Approve the plan of a campaign, so that it is sent when it is due; its author cannot.

    Example: patron campaign approve "win back" --as "B. Kim" --version 2 --workspace shop
    """
    from patron.commands.outreach.campaigns import campaign_steps
    from patron.storage.shop import Shop

    saved = campaign_steps.approve(Shop.open(workspace), name, by=by, now=datetime.now(UTC), version=version)
    _show(saved, json=json)
    if not json:
        output.say(f"`patron serve` sends it from {saved.campaign.start} on.")
        output.say(f'To send it now: patron campaign send "{name}" (--dry-run counts first)')


def pause(
    name: Name, by: SystemUser = "", reason: Reason = "", workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Stop sending a campaign for now.

    Example: patron campaign pause "win back" --reason "wrong picture" --workspace shop
    """
    from patron.commands.outreach.campaigns import campaign_steps
    from patron.storage.shop import Shop

    _show(campaign_steps.pause(Shop.open(workspace), name, by=by, now=datetime.now(UTC), reason=reason), json=json)


def resume(name: Name, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Go on with a paused campaign where it was stopped.

    Example: patron campaign resume "win back" --workspace shop
    """
    from patron.commands.outreach.campaigns import campaign_steps
    from patron.storage.shop import Shop

    _show(campaign_steps.resume(Shop.open(workspace), name, by=by, now=datetime.now(UTC)), json=json)


def withdraw(
    name: Name, by: SystemUser = "", reason: Reason = "", workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Stop a campaign for good; what was sent stays on record.

    Example: patron campaign withdraw "win back" --reason "out of stock" --workspace shop
    """
    from patron.commands.outreach.campaigns import campaign_steps
    from patron.storage.shop import Shop

    _show(campaign_steps.withdraw(Shop.open(workspace), name, by=by, now=datetime.now(UTC), reason=reason), json=json)


def _show(saved: "SavedCampaign", *, json: bool) -> None:
    if json:
        output.as_json({"name": saved.name, "version": saved.version, "state": saved.state})
    else:
        output.say(f"The campaign {saved.name!r}, version {saved.version}, is {saved.state}.")


STEPS = (approve, pause, resume, withdraw)
