"""`patron identity`: who is whom, put right by hand."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from patron.commands import unlink_identity as actions
from patron.interfaces.cli import output
from patron.storage.shop import Shop

identity = typer.Typer(
    help="Which ids are one customer, put right by hand.", no_args_is_help=True, rich_markup_mode=None
)

Workspace = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")]
HERE = Path()


@identity.callback()
def group() -> None:
    """Keep `unlink` a command of its own name although it is the only one."""


@identity.command()
def unlink(
    user_id: Annotated[str | None, typer.Option(help="The shop's own id of the customer.")] = None,
    anonymous_id: Annotated[str | None, typer.Option(help="Id of the visitor or device.")] = None,
    token: Annotated[str | None, typer.Option(help="Token, as in the table identities.")] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Take a user id or a visitor out of the customer it was joined with, from the next run on.

    Example: patron identity unlink --workspace shop --anonymous-id 5f0c
    """
    given = {"user_id": user_id, "anonymous_id": anonymous_id, "token": token}
    told = {kind: value for kind, value in given.items() if value is not None}
    if len(told) != 1:
        raise typer.BadParameter("name it by one of --user-id, --anonymous-id and --token")
    shop = Shop.open(workspace)
    [(kind, value)] = told.items()
    found = value if kind == "token" else actions.token_of(shop, kind, value)
    done = actions.unlink(shop, found, at=datetime.now(UTC))
    if json:
        output.as_json(done)
    else:
        output.say(f"Unlinked {done.token}: it is a customer of its own from the next run on.")
