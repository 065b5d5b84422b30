"""`patron decisions`: what was decided for whom and why, and how a run's offers are withdrawn."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Wait, Workspace

if TYPE_CHECKING:
    from patron.storage.shop import Shop

decisions = typer.Typer(
    name="decisions",
    help="Read the decisions of the runs: list, show, withdraw.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
DECISION_ID = re.compile("[0-9a-f]{24}")
RunName = Annotated[str, typer.Option("--run", help="Run by its name (default: the last one).")]


@decisions.command("list")
def list_(
    run: RunName = "",
    reason: Annotated[str, typer.Option(help="Only decisions with this reason code.")] = "",
    page: Annotated[int, typer.Option(help="Page of the list, 50 decisions each.", min=1)] = 1,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """List the decisions of a run, counted by reason; offers first.

    Example: patron decisions list --reason over_budget --workspace shop
    """
    from patron.answers.offers.decision_ledger import decisions as decisions_of
    from patron.interfaces.cli.offers.render_decisions import show_decisions
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_decisions(decisions_of(shop, run_id=run, reason=reason, page=page), shop.settings.shop, json=json)


@decisions.command()
def show(
    who: Annotated[str, typer.Argument(help="Id of a decision, the shop's own customer id, or the opaque one.")],
    run: RunName = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Show a decision: what else was possible, what it was expected to bring, and which rule forbade it.

    Example: patron decisions show 1042 --workspace shop
    """
    from patron.answers.offers.decision_ledger import decision_of
    from patron.interfaces.cli.offers.render_decisions import show_decision
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    names = {offer.id: offer.name for offer in shop.policy.offers if offer.name}
    show_decision(decision_of(shop, _ids(shop, who), run_id=run), shop.settings.shop, names, json=json)


def _ids(shop: "Shop", who: str) -> tuple[str, ...]:
    """The id itself, and the opaque ids of the customer whom the shop knows by it."""
    from patron.commands.customers.resolve_person import customer_ids_of

    return (who,) if DECISION_ID.fullmatch(who) else (who, *customer_ids_of(shop, who))


@decisions.command()
def withdraw(
    run: Annotated[str, typer.Argument(help="Run whose offers were not sent yet, by its name.")],
    name: Annotated[str, typer.Option("--as", help="Who withdraws them.")],
    reason: Annotated[str, typer.Option(help="Why, in a few words; no personal data.")] = "",
    wait: Wait = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Withdraw the offers of a run before they are sent.

    Their files leave the outbox, and they no longer count for budget, caps and effects.

    Example: patron decisions withdraw 2024-03-01 --as "A. Lee" --workspace shop
    """
    from patron.commands.offers.withdraw_offers import withdraw_offers
    from patron.storage.shop import Shop

    shop = Shop.open(workspace, wait_seconds=wait)
    withdrawal = withdraw_offers(shop, run, name=name, reason=reason, now=datetime.now(UTC))
    output.answer(withdrawal, f"The offers of the run {run} are withdrawn; their budget is free again.", json=json)


COMMANDS = (decisions,)
