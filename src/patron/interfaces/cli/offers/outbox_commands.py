"""`patron outbox`: the offers that runs handed over, and how somebody confirms that they were sent."""

from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Wait, Workspace, command_context

outbox = typer.Typer(
    name="outbox",
    help="Follow the offers that runs handed over: list, confirm.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@outbox.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the offers of each run, the newest first: reserved, confirmed, expired or withdrawn.

    Example: patron outbox list --workspace shop
    """
    from patron.answers.offers.offer_deliveries import offer_deliveries
    from patron.interfaces.i18n.decision_texts import delivery_sentence
    from patron.interfaces.i18n.formats import Formats
    from patron.interfaces.i18n.translations import words
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    known = offer_deliveries(shop)
    if json:
        output.as_json(known)
        return
    texts, settings = words("en"), shop.settings.shop
    formats = Formats("en", settings.currency, settings.time_zone)
    rows = [(one.run_id, one.state.value, delivery_sentence(one, texts, formats)) for one in known.deliveries]
    output.grid("Offers handed over", ("run", "state", "what it means"), rows)


@outbox.command()
def confirm(
    run: Annotated[str, typer.Argument(help="Run whose offers were sent, by its name.")],
    by: SystemUser = "",
    sent_at: Annotated[
        str, typer.Option("--sent-at", help="When they were sent, YYYY-MM-DDTHH:MM by the shop's clock (default: now).")
    ] = "",
    wait: Wait = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Confirm that the offers of a run were sent.

    From then on they count as what customers had, and their effect is measured.

    Example: patron outbox confirm 2024-03-01 --workspace shop
    """
    from patron.commands.offers.confirm_offers import confirm_offers
    from patron.interfaces.cli.data.run_commands import parse_time
    from patron.storage.shop import Shop

    shop = Shop.open(workspace, wait_seconds=wait)
    at = parse_time(sent_at, shop.settings.shop.time_zone) if sent_at else None
    confirmed = confirm_offers(command_context(shop, by), run, at)
    output.answer(confirmed, f"The offers of the run {run} count as sent.", json=json)


COMMANDS = (outbox,)
