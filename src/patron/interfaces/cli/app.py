"""All commands of `patron`, grouped by what people do."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from patron import __version__
from patron.interfaces.cli import output
from patron.interfaces.cli.data_commands import import_, sql, trace
from patron.interfaces.cli.identity_commands import identity
from patron.interfaces.cli.key_commands import keys
from patron.interfaces.cli.operate_commands import backup, doctor, restore, serve
from patron.interfaces.cli.privacy_commands import export, forget
from patron.interfaces.cli.result_commands import backtest, prospects, report_
from patron.interfaces.cli.run_commands import run
from patron.interfaces.cli.start_commands import demo, init, simulate

GROUPS: dict[str, tuple[Callable[..., Any] | typer.Typer, ...]] = {
    "Start": (demo, init, simulate),
    "Data": (import_, trace, sql),
    "Run": (run,),
    "Look": (report_, backtest, prospects),
    "People": (export, forget, identity),
    "Operate": (serve, keys, doctor, backup, restore),
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
