"""`patron identity`: corrections of which ids are one customer, and the index that finds customers by name."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AnonymousId, AsJson, UserId, Workspace, one_identifier

identity = typer.Typer(
    name="identity",
    help="Correct which ids belong to one customer, and rebuild the index of names.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@identity.callback()
def group() -> None:
    """Commands about who customers are."""


@identity.command()
def unlink(
    user_id: UserId = None,
    anonymous_id: AnonymousId = None,
    token: Annotated[str | None, typer.Option(help="Token, from the table identities.")] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Separate a user id or a visitor from the customer it was merged into, from the next run on.

    Example: patron identity unlink --workspace shop --anonymous-id 5f0c
    """
    from patron.commands.customers import unlink_identity
    from patron.storage.shop import Shop

    [(kind, value)] = one_identifier(user_id=user_id, anonymous_id=anonymous_id, token=token).items()
    shop = Shop.open(workspace)
    token = value if kind == "token" else unlink_identity.token_of(shop, kind, value)
    unlinked = unlink_identity.unlink(shop, token, at=datetime.now(UTC))
    output.answer(unlinked, f"Unlinked {unlinked.token}: from the next run on it is a separate customer.", json=json)


@identity.command()
def reindex(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Rebuild the names, addresses and numbers that the console shows masked, and the index that finds them.

    Needed once for a workspace with customers from before Patron had a search by name; later events keep it current.

    Example: patron identity reindex --workspace shop
    """
    from patron.commands.customers.reindex_contacts import reindex_contacts
    from patron.storage.shop import Shop

    reindexed = reindex_contacts(Shop.open(workspace))
    output.answer(
        reindexed, f"Indexed {reindexed.customer_count:,} customers with a name, an address or a number.", json=json
    )


COMMANDS = (identity,)
