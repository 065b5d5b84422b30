"""`patron audience`: segments as hashed identifiers for ad platforms."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Workspace, command_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from patron.answers.outreach.audience_list import AudienceLine
    from patron.commands.outreach.audiences.sync_audience import AudienceSync

Name = Annotated[str, typer.Argument(help="Name of the audience.")]
audience = typer.Typer(
    name="audience",
    help="Segments for ad platforms, as hashed identifiers of who agreed: save, sync, list, show, withdraw.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@audience.command()
def save(
    file: Annotated[Path | None, typer.Argument(help="Audience file, TOML.", show_default=False)] = None,
    name: SystemUser = "",
    workspace: Workspace = HERE,
    *,
    example: Annotated[bool, typer.Option("--example", help="Print a file that works, and save nothing.")] = False,
    json: AsJson = False,
) -> None:
    """Save an audience from its file; a changed one is a new version.

    Example: patron audience save audience.toml --as "A. Lee" --workspace shop
    """
    from patron.commands.outreach.audiences import save_audience
    from patron.storage.outreach.audience_file import Audience
    from patron.storage.shop import Shop

    if example:
        output.say(save_audience.EXAMPLE.rstrip())
        return
    if file is None:
        raise typer.BadParameter("name a file, or print one with --example", param_hint="FILE")
    saved = save_audience.save_audience(command_context(Shop.open(workspace), name), Audience.load(file))
    if json:
        output.as_json({"name": saved.name, "version": saved.version})
    else:
        output.say(f"The audience {saved.name!r} is saved as version {saved.version}.")
        output.say(f'Next: patron audience sync "{saved.name}" --dry-run')


@audience.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the audiences with the members that their ad platforms have.

    Example: patron audience list --workspace shop
    """
    from patron.answers.outreach.audience_list import list_audiences
    from patron.storage.shop import Shop

    _show(list_audiences(Shop.open(workspace)), json=json)


@audience.command()
def show(name: Name, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Show an audience: its segment, destination, and the members that the ad platform has.

    Example: patron audience show "every customer" --workspace shop
    """
    from patron.answers.outreach.audience_list import show_audience
    from patron.storage.shop import Shop

    line = show_audience(Shop.open(workspace), name)
    if json:
        output.as_json(line)
        return
    state = " (withdrawn)" if line.is_withdrawn else ""
    output.say(f"{line.name}{state}, version {line.version} by {line.saved_by}", style="bold")
    excluded = f", without {', '.join(line.exclude)}" if line.exclude else ""
    output.say(f"the segment {line.segment!r}{excluded}, by {' and '.join(line.identifiers)}, to {line.destination}")
    output.say(f"{line.added_count:,} members at the platform")
    for count, what in ((line.adding_count, "addition"), (line.removing_count, "removal")):
        if count:
            output.say(f"{count:,} whose {what} was not confirmed yet: the next sync repeats it")


@audience.command()
def sync(
    name: Name,
    workspace: Workspace = HERE,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be sent, and send nothing.")] = False,
    small: Annotated[bool, typer.Option("--small", help="Send an audience of fewer than 20 members, too.")] = False,
    json: AsJson = False,
) -> None:
    """Send who was added and who is to be removed since the last sync; what was not confirmed is repeated.

    Example: patron audience sync "every customer" --workspace shop
    """
    from patron.commands.outreach.audiences.sync_audience import sync_audience
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    options = {"is_dry_run": dry_run, "is_small_allowed": small}
    done = sync_audience(command_context(shop), name, **options)
    if json:
        output.as_json(done)
    else:
        for line in _sync_lines(done):
            output.say(line)


@audience.command()
def withdraw(name: Name, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """End an audience for good; the next sync removes everybody from the ad platform.

    Example: patron audience withdraw "every customer" --workspace shop
    """
    from patron.commands.outreach.campaigns.campaign_steps import take_step
    from patron.storage.outreach.audience_file import AUDIENCE
    from patron.storage.shop import Shop

    saved = take_step(command_context(Shop.open(workspace), by), AUDIENCE, name, "withdrawn")
    output.answer(
        {"name": saved.name, "version": saved.version, "state": saved.state},
        f'The audience {name!r} is withdrawn. Next: patron audience sync "{name}" removes everybody.',
        json=json,
    )


def _show(lines: "Sequence[AudienceLine]", *, json: bool) -> None:
    if json:
        output.as_json(lines)
        return
    if not lines:
        output.say("No audience is saved yet. `patron audience save --example` prints a file to start from.")
        return
    rows = [
        (
            line.name,
            "withdrawn" if line.is_withdrawn else str(line.version),
            line.segment,
            line.destination,
            f"{line.added_count:,}",
            f"{line.adding_count + line.removing_count:,}",
        )
        for line in lines
    ]
    output.grid("Audiences", ("audience", "version", "segment", "destination", "members", "open"), rows, numbers=2)


def _sync_lines(done: "AudienceSync") -> "Iterator[str]":
    from patron.commands.outreach.audiences.audience_candidates import REASONS

    verbs = ("would be added", "would be removed") if done.is_dry_run else ("were added", "were removed")
    yield f"{done.member_count:,} customers belong to {done.audience!r}."
    yield f"{done.added_count:,} {verbs[0]}, {done.removed_count:,} {verbs[1]}."
    for reason, count in done.left_out.items():
        yield f"{count:,} of the segment are left out: they {REASONS[reason]}."
    for name in done.files:
        yield f"Written: {name}"
    if done.files:
        yield "Upload each file to the list of its audience at the ad platform, then delete it."


COMMANDS = (audience,)
