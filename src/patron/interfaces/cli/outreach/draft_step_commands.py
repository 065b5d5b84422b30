"""Steps that people take with a planned campaign or journey (approve, pause, resume, withdraw), for either command."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Workspace

if TYPE_CHECKING:
    from patron.storage.outreach.versioned_drafts import SavedVersion, VersionedDrafts

Version = Annotated[
    int | None,
    typer.Option(min=1, help="Version that is approved (default: the newest); refused if there is a newer one."),
]
Reason = Annotated[str, typer.Option(help="Why, in a few words; no personal data.")]


def add_step_commands(app: typer.Typer, helps: Mapping[str, str], after_approval: str) -> None:
    """Add approve, pause, resume and withdraw to `patron campaign` or `patron journey`, in this order.

    `helps` has the help of each command; `after_approval` says what happens then, with places for {name} and {start}.
    """
    named, kind = typer.Argument(help=f"Name of the {app.info.name}."), str(app.info.name)

    @app.command(help=helps["approve"])
    def approve(
        name: Annotated[str, named],
        by: SystemUser = "",
        version: Version = None,
        workspace: Workspace = HERE,
        *,
        json: AsJson = False,
    ) -> None:
        from patron.commands.outreach.campaigns import campaign_steps
        from patron.storage.shop import Shop

        now = datetime.now(UTC)
        saved = campaign_steps.approve(Shop.open(workspace), _drafts(kind), name, by=by, now=now, version=version)
        show_state(kind, saved, json=json)
        if not json:
            output.say(after_approval.format(name=saved.name, start=saved.content.start))

    def take(workspace: Path, name: str, step: str, *, by: str, reason: str = "", json: bool) -> None:
        from patron.commands.outreach.campaigns import campaign_steps
        from patron.storage.shop import Shop

        now = datetime.now(UTC)
        saved = campaign_steps.take_step(Shop.open(workspace), _drafts(kind), name, step, by=by, now=now, reason=reason)
        show_state(kind, saved, json=json)

    @app.command(help=helps["pause"])
    def pause(
        name: Annotated[str, named],
        by: SystemUser = "",
        reason: Reason = "",
        workspace: Workspace = HERE,
        *,
        json: AsJson = False,
    ) -> None:
        take(workspace, name, "paused", by=by, reason=reason, json=json)

    @app.command(help=helps["resume"])
    def resume(
        name: Annotated[str, named], by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False
    ) -> None:
        take(workspace, name, "resumed", by=by, json=json)

    @app.command(help=helps["withdraw"])
    def withdraw(
        name: Annotated[str, named],
        by: SystemUser = "",
        reason: Reason = "",
        workspace: Workspace = HERE,
        *,
        json: AsJson = False,
    ) -> None:
        take(workspace, name, "withdrawn", by=by, reason=reason, json=json)


def show_state(kind: str, saved: "SavedVersion[Any]", *, json: bool) -> None:
    """Print the version and the state of a campaign or a journey."""
    from patron.storage.outreach.versioned_drafts import state_in_words

    if json:
        output.as_json({"name": saved.name, "version": saved.version, "state": saved.state})
    else:
        output.say(f"The {kind} {saved.name!r}, version {saved.version}, is {state_in_words(saved.state)}.")


def _drafts(kind: str) -> "VersionedDrafts[Any]":
    from patron.storage.outreach.campaign_file import CAMPAIGN
    from patron.storage.outreach.journey_file import JOURNEY

    return next(one for one in (CAMPAIGN, JOURNEY) if one.kind == kind)
