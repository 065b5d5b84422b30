"""`patron compare`: models compared on anybody's table."""

from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import AsJson


def compare(  # noqa: PLR0913, PLR0917 - one argument for each option
    table: Annotated[Path, typer.Argument(help="File with one row per case: CSV, JSON lines, Parquet.")],
    label: Annotated[str, typer.Option("--label", help="Column to predict: 0 and 1, true and false, or two texts.")],
    positive: Annotated[
        str | None, typer.Option(help="Value of the label that counts as positive (default: 1, true or yes).")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Column of dates or ordered labels: test on the latest of them.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column whose values may not be on both sides of the cut, such as the customer.")
    ] = None,
    learner: Annotated[
        list[str] | None, typer.Option(help="Compare this learner only; may be given several times (default: all).")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts of the training rows that are judged in turn.")] = 5,
    test_share: Annotated[float, typer.Option(min=0, max=0.5, help="Share of the rows to test on.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")] = 0,
    gain_cents: Annotated[
        int | None, typer.Option(min=1, help="What acting on a positive row brings, in cents; needs --cost-cents.")
    ] = None,
    cost_cents: Annotated[int | None, typer.Option(min=0, help="What acting on any row costs, in cents.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="CSV delimiter (default: detected).")] = None,
    encoding: Annotated[str, typer.Option(help="File encoding, for example cp1252.")] = "utf-8",
    *,
    json: AsJson = False,
) -> None:
    """Compare models on any table, and say what is wrong with it.

    Every model is judged on rows it has not seen, next to the majority class and the best single column.

    Example: patron compare customers.csv --label churned --time month
    """
    from patron.commands.models import compare_table
    from patron.interfaces.cli.models.render_comparison import show_comparison

    options = compare_table.ComparisonOptions(
        label, positive, time, group, learner or None, folds, test_share, seed, gain_cents, cost_cents
    )
    with output.progress("comparing models"):
        comparison = compare_table.compare_table(table, options, delimiter=delimiter, encoding=encoding)
    show_comparison(comparison, json=json)


COMMANDS = (compare,)
