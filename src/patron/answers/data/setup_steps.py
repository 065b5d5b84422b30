"""The set-up of a workspace as a list to tick off: what is left until the shop runs."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

import sqlalchemy as sa

from patron.schema.access.access_rights import Action, Actor, Area
from patron.schema.tables import EVENTS
from patron.storage.access.access_tables import IDENTITIES, USERS
from patron.storage.outreach.campaign_tables import CAMPAIGNS
from patron.storage.runs.job_tables import SETUP_STEPS
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import POLICY_FILE

PASSKEY = "passkey"
"""Issuer of passkeys among the identities of users."""


@dataclass(frozen=True)
class SetupStep:
    """One step of the set-up."""

    code: str
    link: str
    is_done: bool


@dataclass(frozen=True)
class _Step:
    code: str
    link: str
    action: Action
    area: Area
    is_done: Callable[[Shop, Actor], bool]


def _has_events(shop: Shop, _actor: Actor) -> bool:
    return shop.lake.exists(EVENTS)


def _has_run(shop: Shop, _actor: Actor) -> bool:
    return shop.last_completed() is not None


def _has_changed_policy(shop: Shop, _actor: Actor) -> bool:
    default = (resources.files("patron.storage") / "defaults" / POLICY_FILE).read_bytes()
    return (shop.folder / POLICY_FILE).read_bytes() != default


def _has_second_factor(shop: Shop, actor: Actor) -> bool:
    by_code = sa.select(USERS.c.user_id).where(USERS.c.user_id == actor.user_id, USERS.c.totp_secret.is_not(None))
    by_key = sa.select(IDENTITIES.c.user_id).where(
        IDENTITIES.c.user_id == actor.user_id, IDENTITIES.c.issuer == PASSKEY
    )
    with shop.store.begin() as connection:
        return any(connection.execute(chosen).first() for chosen in (by_code, by_key))


def _has_team(shop: Shop, _actor: Actor) -> bool:
    counted = sa.select(sa.func.count()).select_from(USERS).where(USERS.c.state != "disabled")
    with shop.store.begin() as connection:
        return (connection.scalar(counted) or 0) > 1


def _has_channel(shop: Shop, _actor: Actor) -> bool:
    return shop.policy.channel.confirm == "automatic" or bool(shop.settings.channels.configured)


def _has_campaign(shop: Shop, _actor: Actor) -> bool:
    with shop.store.begin() as connection:
        return connection.execute(sa.select(CAMPAIGNS.c.name).limit(1)).first() is not None


STEPS = (
    _Step("import", "/ingestion/upload", Action.ACT, Area.DATA, _has_events),
    _Step("run", "/runs", Action.ACT, Area.RUNS, _has_run),
    _Step("policy", "/offers", Action.READ, Area.OFFERS, _has_changed_policy),
    _Step("second_factor", "/account", Action.READ, Area.OVERVIEW, _has_second_factor),
    _Step("team", "/settings", Action.ADMINISTER, Area.ACCESS, _has_team),
    _Step("channel", "/settings", Action.ADMINISTER, Area.SETTINGS, _has_channel),
    _Step("campaign", "/campaigns", Action.ACT, Area.CAMPAIGNS, _has_campaign),
)
OF_USER = frozenset({"second_factor"})
"""Steps that each user has of their own."""


def setup_steps(shop: Shop, actor: Actor) -> tuple[SetupStep, ...]:
    """Steps that the reader can take and nobody dismissed, done ones too; none when all of them are done."""
    if not (actor.user_id or actor.key_id):
        return ()  # why: who visits a demo sets nothing up
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(SETUP_STEPS.c.step, SETUP_STEPS.c.user_id)).all()
    dismissed = {step for step, user_id in rows if user_id in {"", actor.user_id}}
    steps = tuple(
        SetupStep(step.code, step.link, step.is_done(shop, actor))
        for step in STEPS
        if step.code not in dismissed
        and actor.may(step.action, step.area)
        and (step.code not in OF_USER or actor.user_id)
    )
    return () if all(step.is_done for step in steps) else steps
