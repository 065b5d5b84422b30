"""All commands of `patron`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

import patron.run as nightly
from patron import __version__
from patron.answers import backtest_results as backtests
from patron.answers import sql_query
from patron.commands import backup as backups
from patron.commands import demo as demos
from patron.commands import doctor as doctors
from patron.commands import import_files, init_workspace
from patron.commands import simulate as simulation
from patron.interfaces.cli import output
from patron.interfaces.cli.identity_commands import identity
from patron.interfaces.cli.key_commands import keys
from patron.interfaces.cli.privacy_commands import export, forget
from patron.interfaces.cli.prospects_command import prospects
from patron.interfaces.cli.render import show_backtest, show_demo, show_doctor, show_import, show_run
from patron.interfaces.cli.trace_command import trace
from patron.interfaces.i18n import LOCALES
from patron.interfaces.report import write_report
from patron.storage.shop import Shop

app = typer.Typer(
    name="patron",
    help="Patron: what each customer is worth, who is leaving, what to offer, and what the last offer caused.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(keys, name="keys")
app.add_typer(identity, name="identity")
app.command()(trace)

Workspace = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")]
HERE = Path()
EARLIEST_YEAR, LATEST_YEAR = 1970, 2100
"""What Patron takes for a time; others are mistakes."""


def moment(text: str, zone: str) -> datetime:
    """Read a date or time; without a zone it is the shop's. Raises BadParameter."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no date such as 2024-03-01, nor a time such as 2024-03-01T14:30"
        ) from error
    if not EARLIEST_YEAR <= found.year <= LATEST_YEAR:
        raise typer.BadParameter(f"{text!r} is not between {EARLIEST_YEAR} and {LATEST_YEAR}")
    return found.replace(tzinfo=ZoneInfo(zone)) if found.tzinfo is None else found


def language(text: str | None) -> str | None:
    """Take a language that Patron has words in. Raises BadParameter."""
    if text is not None and text not in LOCALES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(LOCALES)}")
    return text


@app.callback(invoke_without_command=True)
def root(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Answer `patron --version`."""
    if version:
        output.say(__version__)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new workspace.")],
    name: Annotated[str | None, typer.Option(help="Name of the shop.")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code; otherwise the first import says it.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="IANA zone; otherwise the first import says it.")] = None,
    *,
    json: AsJson = False,
) -> None:
    """Make a workspace.

    Example: patron init shop --currency EUR --time-zone Europe/Berlin
    """
    given = {"name": name, "currency": currency, "time_zone": time_zone}
    made = init_workspace.create(folder, {key: value for key, value in given.items() if value is not None})
    if json:
        output.as_json(made)
    else:
        output.say(f"Made the workspace {made.folder}. Its master key is kept outside of it; back the key up apart.")
        output.say(f"Next: patron import --workspace {folder} --mapping NAME FILE")


@app.command("import")
def import_(  # noqa: PLR0913 - one argument for each option
    files: Annotated[list[str] | None, typer.Argument(help="Files or patterns: CSV, JSON lines, Parquet.")] = None,
    mapping: Annotated[str, typer.Option("--mapping", "-m", help="A built-in mapping or a mapping file.")] = "",
    encoding: Annotated[str | None, typer.Option(help="Such as cp1252; default: the mapping's, or utf-8.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Of CSV; default: the mapping's, or what it looks like.")
    ] = None,
    replay: Annotated[str | None, typer.Option(help="Import id whose dead rows to try again.")] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Import files of orders or events; repeating an import stores nothing twice.

    Example: patron import --workspace shop --mapping shopify orders.csv
    """
    shop = Shop.open(workspace)
    with output.progress("importing") as tick:
        if replay:
            done = import_files.replay(shop, replay, mapping=mapping or None, progress=tick)
        else:
            done = import_files.import_files(
                shop, files or [], mapping, progress=tick, encoding=encoding, delimiter=delimiter
            )
    show_import(done, json=json)


@app.command()
def run(
    as_of: Annotated[
        str,
        typer.Option("--as-of", help="Day or YYYY-MM-DDTHH:MM of the shop's clock: only what was known before counts."),
    ],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Run the loop once: facts, features, forecasts, decisions, outbox, and what earlier offers caused.

    Example: patron run --workspace shop --as-of 2024-03-01
    """
    shop = Shop.open(workspace)
    with output.progress("running the loop") as tick:
        asked = moment(as_of, shop.settings.shop.time_zone)
        finished = nightly.run_loop(shop, asked, now=datetime.now(UTC), progress=tick)
    show_run(finished, shop.settings.shop.currency, json=json)


@app.command()
def backtest(
    question: Annotated[str | None, typer.Option(help="value, churn, purchase or recommend; default: all.")] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Show how the last run's learners did on the past, beside baselines.

    Example: patron backtest --workspace shop --question value --json
    """
    shop = Shop.open(workspace)
    show_backtest(backtests.backtest(shop, question), shop.settings.shop.currency, json=json)


app.command()(prospects)


@app.command("report")
def report_(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", dir_okay=False, help="Where to write; default: in the workspace.")
    ] = None,
    locale: Annotated[str | None, typer.Option(callback=language, help="en or zh_CN; default: the shop's.")] = None,
    workspace: Workspace = HERE,
) -> None:
    """Write the report of the last run: one HTML file that needs nothing else.

    Example: patron report --workspace shop --out report.html --locale zh_CN
    """
    shop = Shop.open(workspace)
    output.say(str(write_report(shop, out or shop.folder / "report.html", locale).path))


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=0, max=65535)] = 8321,
    host: Annotated[str, typer.Option(help="Only 127.0.0.1, until access control exists.")] = "127.0.0.1",
    *,
    accept_only: Annotated[
        bool, typer.Option("--accept-only", help="Only take events into the inbox; another `patron serve` moves them.")
    ] = False,
    workspace: Workspace = HERE,
) -> None:
    """Start collector, console and API on this machine.

    Example: patron serve --workspace shop --port 8321
    """
    from patron.interfaces.http.server import serve as start  # noqa: PLC0415 - the web stack is only needed here

    start(Shop.open(workspace), host=host, port=port, accept_only=accept_only)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for events.parquet and truth.parquet.")],
    customers: Annotated[int, typer.Option(min=1, help="Customers at the end.")] = 10_000,
    days: Annotated[int, typer.Option(min=1, help="Days to simulate.")] = 365,
    seed: Annotated[int, typer.Option(help="Same seed, same events.")] = 1,
    *,
    json: AsJson = False,
) -> None:
    """Simulate a shop whose truth is known; import it with --mapping patron.

    Example: patron simulate --out simulated --customers 2000 --days 365
    """
    with output.progress("simulating") as tick:
        made = simulation.simulate(out, customers=customers, days=days, seed=seed, progress=tick)
    if json:
        output.as_json(made)
    else:
        output.say(f"{made.event_count:,} events of {made.customer_count:,} customers: {made.events}")
        output.say(f"The truth about them, for judging only: {made.truth}")
        output.say(f"Next: patron import --mapping patron {made.events}")


@app.command()
def sql(
    select: Annotated[str, typer.Argument(help="One SELECT.")], workspace: Workspace = HERE, *, json: AsJson = False
) -> None:
    """Run one read-only SELECT over the lake's tables.

    Example: patron sql --workspace shop "select name, count(*) as n from events group by name"
    """
    rows = sql_query.sql(Shop.open(workspace), select)
    if json:
        output.as_json(rows.to_pylist())
    else:
        output.arrow(rows)


app.command()(export)
app.command()(forget)


@app.command()
def backup(
    out: Annotated[Path, typer.Argument(dir_okay=False, help="Archive to write: NAME.tar.gz.")],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Back the workspace up into one archive; the master key is not in it.

    Example: patron backup --workspace shop shop-2024-03-01.tar.gz
    """
    made = backups.backup(Shop.open(workspace), out)
    if json:
        output.as_json(made)
    else:
        output.say(
            f"{made.path}: {made.table_count} tables, {made.file_count:,} files, {made.byte_count / 1e6:,.1f} MB."
        )
        output.say("The master key is not in it: without the key names and texts cannot be read again.")


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="An archive of `patron backup`.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the restored workspace; must not hold one.")],
    *,
    json: AsJson = False,
) -> None:
    """Make a workspace from a backup.

    Example: patron restore shop-2024-03-01.tar.gz shop-again
    """
    made = backups.restore(archive, folder)
    if json:
        output.as_json(made)
    else:
        output.say(f"Restored {folder}: {made.table_count} tables, {made.file_count:,} files.")


@app.command()
def doctor(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Say what is wrong with a workspace and how to mend it; exits with 1 when something is.

    Example: patron doctor --workspace shop
    """
    findings = doctors.doctor(workspace)
    show_doctor(findings, json=json)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


@app.command()
def demo(
    workspace: Workspace = Path("patron-demo"),
    *,
    simulated: Annotated[bool, typer.Option("--simulated", help="A simulated shop, where offers act.")] = False,
) -> None:
    """Run the whole loop on a year of real purchases (or a simulated shop) and write a report.

    Example: patron demo --workspace patron-demo
    """
    with output.progress("demo") as tick:
        shown = demos.demo_simulated(workspace, progress=tick) if simulated else demos.demo(workspace, progress=tick)
    show_demo(shown, workspace)
