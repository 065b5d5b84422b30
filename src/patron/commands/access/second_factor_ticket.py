"""The state between the first and the second factor: a ticket, encrypted for five minutes, and no row."""

import base64
import hashlib
import json
from binascii import Error as Base64Error
from datetime import datetime, timedelta

import sqlalchemy as sa

from patron.govern.customers.sealed_texts import seal, unseal
from patron.schema.common_sentences import SIGN_IN_AGAIN, SIGN_IN_TOO_LONG
from patron.schema.errors import AccessProblem, WorkspaceError
from patron.storage.access.access_tables import USERS
from patron.storage.shop import Shop

PURPOSE = "ticket between password and second factor"
LASTS = timedelta(minutes=5)


def create_ticket(shop: Shop, user_id: str, password_hash: str, *, first: str, now: datetime) -> str:
    """A ticket for somebody who proved to be a user by a first factor; it dies with the password."""
    content = {"user_id": user_id, "until": (now + LASTS).isoformat(), "password": _mark(password_hash), "first": first}
    return base64.urlsafe_b64encode(seal(shop, PURPOSE, json.dumps(content))).decode()


def read_ticket(shop: Shop, ticket: str, *, now: datetime) -> tuple[str, str]:
    """The user of a ticket, and the first factor. Raises AccessProblem."""
    again = AccessProblem("sign_in_again", SIGN_IN_TOO_LONG, status=401, todo=SIGN_IN_AGAIN)
    try:
        content = json.loads(unseal(shop, PURPOSE, base64.urlsafe_b64decode(ticket.encode())))
    except (WorkspaceError, Base64Error, UnicodeEncodeError, ValueError):
        raise again from None
    with shop.store.begin() as connection:
        stored = connection.scalar(sa.select(USERS.c.password_hash).where(USERS.c.user_id == content["user_id"]))
    if now >= datetime.fromisoformat(content["until"]) or content["password"] != _mark(stored or ""):
        raise again
    return content["user_id"], content["first"]


def _mark(password_hash: str) -> str:
    """Changes with the password."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]
