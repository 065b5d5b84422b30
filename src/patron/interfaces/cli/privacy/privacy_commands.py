"""`patron export` and `patron forget`: what a customer may request of their own data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import (
    HERE,
    AnonymousId,
    AsJson,
    CustomerId,
    Email,
    Phone,
    UserId,
    Wait,
    Workspace,
    command_context,
    one_identifier,
)

if TYPE_CHECKING:
    from patron.storage.shop import Shop


def export(  # noqa: PLR0913 - one argument for each option
    user_id: UserId = None,
    email: Email = None,
    phone: Phone = None,
    anonymous_id: AnonymousId = None,
    customer_id: CustomerId = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", dir_okay=False, help="File to write (default: standard output).")
    ] = None,
    *,
    workspace: Workspace = HERE,
) -> None:
    """Export everything known about one customer, as JSON.

    Example: patron export --workspace shop --user-id 1042 --out customer.json
    """
    from patron.commands.privacy import export as exports
    from patron.storage.shop import Shop

    identifier = one_identifier(
        user_id=user_id, email=email, phone=phone, anonymous_id=anonymous_id, customer_id=customer_id
    )
    exported = exports.export_customer(command_context(Shop.open(workspace)), **identifier)
    if out is None:
        output.as_json(exported)
    else:
        output.say(str(exports.write_private(exported, out)))


def forget(  # noqa: PLR0913 - one argument for each option
    user_id: UserId = None,
    email: Email = None,
    phone: Phone = None,
    anonymous_id: AnonymousId = None,
    customer_id: CustomerId = None,
    *,
    wait: Wait = None,
    workspace: Workspace = HERE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Erase without confirmation.")] = False,
    json: AsJson = False,
) -> None:
    """Erase one customer permanently and print a certificate.

    New data about the customer is rejected from then on.

    Example: patron forget --workspace shop --user-id 1042
    """
    from patron.commands.privacy import forget as erasure
    from patron.storage.shop import Shop

    identifier = one_identifier(
        user_id=user_id, email=email, phone=phone, anonymous_id=anonymous_id, customer_id=customer_id
    )
    shop = Shop.open(workspace, wait_seconds=wait)
    if not yes:
        typer.confirm(f"{_question(shop, identifier)} This cannot be undone.", abort=True, err=True)
    certificate = erasure.forget(command_context(shop), **identifier)
    if json:
        output.as_json(certificate)
        return
    output.say(f"Erased. Certificate {certificate.certificate_id}, entry {certificate.audit_entry} of the audit log:")
    output.say(certificate.audit_hash)
    rows = [(place, f"{count:,}") for place, count in certificate.erased.items()]
    output.grid("", ("erased", "count"), rows, numbers=1)
    if certificate.erased.get(erasure.AUDIENCES):
        output.say("Next: patron audience sync NAME, for every audience in `patron audience list` with open changes")
    for path in certificate.files_left:
        output.say(f"Check {path} yourself: Patron did not write it, or cannot tell who is in it.")


def _question(shop: "Shop", identifier: dict[str, str]) -> str:
    from patron.commands.privacy.forget import identify_person
    from patron.schema.errors import NotFound

    try:
        person = identify_person(shop, **identifier)
    except NotFound:  # why: what waits in the inbox may be theirs; the erasure looks there too
        return "Erase this customer permanently? The lake holds nothing about them yet."
    accounts, devices = person.token_count("user_id"), person.token_count("anonymous_id")
    return f"Erase {accounts} account{'s' * (accounts != 1)} and {devices} device{'s' * (devices != 1)} permanently?"


COMMANDS = (export, forget)
