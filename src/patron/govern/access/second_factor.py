"""The second factor of a sign-in: codes of an app by time (TOTP, RFC 6238), and recovery codes; each works once."""

import base64
import hmac
import secrets
from datetime import datetime

import sqlalchemy as sa
from pyotp.totp import TOTP

from patron.govern.access.passwords import hash_code, is_code
from patron.govern.access.users import secret_of
from patron.govern.customers.sealed_texts import seal, unseal
from patron.storage.access.access_tables import RECOVERY_CODES, USERS
from patron.storage.shop import Shop

SECRET_BYTES = 20
STEP_SECONDS = 30
LEEWAY_STEPS = 1
"""Steps that a clock may be off."""
CODE_COUNT = 10
CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of recovery codes: none looks like another."""
CODE_LENGTH = 12


def new_totp_secret() -> str:
    """A secret for an app, 160 bits in base 32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def totp_address(secret: str, *, account: str, issuer: str) -> str:
    """What a picture for an app says: `otpauth://totp/...`."""
    return TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def matching_step(secret: str, code: str, *, at: datetime) -> int | None:
    """Time step whose code this is, of those around now."""
    now = int(at.timestamp()) // STEP_SECONDS
    digits = "".join(code.split())
    totp = TOTP(secret)
    for step in range(now - LEEWAY_STEPS, now + LEEWAY_STEPS + 1):
        if hmac.compare_digest(totp.at(step * STEP_SECONDS).encode(), digits.encode()):
            return step
    return None


def set_totp(shop: Shop, connection: sa.Connection, user_id: str, secret: str, *, step: int) -> None:
    """Give a user a second factor; `step` is that of the code that proved it."""
    values = {"totp_secret": seal(shop, _purpose(user_id), secret), "totp_step": step}
    connection.execute(sa.update(USERS).where(USERS.c.user_id == user_id).values(values))


def remove_factor(connection: sa.Connection, user_id: str) -> None:
    """Take a user's second factor and recovery codes away."""
    connection.execute(sa.update(USERS).where(USERS.c.user_id == user_id).values(totp_secret=None, totp_step=None))
    connection.execute(sa.delete(RECOVERY_CODES).where(RECOVERY_CODES.c.user_id == user_id))


def use_code(shop: Shop, connection: sa.Connection, user_id: str, code: str, *, at: datetime) -> str:
    """Use a code of the app or a recovery code up: `totp` or `recovery`, or empty for a wrong or used one."""
    row = secret_of(connection, user_id)
    if row["totp_secret"] is None:
        return ""
    step = matching_step(unseal(shop, _purpose(user_id), row["totp_secret"]), code, at=at)
    if step is None:
        return "recovery" if _use_recovery_code(connection, user_id, code, at=at) else ""
    is_fresh = sa.or_(USERS.c.totp_step.is_(None), USERS.c.totp_step < step)
    used = sa.update(USERS).where(USERS.c.user_id == user_id, is_fresh).values(totp_step=step)
    return "totp" if connection.execute(used).rowcount else ""


def create_recovery_codes(connection: sa.Connection, user_id: str) -> tuple[str, ...]:
    """Make codes for when the app is gone, instead of earlier ones; they are shown once."""
    codes = tuple(_new_code() for _ in range(CODE_COUNT))
    connection.execute(sa.delete(RECOVERY_CODES).where(RECOVERY_CODES.c.user_id == user_id))
    rows = [{"user_id": user_id, "code_hash": hash_code(_bare(code))} for code in codes]
    connection.execute(sa.insert(RECOVERY_CODES), rows)
    return codes


def count_recovery_codes(connection: sa.Connection, user_id: str) -> int:
    """Recovery codes that were not used."""
    chosen = sa.select(sa.func.count()).where(RECOVERY_CODES.c.user_id == user_id, RECOVERY_CODES.c.used_at.is_(None))
    return connection.scalar(chosen) or 0


def _use_recovery_code(connection: sa.Connection, user_id: str, code: str, *, at: datetime) -> bool:
    text = _bare(code)
    if len(text) != CODE_LENGTH:
        return False
    mine = (RECOVERY_CODES.c.user_id == user_id, RECOVERY_CODES.c.used_at.is_(None))
    for code_hash in connection.scalars(sa.select(RECOVERY_CODES.c.code_hash).where(*mine)).all():
        if is_code(code_hash, text):
            used = sa.update(RECOVERY_CODES).where(*mine, RECOVERY_CODES.c.code_hash == code_hash)
            return bool(connection.execute(used.values(used_at=at)).rowcount)
    return False


def _new_code() -> str:
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    return "-".join(letters[start : start + 4] for start in range(0, CODE_LENGTH, 4))


def _bare(code: str) -> str:
    return "".join(letter for letter in code.lower() if letter.isalnum())


def _purpose(user_id: str) -> str:
    return f"totp {user_id}"
