"""Challenges of a sign-in: what a passkey signs and what an issuer sends back; each works once.

A challenge holds 32 random bytes, so that its plain SHA-256 is enough to know it again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from patron.govern.customers.sealed_texts import seal, unseal
from patron.storage.access.access_tables import SIGN_IN_CHALLENGES
from patron.storage.shop import Shop

CHALLENGE_BYTES = 32
CHALLENGE_LASTS = timedelta(minutes=10)


class ChallengeKind(StrEnum):
    """What an answer is for."""

    SIGN_IN = "passkey sign-in"
    CONFIRM = "passkey confirmation"
    NEW_PASSKEY = "new passkey"
    ISSUER = "sign-in at an issuer"


@dataclass(frozen=True)
class Challenge:
    """One that somebody answered."""

    user_id: str
    """Who it was made for; empty for whoever signs in."""
    content: Mapping[str, str]
    """What waited here for the answer."""
    created_at: datetime


def create_challenge(  # noqa: PLR0913 - what a row is
    shop: Shop,
    connection: sa.Connection,
    kind: ChallengeKind,
    challenge: bytes,
    *,
    user_id: str = "",
    content: Mapping[str, str] | None = None,
    at: datetime,
) -> None:
    """Store a challenge; those that nobody answered in time are deleted."""
    challenges = SIGN_IN_CHALLENGES
    connection.execute(sa.delete(challenges).where(challenges.c.expires_at <= at))
    hashed = _hash(challenge)
    row = {
        "challenge_hash": hashed,
        "kind": kind.value,
        "user_id": user_id,
        "content": seal(shop, _purpose(hashed), json.dumps(content)) if content else None,
        "created_at": at,
        "expires_at": at + CHALLENGE_LASTS,
    }
    connection.execute(sa.insert(challenges).values(row))


def use_challenge(
    shop: Shop, connection: sa.Connection, kind: ChallengeKind, challenge: bytes, *, now: datetime
) -> Challenge | None:
    """Use a challenge up; None for one that is unknown, used, too old, or for something else."""
    rows = SIGN_IN_CHALLENGES.c
    is_same = (rows.challenge_hash == _hash(challenge), rows.kind == kind.value, rows.expires_at > now)
    row = connection.execute(sa.select(SIGN_IN_CHALLENGES).where(*is_same)).mappings().first()
    # why: of two answers at once the second deletes nothing
    if row is None or not connection.execute(sa.delete(SIGN_IN_CHALLENGES).where(*is_same)).rowcount:
        return None
    content = json.loads(unseal(shop, _purpose(row["challenge_hash"]), row["content"])) if row["content"] else {}
    return Challenge(row["user_id"], content, row["created_at"].replace(tzinfo=now.tzinfo))


def _hash(challenge: bytes) -> str:
    return hashlib.sha256(challenge).hexdigest()


def _purpose(hashed: str) -> str:
    return f"sign-in challenge {hashed}"
