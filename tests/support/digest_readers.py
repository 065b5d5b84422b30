"""People who subscribe to the mail digest, and the run that it is of."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from patron.commands.access.sign_in_limits import SignInLimits
from patron.commands.access.user_mail import UserMail
from patron.commands.insight.digest_subscriptions import confirm_digest, digest_path, subscribe_to_digest
from patron.govern.access import users
from patron.govern.access.user_sessions import actor_of_user
from patron.govern.access.users import Access
from patron.schema.access.access_rights import Role
from patron.storage.shop import SETTINGS_FILE, Shop
from patron.storage.store.store import RUNS

CONSOLE = "https://crm.example.com"
MONDAY = datetime(2026, 3, 2, 7, tzinfo=UTC)


def join(shop, name, *roles, team="", **columns):
    """Somebody who signs in; returns the id."""
    with shop.store.begin() as connection:
        access = Access(roles or (Role.VIEWER,), (), team)
        user_id = users.add_user(connection, f"{name}@example.com", name, access, by="test", at=MONDAY)
        users.change_user(connection, user_id, **{"state": "active", "password_hash": "x", **columns})
    return user_id


def with_address(shop):
    """The shop with the address of its console, at which links of letters work."""
    path = shop.folder / SETTINGS_FILE
    path.write_text(f'{path.read_text("utf-8")}\n[access]\npublic_url = "{CONSOLE}"\n', encoding="utf-8")
    return Shop.open(shop.folder)


def user_of(shop, user_id):
    with shop.store.begin() as connection:
        return users.find_user(connection, user_id)


def subscribe(shop, user_id, *parts, rhythm="every_run", at=MONDAY, is_confirmed=True):
    """Subscribe somebody; returns what the mailbox's link confirmed or is to confirm."""
    parts = parts or ("today", "questions", "brief")
    asked = {"compose": link_letter, "limits": SignInLimits(), "now": at}
    confirmation = subscribe_to_digest(shop, actor_of(shop, user_id), parts, rhythm, **asked)
    if is_confirmed:
        confirm_digest(shop, token_of(shop, user_id), now=at)
    return confirmation


def token_of(shop, user_id):
    return digest_path(shop, user_of(shop, user_id)).rpartition("/")[2]


def link_letter(_user, path):
    return UserMail("Confirm", f"https://crm.example.com{path}")


def finish_run(shop, at, run_id=""):
    """A run that finished; of its tables there is nothing."""
    row = {"run_id": run_id or at.isoformat(), "as_of": at, "finished_at": at, "seconds": 1.0, "seed": 1}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(**row, policy_version="p", table_versions={}, summary={}))


class Clock:
    """A clock that tests set."""

    def __init__(self, now=MONDAY):
        self.now = now

    def __call__(self):
        return self.now

    def wait(self, **time):
        self.now += timedelta(**time)
        return self.now


def actor_of(shop, user_id):
    """What somebody may do by now."""
    with shop.store.begin() as connection:
        return actor_of_user(connection, user_id)


def finish_last_run(shop, at):
    """Let the newest run have finished at a time; its tables stay."""
    newest = sa.select(sa.func.max(RUNS.c.as_of)).scalar_subquery()
    with shop.store.begin() as connection:
        connection.execute(sa.update(RUNS).where(RUNS.c.as_of == newest).values(finished_at=at))
