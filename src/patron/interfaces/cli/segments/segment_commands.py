"""`patron segment`: who is in which segment, by rules that are saved, versioned and counted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Workspace, command_context

segment = typer.Typer(
    name="segment",
    help="Customers by a rule: list, show, count, save, members, compare, fields, history, restore, delete.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
Name = Annotated[str, typer.Argument(help="Name of the segment.")]


@segment.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the segments with the customers that each selects.

    Example: patron segment list --workspace shop
    """
    from patron.answers.segments.saved_segments import list_segments
    from patron.interfaces.cli.segments.render_segments import show_segments
    from patron.storage.shop import Shop

    show_segments(list_segments(Shop.open(workspace)), json=json)


@segment.command()
def show(
    name: Name,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Count entries and exits from this day on (default: 30 days back)."),
    ] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Show a segment: members, what is at stake, overlap with others, entries and exits, rule and history.

    Example: patron segment show "valuable and leaving" --workspace shop
    """
    from patron.answers.segments.saved_segments import show_segment
    from patron.interfaces.cli.segments.render_segments import show_detail
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    since_at = since.replace(tzinfo=ZoneInfo(shop.settings.shop.time_zone)) if since else None
    show_detail(show_segment(shop, name, since=since_at), shop.settings.shop, json=json)


@segment.command()
def count(
    name: Name,
    workspace: Workspace = HERE,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also count events stored since the last run; the rest is of that run.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Count the customers in a segment, by its rule of now and the data of the last run.

    Example: patron segment count "valuable and leaving" --live --workspace shop
    """
    from patron.answers.segments.saved_segments import count_segment
    from patron.storage.shop import Shop

    counted = count_segment(Shop.open(workspace), name, at=datetime.now(UTC) if live else None)
    output.answer(counted, f"{counted.count:,}", json=json)


@segment.command()
def save(
    file: Annotated[Path | None, typer.Argument(help="TOML or JSON file with a name and a rule.")] = None,
    name: SystemUser = "",
    workspace: Workspace = HERE,
    *,
    example: Annotated[bool, typer.Option("--example", help="Print a file that works, and save nothing.")] = False,
    json: AsJson = False,
) -> None:
    """Save a segment from a file: a new version of it, with its author.

    Example: patron segment save segment.toml --as "A. Lee" --workspace shop
    """
    from patron.commands.segments import save_segment
    from patron.interfaces.cli.outreach.render_campaigns import show_awaiting
    from patron.storage.shop import Shop

    if example:
        output.say(save_segment.EXAMPLE.rstrip())
        return
    if file is None:
        raise typer.BadParameter("name a file, or print one with --example", param_hint="FILE")
    content = save_segment.read_segment_file(file)
    shop = Shop.open(workspace)
    saved = save_segment.save_segment(command_context(shop, name), content, where=str(file))
    output.answer(saved, f"The segment {saved.name!r} is saved as version {saved.version}.", json=json)
    if not json:
        show_awaiting(saved.awaiting, "The rule changed")


@segment.command()
def members(
    name: Name,
    out: Annotated[Path, typer.Option(help="CSV file to write: user_id, customer_id, may_be_contacted.")],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Write the members of a segment, with the shop's own ids, to a CSV file; the audit log records it.

    Example: patron segment members "valuable and leaving" --out members.csv --workspace shop
    """
    from patron.commands.segments.export_segment import export_members
    from patron.storage.shop import Shop

    written = export_members(command_context(Shop.open(workspace)), name, out)
    output.answer(
        written,
        f"{written.customer_count:,} customers are in {written.file};"
        f" {written.contactable_count:,} of them may be contacted.",
        json=json,
    )


@segment.command()
def compare(
    first: Annotated[str, typer.Argument(help="Name of a segment.")],
    second: Annotated[str, typer.Argument(help="Name of another segment.")],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Compare two segments: customers, expected value and churn, also of who is in both or in one only.

    Example: patron segment compare "valuable and leaving" "recent buyers" --workspace shop
    """
    from patron.answers.segments.saved_segments import compare_segments
    from patron.interfaces.cli.segments.render_segments import show_comparison
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_comparison(compare_segments(shop, first, second), shop.settings.shop, json=json)


@segment.command()
def fields(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List what a rule may name: forecasts, scores, features, traits, events, other segments and tags.

    Example: patron segment fields --workspace shop
    """
    from patron.answers.segments.saved_segments import segment_names
    from patron.interfaces.cli.segments.render_segments import show_names
    from patron.storage.shop import Shop

    show_names(segment_names(Shop.open(workspace)), json=json)


@segment.command()
def history(name: Name, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the versions of a segment: who saved what when, the newest first.

    Example: patron segment history "valuable and leaving" --workspace shop
    """
    from patron.answers.segments.saved_segments import segment_history
    from patron.interfaces.cli.segments.render_segments import show_history
    from patron.storage.shop import Shop

    show_history(segment_history(Shop.open(workspace), name), json=json)


@segment.command()
def restore(
    name: Name,
    version: Annotated[int, typer.Argument(help="Version whose rule counts again.", min=1)],
    author: SystemUser = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Restore an earlier rule of a segment, as a new version.

    Example: patron segment restore "valuable and leaving" 1 --as "A. Lee" --workspace shop
    """
    from patron.commands.segments.save_segment import restore_segment
    from patron.interfaces.cli.outreach.render_campaigns import show_awaiting
    from patron.storage.shop import Shop

    saved = restore_segment(command_context(Shop.open(workspace), author), name, version)
    output.answer(
        saved,
        f"The segment {saved.name!r} has its rule of version {version} again, as version {saved.version}.",
        json=json,
    )
    if not json:
        show_awaiting(saved.awaiting, "The rule changed")


@segment.command()
def delete(name: Name, author: SystemUser = "", workspace: Workspace = HERE) -> None:
    """Delete a segment with its history; refused while a campaign or another segment uses it.

    Example: patron segment delete "every customer" --workspace shop
    """
    from patron.commands.segments.save_segment import delete_segment
    from patron.storage.shop import Shop

    delete_segment(command_context(Shop.open(workspace), author), name)
    output.say(f"The segment {name!r} is deleted.")


COMMANDS = (segment,)
