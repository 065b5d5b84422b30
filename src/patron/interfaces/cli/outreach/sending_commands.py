"""`patron sending`: whether messages are held after a restore, and what a person says was sent since the backup."""

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.data.run_commands import parse_time
from patron.interfaces.cli.options import HERE, AsJson, Workspace, command_context

if TYPE_CHECKING:
    from patron.commands.outreach.messages.hold_sending import SendingState

sending = typer.Typer(name="sending", help="Hold all sending, and release it after a restore.", no_args_is_help=True)
By = Annotated[str, typer.Option("--as", help="Who says so (default: the system account's name).")]


@sending.command()
def show(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Show whether sending is held, since when, and what would go on.

    Example: patron sending show --workspace shop
    """
    from patron.commands.outreach.messages.hold_sending import show_sending
    from patron.storage.shop import Shop

    _show(show_sending(Shop.open(workspace)), json=json)


@sending.command()
def hold(
    since: Annotated[
        str, typer.Option(help="Since when it is not known here what was sent, such as when the backup was made.")
    ],
    by: By = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Hold sending: campaigns, journeys, audiences, digests, webhooks and runs hand over nothing until it is released.

    `patron restore` does it by itself. Hold it by hand after you restored a store on a database server.

    Example: patron sending hold --since 2024-03-01T02:00 --workspace shop
    """
    from patron.commands.outreach.messages.hold_sending import hold_sending
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    at = parse_time(since, shop.settings.shop.time_zone)
    _show(hold_sending(command_context(shop, by), since=at), json=json)


@sending.command()
def release(
    sent: Annotated[
        list[Path] | None,
        typer.Option(
            help="What was sent since the backup: the workspace that this one replaces, its outbox if nothing deletes"
            " from it, the log of the mail server, or a list of message ids. May be repeated.",
        ),
    ] = None,
    by: By = "",
    workspace: Workspace = HERE,
    *,
    nothing_sent: Annotated[bool, typer.Option("--nothing-sent", help="Nothing was sent since the backup.")] = False,
    json: AsJson = False,
) -> None:
    """Release sending by saying what was sent since the backup: those messages are never sent again.

    Example: patron sending release --sent old-shop --workspace shop
    """
    from patron.commands.outreach.messages.hold_sending import read_sent_ids, release_after, show_sending
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    ids = frozenset[str]().union(*(read_sent_ids(shop, path) for path in sent or ()))
    release_after(command_context(shop, by), ids, is_nothing_sent=nothing_sent)
    if not json:
        output.say(f"Messages that were sent: {len(ids):,}.")
    _show(show_sending(shop), json=json)


def _show(state: "SendingState", *, json: bool) -> None:
    if json:
        output.as_json(state)
        return
    if state.since and state.held_at:
        held_at, since = (at.astimezone(UTC) for at in (state.held_at, state.since))
        output.say(f"Sending is held since {held_at:%Y-%m-%d %H:%M} UTC.")
        output.say(f"What was sent after {since:%Y-%m-%d %H:%M} UTC is not known here.")
        output.say("Say what was: patron sending release --sent FILE, or --nothing-sent.")
    else:
        output.say("Messages are sent as planned.")
    names = [*state.campaigns, *state.journeys]
    output.say(f"{'Will go on' if state.is_held else 'Going on'}: {', '.join(names) or 'nothing'}.")


COMMANDS = (sending,)
