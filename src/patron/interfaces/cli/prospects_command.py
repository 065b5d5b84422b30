"""`patron prospects`: whom to win first of those who have not ordered yet."""

from pathlib import Path
from typing import Annotated

import typer

from patron.answers import prospects_by_value as actions
from patron.interfaces.cli import output
from patron.interfaces.cli.render import show_prospects
from patron.storage.shop import Shop


def prospects(
    most: Annotated[int, typer.Option(help="People to list.", min=0)] = actions.MOST_SHOWN,
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder.")] = Path(),
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")] = False,
) -> None:
    """Say what people who signed up but have not ordered should bring in 90 days, by the last run's facts.

    Example: patron prospects --workspace shop --most 50
    """
    shop = Shop.open(workspace)
    with output.progress("learning from earlier prospects"):
        found = actions.prospects(shop, most=most)
    show_prospects(found, shop.settings.shop.currency, json=json)
