"""`patron import`, `patron mappings`, `patron trace` and `patron sql`: data in, and where it went."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Wait, Workspace

TOO_MANY_REJECTED = 3
"""Exit code of an import that rejected more than it may."""


def import_(  # noqa: PLR0913 - one argument for each option
    files: Annotated[list[str] | None, typer.Argument(help="Files or patterns: CSV, JSON lines, Parquet.")] = None,
    mapping: Annotated[
        str,
        typer.Option("--mapping", "-m", help="Name of a built-in mapping, a mapping file, or auto: by the columns."),
    ] = "",
    encoding: Annotated[
        str | None, typer.Option(help="File encoding, for example cp1252 (default: from the mapping, else utf-8).")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="CSV delimiter (default: from the mapping, else detected).")
    ] = None,
    replay: Annotated[str | None, typer.Option(help="Import id whose rejected rows to try again.")] = None,
    workspace: Workspace = HERE,
    *,
    refunds_known_at: Annotated[
        Literal["import", "order"] | None,
        typer.Option(help="When refunds that the file does not date count from (default: the mapping's, else import)."),
    ] = None,
    max_rejected: Annotated[
        str, typer.Option(help="Share of faulty rows above which the exit code is 3; good rows are stored anyway.")
    ] = "5%",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the first mapped rows and write nothing.")] = False,
    wait: Wait = None,
    json: AsJson = False,
) -> None:
    """Import files of orders or events.

    Importing a file again stores nothing twice.

    Example: patron import --workspace shop --mapping shopify orders.csv
    """
    from patron.commands.data import import_files
    from patron.interfaces.cli.data.render_import import show_import, show_preview
    from patron.storage.shop import Shop

    options = import_files.FileOptions(encoding=encoding, delimiter=delimiter, refunds_known_at=refunds_known_at)
    max_share, now = parse_share(max_rejected, "--max-rejected"), datetime.now(UTC)
    shop = Shop.open(workspace, wait_seconds=wait)
    if dry_run and replay:
        raise typer.BadParameter("--dry-run shows files, and --replay reads none: leave one of them out")
    if dry_run:
        with output.progress("reading") as tick:
            preview = import_files.preview_import(shop, files or [], mapping, now=now, progress=tick, options=options)
        show_preview(preview, json=json)
        return
    with output.progress("importing") as tick:
        if replay:
            summary = import_files.replay(shop, replay, mapping=mapping or None, now=now, progress=tick)
        else:
            summary = import_files.import_files(
                shop, files or [], mapping, now=now, progress=tick, options=options, max_rejected_share=max_share
            )
    show_import(summary, json=json)
    if summary.failure:
        output.say_error(summary.failure)
        raise typer.Exit(TOO_MANY_REJECTED)


def parse_share(text: str, option: str) -> float:
    """Parse a share such as 5% or 0.05. Raises BadParameter."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{option} takes a share such as 5% or 0.05, not {text!r}")
    return share


def mappings(*, json: AsJson = False) -> None:
    """List the built-in mappings: what each is for, and the columns its files need.

    Example: patron mappings
    """
    from patron.commands.data import built_in_mappings
    from patron.interfaces.cli.data.render_import import show_mappings

    show_mappings(built_in_mappings.built_in_mappings(), json=json)


def trace(
    event_id: Annotated[str, typer.Argument(help="The client's messageId, or the id of an imported row or line.")],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Show where an event is and what became of it.

    Example: patron trace --workspace shop 0b7c2f5e-6f0a-4a57-9d51-c1d0a7a6b3aa
    """
    from patron.commands.data import trace as traces
    from patron.interfaces.cli.render import show_trace
    from patron.storage.shop import Shop

    show_trace(traces.trace(Shop.open(workspace), event_id), json=json)


def sql(
    select: Annotated[
        str, typer.Argument(help="One SELECT, or the name of a table to list its columns (default: list all tables).")
    ] = "",
    workspace: Workspace = HERE,
    *,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, help="Seconds that the query may take (default: engine.sql_seconds, else 60)."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Run one read-only SELECT on the lake's tables, or list tables and columns.

    Rows come in no particular order unless the query has an ORDER BY. Functions are those that the reference of SQL
    functions lists.

    Example: patron sql --workspace shop "select name, count(*) as n from events group by name"
    """
    from patron.answers.data import sql_query
    from patron.interfaces.cli.render import show_tables
    from patron.storage.shop import Shop

    shop, name = Shop.open(workspace), select.strip()
    if not name or name.isidentifier():
        show_tables(sql_query.tables(shop, name), json=json)
        return
    with sql_query.open_query(shop, select, seconds=timeout, give_up=output.end_refused) as result:
        if json:
            output.as_json_rows(row for batch in result.batches for row in batch.to_pylist())
        else:
            output.arrow(result.schema.names, result.batches)


COMMANDS = (import_, mappings, trace, sql)
