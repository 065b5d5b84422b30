"""Options that several commands share, declared once."""

from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patron.interfaces.i18n import LOCALES

if TYPE_CHECKING:
    from patron.govern.access.request_context import RequestContext
    from patron.storage.shop import Shop

HERE = Path()
Workspace = Annotated[Path, typer.Option("--workspace", "-w", help="Workspace folder (default: this folder).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")]
Wait = Annotated[
    float | None, typer.Option("--wait", min=0, help="Seconds to wait for another process at work here (default: 10).")
]


def system_user(name: str) -> str:
    """The name, or without one that of the system's account."""
    return name or getuser()


def command_context(shop: "Shop", by: str = "") -> "RequestContext":
    """The request that a command of this machine makes of a shop, by default in the name of the system's account."""
    from patron.govern.access.request_context import RequestContext

    return RequestContext.from_name(shop, system_user(by), now=datetime.now(UTC), clock=lambda: datetime.now(UTC))


SystemUser = Annotated[
    str, typer.Option("--as", callback=system_user, help="Who does it (default: the system account's name).")
]


def language(text: str | None) -> str | None:
    """Check that Patron has texts in a language. Raises BadParameter."""
    if text is not None and text not in LOCALES:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(LOCALES)}")
    return text


Locale = Annotated[str | None, typer.Option(callback=language, help="en or zh_CN (default: the shop's language).")]

UserId = Annotated[str | None, typer.Option(help="The shop's own customer id.")]
Email = Annotated[str | None, typer.Option(help="E-mail address of the customer.")]
Phone = Annotated[str | None, typer.Option(help="Phone number of the customer.")]
AnonymousId = Annotated[str | None, typer.Option(help="Anonymous id of a visitor or device.")]
CustomerId = Annotated[str | None, typer.Option(help="Patron's opaque customer id.")]


def option_names(options: dict[str, str | None]) -> str:
    """Options as people type them: `--user-id, --email`."""
    return ", ".join(f"--{name.replace('_', '-')}" for name in options)


def one_identifier(**options: str | None) -> dict[str, str]:
    """The one option that identifies the customer. Raises BadParameter for none, several or an empty one."""
    identifiers = {name: value for name, value in options.items() if value is not None}
    if len(identifiers) != 1 or not all(value.strip() for value in identifiers.values()):
        raise typer.BadParameter(f"identify the customer by exactly one of {option_names(options)}")
    return identifiers
