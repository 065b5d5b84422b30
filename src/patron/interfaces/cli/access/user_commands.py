"""`patron users`: who signs in to the console, and what they may do; no command reads or prints a password."""

from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Workspace, command_context

users = typer.Typer(
    name="users", help="Manage who signs in to the console.", no_args_is_help=True, rich_markup_mode="rich"
)
teams = typer.Typer(
    name="teams",
    help="Manage teams, whose members see the customers of a segment only.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
UserName = Annotated[str, typer.Argument(metavar="USER", help="E-mail address or user id.")]
Roles = Annotated[
    list[str],
    typer.Option(
        "--role", help="viewer, marketer, analyst, service_agent, approver, privacy_officer or admin; may be repeated."
    ),
]
Grants = Annotated[list[str] | None, typer.Option("--grant", help="reveal or export; may be repeated.")]
TeamName = Annotated[str, typer.Option("--team", help="Team (default: none; sees every customer).")]


@users.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List users with their roles and state.

    Example: patron users list --workspace shop
    """
    from patron.answers.access import team
    from patron.storage.shop import Shop

    listed = team.people(Shop.open(workspace))
    if json:
        output.as_json(listed)
        return
    head = ("user", "e-mail", "name", "roles", "also", "team", "state", "second factor", "last sign-in")
    rows = [
        (
            user.user_id,
            user.email,
            user.name,
            ", ".join(user.roles),
            ", ".join(user.grants),
            user.team,
            user.state,
            "yes" if user.has_second_factor else "no",
            f"{user.signed_in_at:%Y-%m-%d %H:%M}" if user.signed_in_at else "",
        )
        for user in listed
    ]
    if rows:
        output.grid("", head, rows)
    else:
        output.say("No users yet: `patron serve` prints a link to set up the first.")


@users.command()
def invite(  # noqa: PLR0913, PLR0917 - the options of a command
    email: Annotated[str, typer.Argument(help="E-mail address, which the person signs in with.")],
    role: Roles,
    grant: Grants = None,
    name: Annotated[str, typer.Option(help="Name (default: from the address; the person can change it).")] = "",
    team: TeamName = "",
    by: SystemUser = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Invite somebody and print the link once; it is e-mailed where an SMTP server is configured.

    Example: patron users invite ben@example.com --role marketer --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.interfaces.i18n.user_mail_texts import invitation_mail
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    address = shop.settings.access.console_address
    access = manage_users.Access(manage_users.parse_roles(role), manage_users.parse_grants(grant or ()), team)
    link = manage_users.invite(
        command_context(shop, by),
        email,
        access,
        name=name,
        compose=invitation_mail(shop, address),
    )
    if json:
        output.as_json({"user": link.user, "link": address + link.path, "is_mailed": link.is_mailed})
        return
    output.say(address + link.path)
    sent = "E-mailed to" if link.is_mailed else "Send it to"
    output.say(f"{sent} {link.user.email}. It works once, for {shop.settings.access.invitation_hours:g} hours.")


@users.command("set-roles")
def set_roles(
    user: UserName,
    role: Roles,
    grant: Grants = None,
    team: TeamName = "",
    by: SystemUser = "",
    workspace: Workspace = HERE,
) -> None:
    """Replace what a user may do: roles, reveal and export, team. It applies from the next request.

    Example: patron users set-roles ben@example.com --role marketer --role approver --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.storage.shop import Shop

    access = manage_users.Access(manage_users.parse_roles(role), manage_users.parse_grants(grant or ()), team)
    changed = manage_users.set_access(command_context(Shop.open(workspace), by), user, access)
    output.say(f"{changed.email}: {', '.join((*changed.roles, *changed.grants))}.")


@users.command()
def disable(user: UserName, by: SystemUser = "", workspace: Workspace = HERE) -> None:
    """Keep a user out: sessions and links end at once.

    Example: patron users disable ben@example.com --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.storage.shop import Shop

    changed = manage_users.disable(command_context(Shop.open(workspace), by), user)
    output.say(f"{changed.email} is disabled and signed out everywhere.")


@users.command()
def enable(user: UserName, by: SystemUser = "", workspace: Workspace = HERE) -> None:
    """Let a disabled user in again.

    Example: patron users enable ben@example.com --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.storage.shop import Shop

    changed = manage_users.enable(command_context(Shop.open(workspace), by), user)
    output.say(f"{changed.email} is {changed.state}.")


@users.command("reset-link")
def reset_link(user: UserName, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Print a link, once, by which a user sets a new password; it works for an hour, and the second factor stays.

    Example: patron users reset-link ben@example.com --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    link = manage_users.reset_link(command_context(shop, by), user)
    address = shop.settings.access.console_address + link.path
    if json:
        output.as_json({"user": link.user, "link": address})
        return
    output.say(address)
    output.say(f"For {link.user.email}. It works once, for an hour.")


@users.command("remove-factor")
def remove_factor(user: UserName, by: SystemUser = "", workspace: Workspace = HERE) -> None:
    """Remove the second factor of somebody who lost it; all their sessions end.

    Example: patron users remove-factor ben@example.com --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.storage.shop import Shop

    changed = manage_users.remove_second_factor(command_context(Shop.open(workspace), by), user)
    output.say(f"{changed.email} signs in by password alone now, and is signed out everywhere.")


@users.command()
def unlink(user: UserName, by: SystemUser = "", workspace: Workspace = HERE) -> None:
    """Disconnect a user from the single sign-on; password and passkeys count again, and all sessions end.

    Example: patron users unlink ben@example.com --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.storage.shop import Shop

    changed = manage_users.unlink_accounts(command_context(Shop.open(workspace), by), user)
    way = "by password" if changed.has_password else "once you send a link: patron users reset-link"
    output.say(f"{changed.email} signs in {way}.")


@teams.command("list")
def list_teams(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List teams with their segments.

    Example: patron teams list --workspace shop
    """
    from patron.answers.access import team
    from patron.storage.shop import Shop

    listed = team.teams(Shop.open(workspace))
    if json:
        output.as_json(listed)
        return
    for one in listed:
        output.say(f"{one.team}: {one.segment or 'every customer'}, {one.member_count} members")
    if not listed:
        output.say("No teams: everybody sees every customer.")


@teams.command("save")
def save_team(
    team: Annotated[str, typer.Argument(help="Name of the team.")],
    segment: Annotated[str, typer.Option(help="Saved segment (default: every customer).")] = "",
    by: SystemUser = "",
    workspace: Workspace = HERE,
) -> None:
    """Make a team, or change whose customers it sees.

    Example: patron teams save West --segment west --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.storage.shop import Shop

    manage_users.save_team(command_context(Shop.open(workspace), by), team, segment=segment)
    output.say(f"Saved {team}.")


@teams.command("delete")
def delete_team(
    team: Annotated[str, typer.Argument(help="Name of the team.")], by: SystemUser = "", workspace: Workspace = HERE
) -> None:
    """Delete a team without members.

    Example: patron teams delete West --workspace shop
    """
    from patron.commands.access import manage_users
    from patron.storage.shop import Shop

    manage_users.delete_team(command_context(Shop.open(workspace), by), team)
    output.say(f"Deleted {team}.")


COMMANDS = (users, teams)
