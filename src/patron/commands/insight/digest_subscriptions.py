"""Subscribe to the mail digest, confirm it from the mailbox, and end it; each is in the audit log.

Nothing is sent before the link of a letter to the address was used: whoever holds it reads that mailbox. The same link
ends the digest, without a sign-in, as every digest has it. It is sealed, so that no row is needed to know it again.
"""

import base64
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from patron.commands.access.sign_in_limits import SignInLimits
from patron.commands.access.user_mail import Compose, can_send_mail, send_user_mail
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.access.users import User, UserState, find_user
from patron.govern.customers.sealed_texts import seal, unseal
from patron.schema.access.access_rights import Actor
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CHOOSE_AT_LEAST_ONE, LINK_INVALID, NEWEST_LINK, ONE_OF_NAMES
from patron.schema.errors import BadDigest, NotFound, WorkspaceError
from patron.schema.insight.digest import DigestRhythm, readable_parts
from patron.schema.sentences import Sentence
from patron.storage.insight.digest_tables import DIGEST_SUBSCRIPTIONS
from patron.storage.insight.digests import DigestSubscription, delete_subscription, digest_subscription
from patron.storage.shop import Shop
from patron.storage.store.store import upsert

SET_CONSOLE_ADDRESS = Sentence(
    "set_console_address", "Set it in [access] of patron.toml to the https address of the console."
)
DIGEST_PART = Sentence("digest_part", "a digest needs at least one part")
NOT_A_RHYTHM = Sentence("not_a_rhythm", "is not a rhythm")
DIGEST_NO_ADDRESS = Sentence(
    "digest_no_address", "without the address of the console nobody could unsubscribe from a digest"
)

PURPOSE = "digest link"
PATH = "/digest/"
"""How the path of a link begins."""
MAX_TOKEN_LENGTH = 1_000


class Confirmation(StrEnum):
    """Whether the mailbox is known to be the subscriber's."""

    CONFIRMED = "confirmed"
    MAILED = "mailed"
    """Not yet: a link is on its way to it."""
    NOT_MAILED = "not_mailed"
    """Not yet: the link could not be sent."""


@dataclass(frozen=True)
class DigestLink:
    """Whose digest a link is about."""

    user: User
    subscription: DigestSubscription | None
    """None where it ended."""


def can_send_digests(shop: Shop) -> bool:
    """Whether an SMTP server is configured, and an address at which the links of a letter work."""
    return can_send_mail(shop) and bool(shop.settings.access.public_url)


def subscribe_to_digest(  # noqa: PLR0913 - who, what, how often, and how they are asked
    shop: Shop,
    actor: Actor,
    parts: Iterable[str],
    rhythm: str,
    *,
    compose: Compose,
    limits: SignInLimits,
    now: datetime,
) -> Confirmation:
    """Subscribe a person who signed in, or change what they are sent; mail the link where none was used yet.

    Raises BadDigest for no part that they may read, no such rhythm, or a server whose letters nobody could end, and
    AccessProblem (429) for too many letters to an address; then nothing changes.
    """
    chosen = tuple(part for part in readable_parts(actor) if part in set(parts))
    if not chosen:
        raise BadDigest(DIGEST_PART, where="parts", todo=CHOOSE_AT_LEAST_ONE)
    if rhythm not in tuple(DigestRhythm):
        raise BadDigest(NOT_A_RHYTHM, where="rhythm", todo=ONE_OF_NAMES(names=", ".join(DigestRhythm)))
    if can_send_mail(shop) and not can_send_digests(shop):
        todo = SET_CONSOLE_ADDRESS
        raise BadDigest(DIGEST_NO_ADDRESS, where="public_url", todo=todo)
    with shop.store.begin() as connection:
        user, before = find_user(connection, actor.user_id), digest_subscription(connection, actor.user_id)
    is_confirmed = before is not None and before.confirmed_at is not None
    if not is_confirmed and can_send_mail(shop):
        limits.count_confirmation(user.email, now=now)
    row = {"user_id": actor.user_id, "parts": list(chosen), "rhythm": rhythm, "subscribed_at": now}
    with shop.store.begin() as connection:
        upsert(connection, DIGEST_SUBSCRIPTIONS, [row], update=("parts", "rhythm"))
        what = {"parts": list(chosen), "rhythm": rhythm}
        _log(shop, connection, AuditAction.DIGEST_SUBSCRIBED, actor.user_id, now, by=actor.name, **what)
    if is_confirmed:
        return Confirmation.CONFIRMED
    is_mailed = send_user_mail(shop, user, compose(user, digest_path(shop, user)), now=now)
    return Confirmation.MAILED if is_mailed else Confirmation.NOT_MAILED


def unsubscribe_from_digest(context: RequestContext, user_id: str) -> None:
    """End a person's digest at once; a second time changes nothing. `by` is empty for whoever opens a letter's link."""
    with context.shop.store.begin() as connection:
        if delete_subscription(connection, user_id):
            _log(context.shop, connection, AuditAction.DIGEST_ENDED, user_id, context.now, by=context.by)


def digest_path(shop: Shop, user: User) -> str:
    """Path of the page that confirms and ends the digest of a user at their address."""
    return PATH + base64.urlsafe_b64encode(seal(shop, PURPOSE, f"{user.user_id} {user.email}")).decode().rstrip("=")


def find_digest_link(shop: Shop, token: str) -> DigestLink:
    """Whose digest a link is about. Raises NotFound for one that is not ours, or whose address or user is gone."""
    invalid = NotFound(LINK_INVALID, todo=NEWEST_LINK)
    try:
        if len(token) > MAX_TOKEN_LENGTH:
            raise invalid
        sealed = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
        user_id, _, email = unseal(shop, PURPOSE, sealed).partition(" ")
    except (WorkspaceError, Base64Error, ValueError):
        raise invalid from None
    with shop.store.begin() as connection:
        user, subscription = find_user(connection, user_id), digest_subscription(connection, user_id)
    if user.email != email or user.state != UserState.ACTIVE:
        raise invalid
    return DigestLink(user, subscription)


def confirm_digest(shop: Shop, token: str, *, now: datetime) -> DigestLink:
    """Note that the mailbox is the subscriber's; a digest that ended stays so. Raises NotFound."""
    user_id, table = find_digest_link(shop, token).user.user_id, DIGEST_SUBSCRIPTIONS
    waiting = sa.update(table).where(table.c.user_id == user_id, table.c.confirmed_at.is_(None))
    with shop.store.begin() as connection:
        if connection.execute(waiting.values(confirmed_at=now)).rowcount:
            _log(shop, connection, AuditAction.DIGEST_CONFIRMED, user_id, now)
    return find_digest_link(shop, token)


def end_digest(shop: Shop, token: str, *, now: datetime) -> DigestLink:
    """End the digest that a link is about, at once. Raises NotFound."""
    unsubscribe_from_digest(RequestContext.from_name(shop, now=now), find_digest_link(shop, token).user.user_id)
    return find_digest_link(shop, token)


def _log(
    shop: Shop, connection: sa.Connection, action: AuditAction, user_id: str, at: datetime, **details: object
) -> None:
    audit_log.append(shop, connection, action, {"user_id": user_id, **details}, at=at)
