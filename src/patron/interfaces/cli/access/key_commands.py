"""`patron keys`: which programs may send events or read answers."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Workspace, command_context

if TYPE_CHECKING:
    from patron.commands.access.manage_keys import Key, NewKey

keys = typer.Typer(
    name="keys",
    help="Manage API keys of programs that send events or read answers.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


Shown = Annotated[str, typer.Argument(help="Key id, from `patron keys list`.")]


@keys.command()
def create(  # noqa: PLR0913 - the options of a command
    source: Annotated[str, typer.Option(help="Source of the events sent with the key, for example web.")],
    kind: Annotated[
        str, typer.Option(help="write (public, can only send events), secret (for servers) or read.")
    ] = "write",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Right such as read:segments; may be repeated (default: all of the kind).", metavar="RIGHT"),
    ] = None,
    expires_days: Annotated[
        int | None,
        typer.Option(help="Days until the key expires, at most 730 (default: 365; a write key does not expire)."),
    ] = None,
    segment: Annotated[
        str, typer.Option(help="Saved segment outside which the key sees no customer (default: every customer).")
    ] = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Create a key of the shop itself, which is no person's, and show it once.

    Example: patron keys create --workspace shop --source web
    """
    from patron.commands.access import manage_keys
    from patron.storage.shop import Shop

    created = manage_keys.create_key(
        command_context(Shop.open(workspace), "patron keys"),
        source,
        cast("manage_keys.KeyKind", kind),
        scopes=scope,
        days=expires_days,
        segment=segment,
    )
    _show_new(created, json=json)


@keys.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the keys, without their secrets.

    Example: patron keys list --workspace shop
    """
    from patron.commands.access import manage_keys
    from patron.storage.shop import Shop

    listed = manage_keys.list_keys(Shop.open(workspace))
    if json:
        output.as_json(listed)
        return
    now = datetime.now(UTC)
    for key in listed:
        since, used = f"since {key.created_at:%Y-%m-%d}", f"used {key.used_at:%Y-%m-%d}" if key.used_at else "not used"
        scopes = f"  {', '.join(key.scopes)}" if key.scopes is not None else ""
        scopes += f"  of user {key.user_id}" if key.user_id else ""
        scopes += f"  segment {key.segment}" if key.segment else ""
        output.say(f"{key.key_id}  {key.kind:<6}  {key.source}  {since}, {used}, {_state(key, now)}{scopes}")
    if not listed:
        output.say("No keys yet: patron keys create --source web")


@keys.command()
def rotate(
    key_id: Shown,
    overlap_hours: Annotated[
        float, typer.Option(help="Hours for which the old key still works, 0 to 168.", min=0, max=168)
    ] = 24,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Create a key like another one, which then expires.

    Example: patron keys rotate --workspace shop 0a1b2c3d4e5f
    """
    from patron.commands.access import manage_keys
    from patron.storage.shop import Shop

    rotated = manage_keys.rotate_key(
        command_context(Shop.open(workspace), "patron keys"), key_id, overlap_hours=overlap_hours
    )
    _show_new(rotated, json=json)


@keys.command()
def revoke(key_id: Shown, workspace: Workspace = HERE) -> None:
    """Revoke a key from now on.

    Example: patron keys revoke --workspace shop 0a1b2c3d4e5f
    """
    from patron.commands.access import manage_keys
    from patron.storage.shop import Shop

    manage_keys.revoke_key(command_context(Shop.open(workspace), "patron keys"), key_id)
    output.say(f"Revoked {key_id}.")


def _show_new(created: "NewKey", *, json: bool) -> None:
    if json:
        output.as_json(created)
        return
    ends = f" It expires on {created.expires_at:%Y-%m-%d}." if created.expires_at else ""
    output.say(created.key)
    output.say(f"This {created.kind} key of {created.source} is shown only once. Its id is {created.key_id}.{ends}")


def _state(key: "Key", now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at:
        return f"{'expires' if key.is_valid(now) else 'expired'} {key.expires_at:%Y-%m-%d}"
    return "active"


COMMANDS = (keys,)
