"""All commands of `patron`, grouped by what people do."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from patron import __version__
from patron.interfaces.cli import output
from patron.interfaces.cli.access import audit_commands, key_commands, user_commands
from patron.interfaces.cli.customers import identity_commands, task_commands
from patron.interfaces.cli.data import data_commands, operate_commands, run_commands, start_commands, webhook_commands
from patron.interfaces.cli.insight import digest_commands, result_commands
from patron.interfaces.cli.models import compare_commands, model_commands
from patron.interfaces.cli.offers import decision_commands, outbox_commands, policy_commands
from patron.interfaces.cli.outreach import (
    audience_commands,
    campaign_commands,
    channel_commands,
    journey_commands,
    sending_commands,
)
from patron.interfaces.cli.privacy import privacy_commands
from patron.interfaces.cli.recommendations import recommend_commands
from patron.interfaces.cli.segments import segment_commands

GROUPS: dict[str, tuple[Callable[..., Any] | typer.Typer, ...]] = {
    "Start": start_commands.COMMANDS,
    "Data": data_commands.COMMANDS,
    "Run": (
        *run_commands.COMMANDS,
        *decision_commands.COMMANDS,
        *outbox_commands.COMMANDS,
        *policy_commands.COMMANDS,
    ),
    "Look": (*result_commands.COMMANDS, *task_commands.COMMANDS),
    "Models": (*compare_commands.COMMANDS, *recommend_commands.COMMANDS, *model_commands.COMMANDS),
    "People": (*privacy_commands.COMMANDS, *identity_commands.COMMANDS),
    "Operate": (
        *operate_commands.COMMANDS,
        *user_commands.COMMANDS,
        *key_commands.COMMANDS,
        *channel_commands.COMMANDS,
        *webhook_commands.COMMANDS,
        *digest_commands.COMMANDS,
        *audit_commands.COMMANDS,
    ),
    "Campaigns": (
        *segment_commands.COMMANDS,
        *campaign_commands.COMMANDS,
        *journey_commands.COMMANDS,
        *sending_commands.COMMANDS,
        *audience_commands.COMMANDS,
    ),
}
"""Commands under the heading that `patron --help` shows them with."""

app = typer.Typer(
    name="patron",
    help="Patron: what each customer is worth, who is likely to leave, what to offer, and what offers caused.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def root(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Answer `patron --version`."""
    if version:
        output.say(__version__)


for heading, commands in GROUPS.items():
    for command in commands:
        if isinstance(command, typer.Typer):
            app.add_typer(command, rich_help_panel=heading)
        else:
            app.command(command.__name__.rstrip("_"), rich_help_panel=heading)(command)
