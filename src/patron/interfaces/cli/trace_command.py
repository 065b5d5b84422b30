"""`patron trace`: where did my event go."""

from pathlib import Path
from typing import Annotated

import typer

from patron.commands import trace as traces
from patron.interfaces.cli import output
from patron.storage.shop import Shop


def trace(
    event_id: Annotated[str, typer.Argument(help="The client's messageId, or the id of an imported row or line.")],
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder.")] = Path(),
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")] = False,
) -> None:
    """Say where an event is and what became of it.

    Example: patron trace --workspace shop 0b7c2f5e-6f0a-4a57-9d51-c1d0a7a6b3aa
    """
    found = traces.trace(Shop.open(workspace), event_id)
    if json:
        output.as_json(found)
        return
    output.say(f"Event {found.event_id}")
    for step in found.steps:
        of = f" ({step.source})" if step.source else ""
        at = f"{step.at:%Y-%m-%d %H:%M:%S} UTC  " if step.at else ""
        output.say(f"  {at}{step.place}{of}: {step.what}")
