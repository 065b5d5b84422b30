"""`patron report`, `scores`, `backtest`, `prospects` and `lookalikes`: results of a run."""

from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.data.run_commands import parse_time
from patron.interfaces.cli.options import HERE, AsJson, Locale, Workspace, command_context, system_user

MAX_PROSPECTS = 20
MAX_LOOKALIKES = 500


def report_(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", dir_okay=False, help="File to write (default: in the workspace).")
    ] = None,
    locale: Locale = None,
    workspace: Workspace = HERE,
) -> None:
    """Write the last run's report as one HTML file.

    The file needs nothing else: style and charts are inside.

    Example: patron report --workspace shop --out report.html --locale zh_CN
    """
    from patron.interfaces.report.html_report import write_report
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    output.say(str(write_report(shop, out or shop.folder / "report.html", locale).path))


def brief(
    locale: Locale = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Print the brief of the week: what offers earned, what to change, what is not known, which forecasts were wrong.

    Example: patron brief --workspace shop --locale zh_CN
    """
    from patron.answers.insight.brief import brief as brief_of_last_run
    from patron.interfaces.cli.insight.render_brief import show_brief
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_brief(shop, brief_of_last_run(shop), locale or shop.settings.shop.locale, json=json)


def scores(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", dir_okay=False, help="File to write: .csv or .parquet.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Cutoff of another completed run (default: the last run's).")
    ] = None,
    workspace: Workspace = HERE,
    *,
    total: Annotated[bool, typer.Option("--total", help="Print the forecast of all customers together.")] = False,
    json: AsJson = False,
) -> None:
    """Write every customer's scores with the shop's own ids, or print their total.

    One row per customer: value of the next 90 days with its 80% interval, churn and purchase probability, lifecycle
    stage, and whether they may be contacted.

    Example: patron scores --workspace shop --out scores.csv
    """
    from patron.commands.models.export_scores import export_scores, require_format, shop_total, write_scores
    from patron.interfaces.cli.render import show_scores_export, show_shop_total
    from patron.storage.shop import Shop

    if (out is None) != total:
        raise typer.BadParameter("name a file with --out, or print the total with --total")
    shop = Shop.open(workspace)
    cutoff = None if as_of is None else parse_time(as_of, shop.settings.shop.time_zone)
    if out is None:
        show_shop_total(shop_total(shop, cutoff), shop.settings.shop.time_zone, json=json)
    else:
        require_format(out)
        exported = export_scores(command_context(shop), cutoff)
        show_scores_export(exported, write_scores(exported, out), json=json)


def backtest(
    question: Annotated[str | None, typer.Option(help="Question, for example value (default: all).")] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Show the last run's backtest: every model against the baselines.

    Example: patron backtest --workspace shop --question value --json
    """
    from patron.answers.models import backtest_results
    from patron.interfaces.cli.render import show_backtest
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_backtest(backtest_results.backtest(shop, question), shop.settings.shop.currency, json=json)


def prospects(
    most: Annotated[int, typer.Option(help="Number of prospects to list.", min=0)] = MAX_PROSPECTS,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Rank sign-ups without an order by expected 90-day revenue.

    Example: patron prospects --workspace shop --most 50
    """
    from patron.answers.customers.prospects import prospects as ranked_prospects
    from patron.interfaces.cli.render import show_prospects
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_prospects(ranked_prospects(shop, most=most), shop.settings.shop.currency, json=json)


def lookalikes(  # noqa: PLR0913 - one argument for each option
    persona: Annotated[int | None, typer.Option(help="Persona of the last run, by its number.", min=0)] = None,
    stage: Annotated[str | None, typer.Option(help="Lifecycle stage, for example active.")] = None,
    ids: Annotated[
        Path | None, typer.Option("--ids", dir_okay=False, help="File with the shop's own customer ids, one a line.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of lookalikes to list.", min=1)] = MAX_LOOKALIKES,
    out: Annotated[Path | None, typer.Option("--out", "-o", dir_okay=False, help="CSV file to write.")] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """List the customers outside a segment who are most like its members.

    It also says how well members can be separated from other customers at all, and who may be contacted.

    Example: patron lookalikes --workspace shop --persona 0 --count 500 --out lookalikes.csv
    """
    from patron.commands.outreach.audiences import find_lookalikes as command
    from patron.interfaces.cli.customers.render_lookalikes import show_lookalikes
    from patron.storage.shop import Shop

    segment = command.Segment(persona, stage, None if ids is None else command.read_user_ids(ids))
    with output.progress("finding lookalikes"):
        shop, by = Shop.open(workspace), system_user("")
        listed = command.find_lookalikes(command_context(shop, by), segment, most=count)
    show_lookalikes(listed, out and command.write_lookalikes(listed, out), json=json)


COMMANDS = (brief, report_, scores, backtest, prospects, lookalikes)
