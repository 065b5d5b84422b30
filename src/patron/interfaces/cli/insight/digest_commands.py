"""`patron digests`: who is sent the mail digest after runs, and what it holds."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Workspace

digests = typer.Typer(
    name="digests",
    help="Look at the mail digests that people subscribe to on their account page.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@digests.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List who is sent a digest, how often, and what became of the last one.

    Example: patron digests list --workspace shop
    """
    from patron.answers.insight.digest import list_subscribers
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    listed = list_subscribers(shop)
    if json:
        output.as_json(listed)
        return
    rows = []
    for one in listed:
        chosen, last = one.digest.subscription, one.digest.last
        if chosen:
            state = "confirmed" if chosen.confirmed_at else "waits for the link in the mailbox"
            became = f"{last.state} {last.answer}".strip() if last else ""
            rows.append((one.user.email, ", ".join(chosen.parts), chosen.rhythm, state, became))
    if not (shop.settings.channels.email.is_configured and shop.settings.access.public_url):
        output.say("None is sent: that needs [channels.email] and [access] public_url in patron.toml.")
    if rows:
        output.grid("", ("user", "parts", "rhythm", "address", "last digest"), rows)
    else:
        output.say("Nobody has subscribed: people do it on their account page, /account/digest.")


@digests.command()
def preview(
    user: Annotated[str, typer.Argument(metavar="USER", help="E-mail address or user id.")],
    workspace: Workspace = HERE,
    *,
    html: Annotated[bool, typer.Option("--html", help="Print the HTML instead of the plain text.")] = False,
) -> None:
    """Print the digest of the last run as a user would be sent it, with their rights; nothing is sent.

    Example: patron digests preview ben@example.com --workspace shop
    """
    from contextlib import closing

    from patron.commands.insight.send_digests import preview_digest
    from patron.interfaces.report.digest_letter import digest_composer, facts_of_run
    from patron.storage.shop import Shop

    with closing(Shop.open(workspace)) as shop, facts_of_run(shop) as facts:
        mail = preview_digest(shop, user, compose=digest_composer(facts), now=datetime.now(UTC))
    if mail is None:
        output.say("This user may read nothing that a digest holds.")
    else:
        output.say(mail.html if html else f"Subject: {mail.subject}\n\n{mail.text}")


COMMANDS = (digests,)
