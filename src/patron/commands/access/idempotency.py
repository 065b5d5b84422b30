"""Requests that a program may send again, and nothing is done twice: the first answer is kept for a day, encrypted."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from patron.govern.customers.sealed_texts import seal, unseal
from patron.schema.access.access_rights import Actor
from patron.schema.errors import BadRequest
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import IDEMPOTENCY_KEYS
from patron.storage.master_key import derive_key
from patron.storage.shop import Shop

WAIT_AND_SEND = Sentence("wait_and_send", "Wait for its answer, then send it again.")
FIRST_BEING_ANSWERED = Sentence("first_being_answered", "the first request with this key is still being processed")
OWN_KEY_EACH = Sentence("own_key_each", "Send each request with a key of its own.")
KEY_OF_OTHER_REQUEST = Sentence("key_of_other_request", "another request was sent with this key")

KEPT_FOR = timedelta(hours=24)
GIVEN_UP_AFTER = timedelta(minutes=10)
"""After which a request that was never answered, as when the server stopped, may be sent again."""


@dataclass(frozen=True)
class StoredAnswer:
    """The answer to the first request."""

    status: int
    content: bytes


@dataclass(frozen=True)
class Claim:
    """A request that is being answered under an idempotency key."""

    actor: str
    """Id of the user or key."""
    key: str
    request_hash: str

    @property
    def _row(self) -> sa.ColumnElement[bool]:
        return (IDEMPOTENCY_KEYS.c.actor == self.actor) & (IDEMPOTENCY_KEYS.c.idempotency_key == self.key)

    @property
    def _purpose(self) -> str:
        return f"idempotency {self.actor} {self.key}"

    def begin(self, shop: Shop, *, now: datetime) -> StoredAnswer | None:
        """The answer to the same request before, or None: then this one is the first.

        Raises BadRequest: 409 while the first is being answered, 422 for another request under the same key.
        """
        table = IDEMPOTENCY_KEYS
        with shop.store.begin() as connection:
            is_over = table.c.created_at < now - KEPT_FOR
            # why of a time to come, too: the clock went back
            is_old = sa.not_(table.c.created_at.between(now - GIVEN_UP_AFTER, now + GIVEN_UP_AFTER))
            is_given_up = table.c.status.is_(None) & is_old
            connection.execute(sa.delete(table).where(is_over | is_given_up))
            row = connection.execute(sa.select(table).where(self._row)).mappings().first()
            if row is None:
                values = {"actor": self.actor, "idempotency_key": self.key, "request_hash": self.request_hash}
                try:
                    connection.execute(sa.insert(table).values(**values, created_at=now))
                except IntegrityError:
                    raise _in_progress() from None
                return None
        if row["request_hash"] != self.request_hash:
            todo = OWN_KEY_EACH
            raise BadRequest(422, KEY_OF_OTHER_REQUEST, where="Idempotency-Key", todo=todo)
        if row["status"] is None:
            raise _in_progress()
        return StoredAnswer(row["status"], unseal(shop, self._purpose, row["content"]).encode())

    def keep(self, shop: Shop, answer: StoredAnswer) -> None:
        """Keep the answer for those who send the request again."""
        content = seal(shop, self._purpose, answer.content.decode())
        with shop.store.begin() as connection:
            kept = sa.update(IDEMPOTENCY_KEYS).where(self._row)
            connection.execute(kept.values(status=answer.status, content=content))

    def release(self, shop: Shop) -> None:
        """Forget a request that was refused or failed: it may be sent again."""
        with shop.store.begin() as connection:
            connection.execute(sa.delete(IDEMPOTENCY_KEYS).where(self._row))


def claim(shop: Shop, actor: Actor, key: str, request: bytes) -> Claim:
    """The claim of an actor on a key, for a request; its hash says nothing about who is named in the request."""
    secret = derive_key(shop.master_key_place.read(), "idempotency")
    return Claim(actor.key_id or actor.user_id, key, hmac.new(secret, request, hashlib.sha256).hexdigest())


def _in_progress() -> BadRequest:
    todo = WAIT_AND_SEND
    return BadRequest(409, FIRST_BEING_ANSWERED, where="Idempotency-Key", todo=todo)
