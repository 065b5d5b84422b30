"""`patron recommend`: recommenders on anybody's interactions."""

from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import AsJson

recommend = typer.Typer(
    name="recommend",
    help="Compare recommenders on any interactions of users with items.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@recommend.callback()
def group() -> None:
    """Compare recommenders on any interactions of users with items."""


@recommend.command()
def compare(  # noqa: PLR0913, PLR0917 - one argument for each option
    file: Annotated[Path, typer.Argument(help="File with one row per interaction: CSV, JSON lines, Parquet.")],
    user: Annotated[str, typer.Option(help="Column with the user's id.")],
    item: Annotated[str, typer.Option(help="Column with the item's id.")],
    time: Annotated[
        str | None, typer.Option(help="Column with times, dates or seconds (default: times are not known).")
    ] = None,
    weight: Annotated[str | None, typer.Option(help="Column with ratings or weights.")] = None,
    event: Annotated[str | None, typer.Option(help="Column with the kind of event, such as click or order.")] = None,
    category: Annotated[str | None, typer.Option(help="Column with the item's category.")] = None,
    split: Annotated[
        str, typer.Option(help="What to test on: leave-last, next-basket, or the last days, such as days:28.")
    ] = "leave-last",
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Items per list.")] = 10,
    learner: Annotated[
        list[str] | None, typer.Option(help="Compare this recommender only; may be given several times (default: all).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same intervals.")] = 0,
    delimiter: Annotated[str | None, typer.Option(help="CSV delimiter (default: detected).")] = None,
    encoding: Annotated[str, typer.Option(help="File encoding, for example cp1252.")] = "utf-8",
    *,
    repeats: Annotated[
        bool | None,
        typer.Option(
            "--repeats/--no-repeats",
            help="Recommend items that a user had before (default: if the test rows repeat items).",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Compare recommenders on any file of interactions: every item is ranked for every user of the test part.

    Example: patron recommend compare clicks.csv --user user_id --item item_id --time at
    """
    from patron.commands.recommendations.compare_recommenders import InteractionColumns, compare_recommenders
    from patron.interfaces.cli.recommendations.render_recommenders import show_recommenders

    columns = InteractionColumns(user, item, time=time, weight=weight, event=event, category=category)
    with output.progress("comparing recommenders"):
        comparison = compare_recommenders(
            file,
            columns,
            how=split,
            k=k,
            learners=learner or None,
            repeats=repeats,
            seed=seed,
            delimiter=delimiter,
            encoding=encoding,
        )
    show_recommenders(comparison, json=json)


COMMANDS = (recommend,)
