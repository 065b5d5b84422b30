"""`patron serve`, `patron doctor`, `patron backup` and `patron restore`: a workspace in daily use."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Wait, Workspace


def serve(  # noqa: PLR0913 - one argument for each option
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8321,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine only with users and TLS.")
    ] = "127.0.0.1",
    certificate: Annotated[
        Path | None, typer.Option(help="Certificate chain (PEM), to speak HTTPS without a proxy.")
    ] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).")] = None,
    *,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Show the workspace of `patron demo` without a sign-in; nothing can be changed."),
    ] = False,
    accept_only: Annotated[
        bool,
        typer.Option("--accept-only", help="Only accept events into the inbox; another `patron serve` loads them."),
    ] = False,
    workspace: Workspace = HERE,
) -> None:
    """Start collector, console and API; the first start prints a link for the first account.

    Example: patron serve --workspace shop --port 8321
    """
    from patron.interfaces.http.server.listening import Certificate, Place, claim_place
    from patron.storage.shop import Shop

    tls = Certificate.of(certificate, certificate_key)
    place = Place(host=host, port=port, certificate=tls, is_demo=demo, accept_only=accept_only)
    shop = Shop.open(workspace)
    with claim_place(shop, place) as listener:
        from patron.interfaces.http.server.server import serve as serve_place

        serve_place(shop, place, listener)


def doctor(
    workspace: Workspace = HERE,
    *,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss", help="Go on without what was written last and is lost; the audit log records it."
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Check a workspace and say how to fix its problems.

    Exits with 1 if there is a problem.

    Example: patron doctor --workspace shop
    """
    from patron.commands.data import doctor as doctors
    from patron.interfaces.cli.render import show_doctor

    findings = doctors.doctor(workspace, accept_loss_at=datetime.now(UTC) if accept_loss else None)
    show_doctor(findings, json=json)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def backup(
    out: Annotated[Path, typer.Argument(dir_okay=False, help="Archive to write: NAME.tar.gz.")],
    wait: Wait = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Back up the workspace into one archive, without the master key.

    Example: patron backup --workspace shop shop-2024-03-01.tar.gz
    """
    from patron.commands.data import backup as backups
    from patron.storage.shop import Shop

    archive = backups.backup(Shop.open(workspace, wait_seconds=wait), out)
    if json:
        output.as_json(archive)
    else:
        size = f"{archive.byte_count / 1e6:,.1f} MB"
        output.say(f"{archive.path}: {archive.table_count} tables, {archive.file_count:,} files, {size}.")
        output.say("It does not contain the master key; without the key nobody can restore it.")


def restore(
    archive: Annotated[Path, typer.Argument(help="Archive of `patron backup`.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the restored workspace; must not be a workspace yet.")],
    *,
    json: AsJson = False,
) -> None:
    """Create a workspace from a backup. It sends nothing before you say what was sent since: `patron sending release`.

    Example: patron restore shop-2024-03-01.tar.gz shop-again
    """
    from patron.commands.data import backup as backups

    restored = backups.restore(archive, folder, now=datetime.now(UTC))
    text = f"Restored {folder}: {restored.table_count} tables, {restored.file_count:,} files."
    held = (
        "Sending is held: say what was sent since the backup, patron sending release."
        " Leave it held if this is a copy to try things on."
    )
    output.answer(restored, f"{text}\n{held}", json=json)


COMMANDS = (serve, doctor, backup, restore)
