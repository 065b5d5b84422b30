"""People who sign in: set up the first, invite, change, disable; teams; every change is in the audit log."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from patron.commands.access.sign_in_limits import SignInLimits
from patron.commands.access.single_sign_on_only import require_local_sign_in, signs_in_at_issuer_only
from patron.commands.access.user_mail import Compose, can_send_mail, send_user_mail
from patron.govern.access import audit_log, users
from patron.govern.access.request_context import RequestContext
from patron.govern.access.second_factor import remove_factor
from patron.govern.access.user_identities import PASSKEY, list_identities, remove_identity, remove_passkeys
from patron.govern.access.user_links import LinkKind, create_link, end_links
from patron.govern.access.user_sessions import end_sessions
from patron.govern.access.users import Access, User, UserState, parse_grants, parse_roles
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import EMAIL_TAKEN, NO_SUCH_TEAM, USER_CANNOT_SIGN_IN
from patron.schema.errors import AccessProblem, NotFound
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import TEAMS, USERS
from patron.storage.insight.digests import delete_subscription
from patron.storage.segments.segment_definitions import definition
from patron.storage.shop import Shop

TEAM_NAME_LENGTH = Sentence("team_name_length", "the name of a team has 1 to {count} printable characters")
MOVE_MEMBERS_FIRST = Sentence("move_members_first", "Move its members to another team first.")
TEAM_HAS_MEMBERS = Sentence("team_has_members", "the team has members")
ENABLE_OR_INVITE = Sentence("enable_or_invite", "Enable the user, or send a new invitation.")

__all__ = ["Access", "User", "UserState", "can_send_mail", "parse_grants", "parse_roles"]
SETUP_LASTS = timedelta(hours=24)
RESET_LASTS = timedelta(hours=1)
MAX_TEAM_LENGTH = 60


@dataclass(frozen=True)
class UserLink:
    """A link for a user, shown this once."""

    user: User
    path: str
    is_mailed: bool


def setup_path(shop: Shop, *, now: datetime) -> str | None:
    """Path of a new link, for a day, by which the first administrator sets up an account; None where there are users.

    Earlier links for it end.
    """
    with shop.store.begin() as connection:
        if users.has_users(connection):
            return None
        audit_log.append(shop, connection, AuditAction.SET_UP_LINK_CREATED, {}, at=now)
        return create_link(connection, LinkKind.SETUP, "", by="patron serve", at=now, lasts=SETUP_LASTS)


def invite(context: RequestContext, email: str, access: Access, *, name: str = "", compose: Compose) -> UserLink:
    """Invite somebody, or anew who has not joined yet; the link is mailed where that is configured.

    Raises AccessProblem.
    """
    email = users.normal_email(email)
    with context.shop.store.begin() as connection:
        user = users.find_user_by_email(connection, email)
        if user and user.state != UserState.INVITED:
            raise AccessProblem("email_taken", EMAIL_TAKEN, status=409)
        if user:
            named = {"name": users.normal_name(name)} if name else {}
            users.change_user(connection, user.user_id, **named, **users.access_columns(connection, access))
            user_id = user.user_id
        else:
            user_id = users.add_user(
                connection, email, name or email.partition("@")[0], access, by=context.by, at=context.now
            )
        lasts = timedelta(hours=context.shop.settings.access.invitation_hours)
        path = create_link(connection, LinkKind.INVITATION, user_id, by=context.by, at=context.now, lasts=lasts)
        _log(context, connection, AuditAction.USER_INVITED, user_id, **_access_details(access))
        user = users.find_user(connection, user_id)
    return UserLink(user, path, send_user_mail(context.shop, user, compose(user, path), now=context.now))


def invite_again(context: RequestContext, name: str, *, compose: Compose) -> UserLink:
    """A new link for somebody who has not joined; the one before ends. Raises NotFound, AccessProblem."""
    with context.shop.store.begin() as connection:
        user = users.resolve_user(connection, name)
    access = Access(user.roles, user.grants, user.team)
    return invite(context, user.email, access, compose=compose)


def set_access(context: RequestContext, name: str, access: Access) -> User:
    """Change what a user may do, from the next request on. Raises NotFound, AccessProblem."""
    with context.shop.store.begin() as connection:
        user = users.resolve_user(connection, name)
        users.change_user(connection, user.user_id, **users.access_columns(connection, access))
        _log(context, connection, AuditAction.USER_ACCESS_CHANGED, user.user_id, **_access_details(access))
        return users.find_user(connection, user.user_id)


def disable(context: RequestContext, name: str) -> User:
    """Keep a user out: sessions, links and the mail digest end at once.

    Raises NotFound, AccessProblem for the last administrator.
    """
    with context.shop.store.begin() as connection:
        user = users.resolve_user(connection, name)
        users.change_user(connection, user.user_id, state=UserState.DISABLED.value)
        end_sessions(connection, user.user_id, at=context.now)
        end_links(connection, user.user_id)
        delete_subscription(connection, user.user_id)
        _log(context, connection, AuditAction.USER_DISABLED, user.user_id)
        return users.find_user(connection, user.user_id)


def enable(context: RequestContext, name: str) -> User:
    """Let a disabled user in again; who never joined needs an invitation. Raises NotFound."""
    with context.shop.store.begin() as connection:
        user = users.resolve_user(connection, name)
        has_joined = user.has_password or bool(list_identities(connection, user.user_id))
        state = UserState.ACTIVE if has_joined else UserState.INVITED
        users.change_user(connection, user.user_id, state=state.value)
        _log(context, connection, AuditAction.USER_ENABLED, user.user_id)
        return users.find_user(connection, user.user_id)


def reset_link(context: RequestContext, name: str) -> UserLink:
    """A link by which a user sets a new password, for an hour; the second factor stays.

    Raises NotFound, AccessProblem for somebody who cannot sign in.
    """
    with context.shop.store.begin() as connection:
        user = users.resolve_user(connection, name)
        if user.state != UserState.ACTIVE:
            raise AccessProblem("not_active", USER_CANNOT_SIGN_IN, status=409, todo=ENABLE_OR_INVITE)
        require_local_sign_in(context.shop, connection, user.user_id)
        path = create_link(connection, LinkKind.RESET, user.user_id, by=context.by, at=context.now, lasts=RESET_LASTS)
        _log(context, connection, AuditAction.RESET_LINK_CREATED, user.user_id)
    return UserLink(user, path, is_mailed=False)


def request_reset(shop: Shop, email: str, *, compose: Compose, now: datetime) -> None:
    """Mail a link for a new password to the user of an address; for an unknown one nothing happens."""
    if not can_send_mail(shop):
        return
    with shop.store.begin() as connection:
        user = users.find_user_by_email(connection, email)
        if user is None or user.state != UserState.ACTIVE or signs_in_at_issuer_only(shop, connection, user.user_id):
            return
        path = create_link(connection, LinkKind.RESET, user.user_id, by="the user", at=now, lasts=RESET_LASTS)
        details = {"user_id": user.user_id, "by": ""}
        audit_log.append(shop, connection, AuditAction.RESET_LINK_REQUESTED, details, at=now)
    send_user_mail(shop, user, compose(user, path), now=now)


def count_reset_request(limits: SignInLimits, email: str, address: str, *, now: datetime) -> None:
    """Count a request for a link. Raises AccessProblem (429) where there were too many."""
    limits.count_reset(email, address, now=now)


def remove_second_factor(context: RequestContext, name: str) -> User:
    """Take the second factor and the passkeys of somebody away who lost them; all sessions end. Raises NotFound."""
    with context.shop.store.begin() as connection:
        user = users.resolve_user(connection, name)
        remove_factor(connection, user.user_id)
        remove_passkeys(connection, user.user_id)
        end_sessions(connection, user.user_id, at=context.now)
        _log(context, connection, AuditAction.SECOND_FACTOR_REMOVED, user.user_id)
        return users.find_user(connection, user.user_id)


def unlink_accounts(context: RequestContext, name: str) -> User:
    """Take a user's accounts at issuers away: password and passkeys count again; all sessions end. Raises NotFound."""
    with context.shop.store.begin() as connection:
        user = users.resolve_user(connection, name)
        for identity in list_identities(connection, user.user_id):
            if identity.issuer != PASSKEY:
                remove_identity(connection, user.user_id, identity.issuer, identity.subject)
        end_sessions(connection, user.user_id, at=context.now)
        _log(context, connection, AuditAction.ACCOUNTS_UNLINKED, user.user_id)
        return users.find_user(connection, user.user_id)


def save_team(context: RequestContext, team: str, *, segment: str) -> None:
    """Make a team, or change its segment; empty restricts nobody. Raises AccessProblem, NotFound."""
    team = " ".join(team.split())
    if not team or len(team) > MAX_TEAM_LENGTH or not team.isprintable():
        raise AccessProblem("team_invalid", TEAM_NAME_LENGTH(count=MAX_TEAM_LENGTH))
    if segment:
        definition(context.shop.store, segment)
    with context.shop.store.begin() as connection:
        changed = sa.update(TEAMS).where(TEAMS.c.team == team).values(segment=segment)
        if not connection.execute(changed).rowcount:
            row = {"team": team, "segment": segment, "created_at": context.now, "created_by": context.by}
            connection.execute(sa.insert(TEAMS).values(row))
        context.record(connection, AuditAction.TEAM_SAVED, {"team": team, "segment": segment})


def delete_team(context: RequestContext, team: str) -> None:
    """Delete a team without members. Raises NotFound, AccessProblem."""
    with context.shop.store.begin() as connection:
        if connection.execute(sa.select(USERS.c.user_id).where(USERS.c.team == team).limit(1)).first():
            todo = MOVE_MEMBERS_FIRST
            raise AccessProblem("team_used", TEAM_HAS_MEMBERS, status=409, where=team, todo=todo)
        if not connection.execute(sa.delete(TEAMS).where(TEAMS.c.team == team)).rowcount:
            raise NotFound(NO_SUCH_TEAM, where=team[:MAX_TEAM_LENGTH])
        context.record(connection, AuditAction.TEAM_DELETED, {"team": team})


def _access_details(access: Access) -> dict[str, object]:
    return {"roles": sorted(access.roles), "grants": sorted(access.grants), "team": access.team}


def _log(
    context: RequestContext, connection: sa.Connection, action: AuditAction, user_id: str, **details: object
) -> None:
    context.record(connection, action, {"user_id": user_id, **details})
