"""`patron run`: the nightly run."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Wait, Workspace

if TYPE_CHECKING:
    from patron.storage.shop import Shop

MIN_YEAR, MAX_YEAR = 1970, 2100
"""Years that Patron accepts; others are mistakes."""


def parse_time(text: str, zone: str, *, now: datetime | None = None) -> datetime:
    """Parse a date or time; without a zone it is the shop's. Raises BadParameter.

    With `now` also the word for it, to the second, and `today`, the last midnight by the shop's clock.
    """
    if now is not None and text == "now":
        return now.replace(microsecond=0)
    if now is not None and text == "today":
        return now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not a date such as 2024-03-01 or a time such as 2024-03-01T14:30"
        ) from error
    if not MIN_YEAR <= time.year <= MAX_YEAR:
        raise typer.BadParameter(f"{text!r} is not between {MIN_YEAR} and {MAX_YEAR}")
    return time.replace(tzinfo=ZoneInfo(zone)) if time.tzinfo is None else time


def run(  # noqa: PLR0913 - one argument for each option
    as_of: Annotated[
        str,
        typer.Option(
            "--as-of",
            help="Cutoff: now, today, a day or YYYY-MM-DDTHH:MM in the shop's time zone; uses earlier data only.",
        ),
    ] = "now",
    wait: Wait = None,
    workspace: Workspace = HERE,
    *,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Train every model now, not only those that the policy says are due."),
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Decide and write nothing: what the run would do, and what it would cost.")
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option(help="With --preview: decide with this budget of the period instead of the policy's."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Run the loop once, as of a cutoff.

    Computes features, forecasts, decisions, the outbox, and the effects of earlier offers.

    Example: patron run --workspace shop --as-of today --preview --budget 2000
    """
    import patron.run as nightly
    from patron.interfaces.cli.data.run_summary import show_run
    from patron.storage.shop import Shop

    if budget is not None and not preview:
        raise typer.BadParameter("--budget is for --preview; the budget of a run is [budget] amount in policy.toml")
    if retrain and preview:
        raise typer.BadParameter("--retrain is not for --preview: trained models would be thrown away")
    shop = Shop.open(workspace, wait_seconds=wait)
    now = datetime.now(UTC)
    cutoff = parse_time(as_of, shop.settings.shop.time_zone, now=now)
    if preview:
        _preview(shop, cutoff, now=now, budget=budget, json=json)
        return
    with output.progress("running the loop") as tick:
        finished = nightly.run_loop(shop, cutoff, now=now, retrain=retrain, progress=tick)
    show_run(shop, finished, workspace, json=json)


def _preview(shop: "Shop", cutoff: datetime, *, now: datetime, budget: float | None, json: bool) -> None:
    """Show what the run of a cutoff would decide."""
    from patron.commands.data.preview_run import preview_run
    from patron.interfaces.cli.data.run_summary import show_preview

    with ExitStack() as stack:
        with output.progress("previewing the run") as tick:
            previewed = preview_run(shop, cutoff, now=now, budget=budget, progress=tick)
            copy, finished = stack.enter_context(previewed)
        show_preview(copy, finished, json=json)


COMMANDS = (run,)
