"""Steps of `patron campaign` with a planned one, and what those of `patron journey` share with them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Workspace, command_context

if TYPE_CHECKING:
    from patron.storage.outreach.versioned_drafts import SavedVersion

Name = Annotated[str, typer.Argument(help="Name of the campaign.")]
Version = Annotated[
    int | None,
    typer.Option(min=1, help="Version that is approved (default: the newest); refused if there is a newer one."),
]
PlannedAt = Annotated[
    str,
    typer.Option(help="Time of the plan that is approved, from `show --json`; refused if there is a newer one."),
]
Terms = Annotated[
    str,
    typer.Option(help="Digest of the changes that are approved, from `show --json`; refused if there are newer ones."),
]
Reason = Annotated[str, typer.Option(help="Why, in a few words; no personal data.")]


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
    """Approve the plan of a campaign, so that it is sent when it is due, or what changed since; its author cannot.

    Example: patron campaign approve "win back" --as "B. Kim" --version 2 --workspace shop
    """
    from patron.commands.outreach.campaigns import campaign_steps
    from patron.storage.outreach.campaign_file import CAMPAIGN
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    looked_at = {"planned_at": planned_at, "terms": terms}
    saved = campaign_steps.approve(command_context(shop, by), CAMPAIGN, name, version=version, **looked_at)
    show_state("campaign", saved, json=json)
    if not json:
        output.say(f"`patron serve` sends it from {saved.content.start} on.")
        output.say(f'To send it now: patron campaign send "{name}" (--dry-run counts first)')


def pause(
    name: Name, by: SystemUser = "", reason: Reason = "", workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Stop sending a campaign for now.

    Example: patron campaign pause "win back" --reason "wrong picture" --workspace shop
    """
    from patron.commands.outreach.campaigns.campaign_steps import take_step
    from patron.storage.outreach.campaign_file import CAMPAIGN
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_state(
        "campaign",
        take_step(command_context(shop, by), CAMPAIGN, name, "paused", reason=reason),
        json=json,
    )


def resume(name: Name, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Go on with a paused campaign where it was stopped.

    Example: patron campaign resume "win back" --workspace shop
    """
    from patron.commands.outreach.campaigns.campaign_steps import take_step
    from patron.storage.outreach.campaign_file import CAMPAIGN
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_state("campaign", take_step(command_context(shop, by), CAMPAIGN, name, "resumed"), json=json)


def withdraw(
    name: Name, by: SystemUser = "", reason: Reason = "", workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Stop a campaign for good; what was sent stays on record.

    Example: patron campaign withdraw "win back" --reason "out of stock" --workspace shop
    """
    from patron.commands.outreach.campaigns.campaign_steps import take_step
    from patron.storage.outreach.campaign_file import CAMPAIGN
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_state(
        "campaign",
        take_step(command_context(shop, by), CAMPAIGN, name, "withdrawn", reason=reason),
        json=json,
    )


def show_state(kind: str, saved: "SavedVersion[Any]", *, json: bool) -> None:
    """Print the version and the state of a campaign or a journey."""
    from patron.storage.outreach.versioned_drafts import state_in_words

    output.answer(
        {"name": saved.name, "version": saved.version, "state": saved.state},
        f"The {kind} {saved.name!r}, version {saved.version}, is {state_in_words(saved.state)}.",
        json=json,
    )


STEPS = (approve, pause, resume, withdraw)
