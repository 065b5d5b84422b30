"""`patron audit`: who did what, and whether the log is as it was written."""

from collections.abc import Mapping
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Workspace

audit = typer.Typer(
    name="audit",
    help="Read the audit log, and check that nobody changed it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@audit.callback()
def group() -> None:
    """Read the audit log, and check that nobody changed it."""


@audit.command("list")
def list_(
    action: Annotated[str, typer.Option(help="Only entries of this action, such as forgotten.")] = "",
    by: Annotated[str, typer.Option(help="Only entries of whoever has this in their name.")] = "",
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many entries, the newest first.")] = 20,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """List the newest entries.

    Example: patron audit list --action forgotten --workspace shop
    """
    from patron.answers.access.audit_trail import AuditQuery, audit_trail
    from patron.storage.shop import Shop

    listed = audit_trail(Shop.open(workspace), AuditQuery(action=action, by=by), length=most)
    if json:
        output.as_json(listed.entries)
        return
    rows = [
        (f"{entry.entry}", f"{entry.at:%Y-%m-%d %H:%M}", entry.action, entry.by, _details(entry.details))
        for entry in listed.entries
    ]
    output.grid("", ("entry", "time (UTC)", "action", "by", "details"), rows)


@audit.command()
def verify(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Check that every entry is as it was written, up to the last.

    Exits with 1 if one is not.

    Example: patron audit verify --workspace shop
    """
    from patron.answers.access.audit_trail import verify_audit_log
    from patron.storage.shop import Shop

    check = verify_audit_log(Shop.open(workspace))
    if json:
        output.as_json(check)
    elif check.problem:
        output.say(f"The audit log is damaged: {check.problem}.")
    else:
        output.say(f"The audit log is intact: {check.entry_count:,} entries.")
    if check.problem:
        raise typer.Exit(1)


def _details(details: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in details.items())


COMMANDS = (audit,)
