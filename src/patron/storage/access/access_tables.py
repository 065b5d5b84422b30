"""Tables of the store for whoever asks: users, their sessions, links, second factors and teams, and keys."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

USERS = sa.Table(
    "users",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True, comment="random; never changes"),
    sa.Column("email", sa.Text, nullable=False, unique=True, comment="what one signs in with, in lower case"),
    sa.Column("name", sa.Text, nullable=False, comment="as colleagues see it"),
    sa.Column("roles", sa.JSON, nullable=False, comment="list of roles"),
    sa.Column("grants", sa.JSON, nullable=False, comment="list of rights next to roles: reveal, export"),
    sa.Column("team", sa.Text, nullable=False, comment="team whose segment restricts what is seen; empty without one"),
    sa.Column("password_hash", sa.Text, nullable=False, comment="argon2id; empty until the first sign-in"),
    sa.Column("totp_secret", sa.LargeBinary, comment="encrypted; NULL without a second factor"),
    sa.Column("totp_step", sa.BigInteger, comment="time step of the last code that was used: each works once"),
    sa.Column("state", sa.Text, nullable=False, comment="invited, active or disabled"),
    sa.Column("locale", sa.Text, nullable=False, comment="language; empty is the shop's"),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("signed_in_at", UTC_TIME, comment="last time"),
)
IDENTITIES = sa.Table(
    "user_identities",
    METADATA,
    sa.Column("issuer", sa.Text, primary_key=True, comment="OpenID provider, or passkey"),
    sa.Column("subject", sa.Text, primary_key=True, comment="who the provider says it is, or the passkey's id"),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("content", sa.LargeBinary, comment="public key of a passkey"),
    sa.Column("sign_count", sa.BigInteger, comment="of a passkey: a copy of it shows in this"),
    sa.Column("name", sa.Text, nullable=False, comment="as its owner calls it"),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("used_at", UTC_TIME, comment="last sign-in by it"),
)
SIGN_IN_CHALLENGES = sa.Table(
    "sign_in_challenges",
    METADATA,
    sa.Column("challenge_hash", sa.Text, primary_key=True, comment="SHA-256 of what is to come back, once"),
    sa.Column("kind", sa.Text, nullable=False, comment="what it is for"),
    sa.Column("user_id", sa.Text, nullable=False, comment="who may answer; empty for whoever signs in"),
    sa.Column("content", sa.LargeBinary, comment="what must not come back with it, encrypted"),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("expires_at", UTC_TIME, nullable=False),
)
SESSIONS = sa.Table(
    "user_sessions",
    METADATA,
    sa.Column("session_hash", sa.Text, primary_key=True, comment="SHA-256 of the cookie, which itself is not stored"),
    sa.Column("session_id", sa.Text, nullable=False, unique=True, comment="public name, to end it by"),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("used_at", UTC_TIME, nullable=False, comment="last request, to the minute"),
    sa.Column("confirmed_at", UTC_TIME, nullable=False, comment="when password or second factor were last entered"),
    sa.Column("has_second_factor", sa.Boolean, nullable=False, comment="whether it was entered"),
    sa.Column("address", sa.Text, nullable=False, comment="of the browser"),
    sa.Column("browser", sa.Text, nullable=False, comment="as it names itself"),
    sa.Column("ended_at", UTC_TIME),
)
USER_LINKS = sa.Table(
    "user_links",
    METADATA,
    sa.Column("link_hash", sa.Text, primary_key=True, comment="SHA-256 of the secret in the link"),
    sa.Column("kind", sa.Text, nullable=False, comment="setup, invitation or reset"),
    sa.Column("user_id", sa.Text, nullable=False, index=True, comment="empty for the set-up of the first user"),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", UTC_TIME, nullable=False),
    sa.Column("used_at", UTC_TIME, comment="a link works once"),
)
RECOVERY_CODES = sa.Table(
    "recovery_codes",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("code_hash", sa.Text, primary_key=True, comment="argon2id"),
    sa.Column("used_at", UTC_TIME, comment="a code works once"),
)
API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("key_hash", sa.Text, primary_key=True, comment="SHA-256 of the key, which itself is not stored"),
    sa.Column("key_id", sa.Text, nullable=False, unique=True, comment="public name of the key"),
    sa.Column("source", sa.Text, nullable=False, comment="source of the events sent with it"),
    sa.Column("kind", sa.Text, nullable=False, comment="write, secret or read"),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("revoked_at", UTC_TIME),
    sa.Column("scopes", sa.JSON, comment="rights as action:area; NULL is all of the kind"),
    sa.Column("expires_at", UTC_TIME, comment="NULL for keys made before they had to expire"),
    sa.Column("used_at", UTC_TIME, comment="last request, to the hour"),
    sa.Column("created_by", sa.Text, nullable=False, server_default=""),
    sa.Column("user_id", sa.Text, nullable=False, server_default="", comment="whose rights bound it"),
    sa.Column("segment", sa.Text, nullable=False, server_default="", comment="whose customers it sees"),
)
TEAMS = sa.Table(
    "teams",
    METADATA,
    sa.Column("team", sa.Text, primary_key=True),
    sa.Column("segment", sa.Text, nullable=False, comment="its members see no customer outside; empty is everybody"),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
)
IDEMPOTENCY_KEYS = sa.Table(
    "idempotency_keys",
    METADATA,
    sa.Column("actor", sa.Text, primary_key=True),
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("request_hash", sa.Text, nullable=False, comment="of method, address and body"),
    sa.Column("status", sa.Integer, comment="NULL while the first request is being answered"),
    sa.Column("content", sa.LargeBinary, comment="encrypted answer"),
    sa.Column("created_at", UTC_TIME, nullable=False),
)
