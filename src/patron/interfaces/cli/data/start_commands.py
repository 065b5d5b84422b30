"""`patron demo`, `patron init` and `patron simulate`: a workspace to begin with."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import AsJson


def demo(
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="Workspace folder to create.")] = Path(
        "patron-demo"
    ),
    *,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Use a simulated shop, whose customers react to offers.")
    ] = False,
) -> None:
    """Run the loop on a year of real purchases; write a report.

    Example: patron demo --workspace patron-demo
    """
    from patron.commands.data import demo as demos
    from patron.interfaces.cli.render import show_demo

    with output.progress("demo") as tick:
        if simulated:
            result = demos.demo_simulated(workspace, progress=tick)
        else:
            result = demos.demo(workspace, now=datetime.now(UTC), progress=tick)
    show_demo(result, workspace)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new workspace.")],
    name: Annotated[str | None, typer.Option(help="Name of the shop.")] = None,
    currency: Annotated[
        str | None, typer.Option(help="ISO 4217 code (default: that of the first import's mapping, else USD).")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="IANA time zone (default: that of the first import's mapping, else UTC).")
    ] = None,
    *,
    json: AsJson = False,
) -> None:
    """Create a workspace.

    Example: patron init shop --currency EUR --time-zone Europe/Berlin
    """
    from patron.commands.data import init_workspace

    settings = {"name": name, "currency": currency, "time_zone": time_zone}
    created = init_workspace.create(folder, {key: value for key, value in settings.items() if value is not None})
    if json:
        output.as_json(created)
    else:
        output.say(f"Created the workspace {created.folder}.")
        output.say(f"Its master key is outside the folder: {created.master_key}.")
        output.say("Back the key up separately: without it, nobody can open the workspace or a backup of it.")
        output.say(f"Next: patron import --workspace {shlex.quote(str(folder))} --mapping NAME FILE")


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for events.parquet and truth.parquet.")],
    customers: Annotated[int, typer.Option(min=1, help="Customers at the end.")] = 10_000,
    days: Annotated[int, typer.Option(min=1, help="Days to simulate.")] = 365,
    seed: Annotated[int, typer.Option(help="Random seed: the same seed gives the same events.")] = 1,
    *,
    json: AsJson = False,
) -> None:
    """Simulate a shop whose true effects are known.

    Import its events with --mapping patron.

    Example: patron simulate --out simulated --customers 2000 --days 365
    """
    from patron.commands.data import simulate as simulation

    with output.progress("simulating") as tick:
        files = simulation.simulate(out, customers=customers, days=days, seed=seed, progress=tick)
    if json:
        output.as_json(files)
    else:
        output.say(f"{files.event_count:,} events of {files.customer_count:,} customers: {files.events}")
        output.say(f"Their true values, to evaluate forecasts only: {files.truth}")
        output.say(f"Next: patron import --mapping patron {files.events}")


COMMANDS = (demo, init, simulate)
