"""`patron campaign`: campaigns from a file to their result."""

import typer

from patron.interfaces.cli.send_commands import send, settle

campaign = typer.Typer(name="campaign", help="Campaigns: send, settle.", no_args_is_help=True, rich_markup_mode="rich")
campaign.command()(send)
campaign.command()(settle)

COMMANDS = (campaign,)
