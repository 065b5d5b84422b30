"""`patron export` and `patron forget`: what one person may ask for."""

from pathlib import Path
from typing import Annotated

import typer

from patron.commands import export as exports
from patron.commands import forget as forgets
from patron.interfaces.cli import output
from patron.schema.errors import NotFound
from patron.storage.shop import Shop

UserId = Annotated[str | None, typer.Option(help="The shop's own id of the customer.")]
Email = Annotated[str | None, typer.Option(help="E-mail address that the customer told.")]
Phone = Annotated[str | None, typer.Option(help="Telephone number that the customer told.")]
AnonymousId = Annotated[str | None, typer.Option(help="Id of a device or visitor.")]
CustomerId = Annotated[str | None, typer.Option(help="Patron's opaque id.")]
Workspace = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder.")]
HERE = Path()


def export(  # noqa: PLR0913 - one argument for each option
    user_id: UserId = None,
    email: Email = None,
    phone: Phone = None,
    anonymous_id: AnonymousId = None,
    customer_id: CustomerId = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", dir_okay=False, help="File; default: standard output.")
    ] = None,
    *,
    workspace: Workspace = HERE,
) -> None:
    """Give everything that is known about one customer, as JSON.

    Example: patron export --workspace shop --user-id 1042 --out customer.json
    """
    named = one_name(user_id=user_id, email=email, phone=phone, anonymous_id=anonymous_id, customer_id=customer_id)
    known = exports.export_customer(Shop.open(workspace), **named)
    if out is None:
        output.as_json(known)
    else:
        output.say(str(exports.write_private(known, out)))


def forget(  # noqa: PLR0913 - one argument for each option
    user_id: UserId = None,
    email: Email = None,
    phone: Phone = None,
    anonymous_id: AnonymousId = None,
    customer_id: CustomerId = None,
    *,
    workspace: Workspace = HERE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")] = False,
) -> None:
    """Erase one customer for ever, and take nothing of them again; prints a certificate.

    Example: patron forget --workspace shop --user-id 1042
    """
    named = one_name(user_id=user_id, email=email, phone=phone, anonymous_id=anonymous_id, customer_id=customer_id)
    shop = Shop.open(workspace)
    if not yes:
        typer.confirm(f"{_whom(shop, named)} Nothing of it can be read again.", abort=True, err=True)
    done = forgets.forget(shop, **named)
    if json:
        output.as_json(done)
        return
    output.say(f"Forgotten. Certificate {done.certificate_id}, entry {done.audit_entry} of the audit log:")
    output.say(done.audit_hash)
    output.grid("", ("erased", "how many"), [(place, f"{count:,}") for place, count in done.erased.items()], numbers=1)
    for path in done.files_left:
        output.say(f"Look at {path} yourself: Patron did not make it, or cannot look into it.")


def _whom(shop: Shop, named: dict[str, str]) -> str:
    try:
        found = forgets.meant(shop, **named)
    except NotFound:  # why: what waits in the inbox may be theirs; the erasure looks there too
        return "Erase this customer, of whom the lake holds nothing yet, for ever?"
    accounts, devices = found.names("user_id"), found.names("anonymous_id")
    return f"Erase {accounts} account{'s' * (accounts != 1)} and {devices} device{'s' * (devices != 1)} for ever?"


def one_name(**options: str | None) -> dict[str, str]:
    """The one option that names the customer. Raises BadParameter for none, several or an empty one."""
    given = {name: value for name, value in options.items() if value is not None}
    if len(given) != 1 or not all(value.strip() for value in given.values()):
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise typer.BadParameter(f"name the customer by one of {listed}")
    return given
