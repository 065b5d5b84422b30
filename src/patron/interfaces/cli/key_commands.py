"""`patron keys`: which programs may send events or read scores."""

from pathlib import Path
from typing import Annotated

import typer

from patron.commands import manage_keys as actions
from patron.interfaces.cli import output
from patron.storage.shop import Shop

keys = typer.Typer(
    help="Keys of programs that send events or read scores.", no_args_is_help=True, rich_markup_mode=None
)

Workspace = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")]
HERE = Path()


@keys.command()
def create(
    source: Annotated[str, typer.Option(help="Source of the events sent with it, such as web.")],
    kind: Annotated[str, typer.Option(help="write (public, only sends), secret (of a server) or read.")] = "write",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Make a key and show it, once.

    Example: patron keys create --workspace shop --source web
    """
    made = actions.create_key(Shop.open(workspace), source, kind)
    if json:
        output.as_json(made)
    else:
        output.say(made.key)
        output.say(f"This is shown once. It is the {made.kind} key {made.key_id} of {made.source}.")


@keys.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the keys, without the secrets.

    Example: patron keys list --workspace shop
    """
    found = actions.list_keys(Shop.open(workspace))
    if json:
        output.as_json(found)
        return
    for key in found:
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in use"
        output.say(f"{key.key_id}  {key.kind:<6}  {key.source}  since {key.created_at:%Y-%m-%d}, {state}")
    if not found:
        output.say("No key yet: patron keys create --source web")


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as `patron keys list` shows it.")],
    workspace: Workspace = HERE,
) -> None:
    """Refuse a key from now on.

    Example: patron keys revoke --workspace shop 0a1b2c3d4e5f
    """
    actions.revoke_key(Shop.open(workspace), key_id)
    output.say(f"Revoked {key_id}.")
