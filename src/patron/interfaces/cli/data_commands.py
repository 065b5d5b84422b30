"""`patron import`, `patron trace` and `patron sql`: data in, and where it went."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Wait, Workspace


def import_(  # noqa: PLR0913 - one argument for each option
    files: Annotated[list[str] | None, typer.Argument(help="Files or patterns: CSV, JSON lines, Parquet.")] = None,
    mapping: Annotated[
        str, typer.Option("--mapping", "-m", help="Name of a built-in mapping, or a mapping file.")
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
    wait: Wait = None,
    json: AsJson = False,
) -> None:
    """Import files of orders or events.

    Importing a file again stores nothing twice.

    Example: patron import --workspace shop --mapping shopify orders.csv
    """
    from patron.commands import import_files
    from patron.interfaces.cli.render import show_import
    from patron.storage.shop import Shop

    shop = Shop.open(workspace, wait_seconds=wait)
    with output.progress("importing") as tick:
        if replay:
            summary = import_files.replay(shop, replay, mapping=mapping or None, progress=tick, now=datetime.now(UTC))
        else:
            summary = import_files.import_files(
                shop, files or [], mapping, progress=tick, encoding=encoding, delimiter=delimiter, now=datetime.now(UTC)
            )
    show_import(summary, json=json)


def trace(
    event_id: Annotated[str, typer.Argument(help="The client's messageId, or the id of an imported row or line.")],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Show where an event is and what became of it.

    Example: patron trace --workspace shop 0b7c2f5e-6f0a-4a57-9d51-c1d0a7a6b3aa
    """
    from patron.commands import trace as traces
    from patron.interfaces.cli.render import show_trace
    from patron.storage.shop import Shop

    show_trace(traces.trace(Shop.open(workspace), event_id), json=json)


def sql(
    select: Annotated[
        str, typer.Argument(help="One SELECT, or the name of a table to list its columns (default: list all tables).")
    ] = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Run one read-only SELECT on the lake's tables, or list tables and columns.

    Example: patron sql --workspace shop "select name, count(*) as n from events group by name"
    """
    from patron.answers import sql_query
    from patron.interfaces.cli.render import show_tables
    from patron.storage.shop import Shop

    shop, name = Shop.open(workspace), select.strip()
    if not name or name.isidentifier():
        show_tables(sql_query.tables(shop, name), json=json)
        return
    rows = sql_query.sql(shop, select)
    if json:
        output.as_json(rows.to_pylist())
    else:
        output.arrow(rows)


COMMANDS = (import_, trace, sql)
