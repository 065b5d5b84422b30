"""`patron keys`: which programs may send events or read scores."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Workspace

keys = typer.Typer(
    name="keys",
    help="Manage API keys of programs that send events or read scores.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@keys.command()
def create(
    source: Annotated[str, typer.Option(help="Source of the events sent with the key, for example web.")],
    kind: Annotated[
        str, typer.Option(help="write (public, can only send events), secret (for servers) or read.")
    ] = "write",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Create a key and show it once.

    Example: patron keys create --workspace shop --source web
    """
    from patron.commands import manage_keys
    from patron.storage.shop import Shop

    created = manage_keys.create_key(Shop.open(workspace), source, kind, now=datetime.now(UTC))
    if json:
        output.as_json(created)
    else:
        output.say(created.key)
        output.say(f"This {created.kind} key of {created.source} is shown only once. Its id is {created.key_id}.")


@keys.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the keys, without their secrets.

    Example: patron keys list --workspace shop
    """
    from patron.commands import manage_keys
    from patron.storage.shop import Shop

    listed = manage_keys.list_keys(Shop.open(workspace))
    if json:
        output.as_json(listed)
        return
    for key in listed:
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "active"
        output.say(f"{key.key_id}  {key.kind:<6}  {key.source}  since {key.created_at:%Y-%m-%d}, {state}")
    if not listed:
        output.say("No keys yet: patron keys create --source web")


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Key id, from `patron keys list`.")],
    workspace: Workspace = HERE,
) -> None:
    """Revoke a key from now on.

    Example: patron keys revoke --workspace shop 0a1b2c3d4e5f
    """
    from patron.commands import manage_keys
    from patron.storage.shop import Shop

    manage_keys.revoke_key(Shop.open(workspace), key_id, now=datetime.now(UTC))
    output.say(f"Revoked {key_id}.")


COMMANDS = (keys,)
