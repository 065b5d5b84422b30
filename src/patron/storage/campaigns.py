"""Saved campaigns: every version with its author, and the steps of their life, each with who and when.

A campaign's state follows from its last step. What a step needs and leads to stands in one table, STEPS.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.schema.errors import BadCampaign, NotFound, SettingsError
from patron.storage.campaign_file import Campaign
from patron.storage.campaign_tables import ASSIGNMENTS, CAMPAIGN_STEPS, CAMPAIGNS
from patron.storage.model_decisions import utc
from patron.storage.store import Store

DRAFT, PLANNED, APPROVED, RUNNING = "draft", "planned", "approved", "running"
PAUSED, WITHDRAWN, ENDED, MEASURED = "paused", "withdrawn", "ended", "measured"
STATES = (DRAFT, PLANNED, APPROVED, RUNNING, PAUSED, WITHDRAWN, ENDED, MEASURED)
BEFORE = ""
"""Stands for the state that a campaign was in before it was paused."""
MOST_CHARACTERS = 300


@dataclass(frozen=True)
class Step:
    """What a step of a campaign's life needs, and leads to."""

    needs: tuple[str, ...]
    """States in which it can be taken."""
    leads_to: str
    todo: str
    """What to do where it cannot be taken."""


STEPS: Mapping[str, Step] = {
    "saved": Step((DRAFT, PLANNED, APPROVED, RUNNING, PAUSED), DRAFT, "Save it under another name."),
    "planned": Step((DRAFT, PLANNED, APPROVED, PAUSED), PLANNED, "Pause it first, then plan it again."),
    "approved": Step((PLANNED,), APPROVED, "Only a planned one can be approved: see `patron campaign plan`."),
    "started": Step((APPROVED,), RUNNING, "Only an approved one is sent: see `patron campaign approve`."),
    "paused": Step((APPROVED, RUNNING), PAUSED, "Only one that is approved or running sends anything."),
    "resumed": Step((PAUSED,), BEFORE, "Only a paused one can be resumed."),
    "withdrawn": Step((DRAFT, PLANNED, APPROVED, RUNNING, PAUSED), WITHDRAWN, "It is over already."),
    "ended": Step((APPROVED, RUNNING, PAUSED), ENDED, "Only one that was approved can end."),
    "measured": Step((ENDED, MEASURED), MEASURED, "It is measured once it has ended."),
}
"""The only transitions there are; a save of the first version makes the draft."""


@dataclass(frozen=True)
class TakenStep:
    """One step that was taken."""

    entry: int
    step: str
    version: int
    taken_at: datetime
    taken_by: str
    """As written."""
    details: Mapping[str, Any]
    """What it found, such as the plan's totals."""


@dataclass(frozen=True)
class SavedCampaign:
    """The newest version of a campaign, its state, and how it got there."""

    campaign: Campaign
    version: int
    saved_at: datetime
    saved_by: str
    """Author of this version."""
    state: str
    steps: tuple[TakenStep, ...]

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.campaign.name

    def last(self, step: str) -> TakenStep | None:
        """The last such step of any version; None without one."""
        return next((one for one in reversed(self.steps) if one.step == step), None)


def campaign_of(store: Store, name: str) -> SavedCampaign:
    """The newest version of a campaign. Raises NotFound."""
    with store.begin() as connection:
        return saved_campaign(connection, name)


def saved_campaign(connection: sa.Connection, name: str) -> SavedCampaign:
    """The newest version of a campaign within a transaction. Raises NotFound."""
    row = connection.execute(_newest(name)).mappings().first()
    if row is None:
        raise NotFound(f"no campaign {name!r}", where="campaign", todo="See `patron campaign list`.")
    return _saved(connection, row)


def campaigns(store: Store) -> tuple[SavedCampaign, ...]:
    """The newest version of every campaign, by name."""
    table = CAMPAIGNS.c
    newest = sa.select(table.name, sa.func.max(table.version)).group_by(table.name)
    chosen = sa.select(CAMPAIGNS).where(sa.tuple_(table.name, table.version).in_(newest)).order_by(table.name)
    with store.begin() as connection:
        return tuple(_saved(connection, row) for row in connection.execute(chosen).mappings().all())


def save_campaign(connection: sa.Connection, campaign: Campaign, saved_by: str, at: datetime) -> SavedCampaign:
    """Save a campaign as a draft: a new version where anything of it changed, and nothing where nothing did.

    Assignments that were drawn stay. Raises BadCampaign for one that is over, SettingsError without an author.
    """
    author, before = person(saved_by), connection.execute(_newest(campaign.name)).mappings().first()
    if before is None:
        return _insert(connection, campaign, 1, author, at)
    saved = _saved(connection, before)
    if saved.campaign == campaign:
        return saved
    require(saved, "saved")
    return _insert(connection, campaign, saved.version + 1, author, at)


def take_step(  # noqa: PLR0913, PLR0917 - what a step consists of
    connection: sa.Connection,
    name: str,
    step: str,
    version: int,
    by: str,
    at: datetime,
    details: Mapping[str, Any] | None = None,
) -> SavedCampaign:
    """Take a step of a version, and return the campaign after it.

    Raises NotFound, BadCampaign in a state that does not allow it or where another version was saved meanwhile,
    SettingsError without a name.
    """
    lock_campaigns(connection)
    saved, who = saved_campaign(connection, name), person(by)
    if saved.version != version:
        what = f"version {version} of {name!r} is not the newest: {saved.saved_by} saved version {saved.version}"
        raise BadCampaign(what, where="campaign", todo="Look at it with `patron campaign show`, then repeat.")
    require(saved, step)
    _append(connection, saved, step, who, at, details or {})
    return saved_campaign(connection, name)


def state_in_words(state: str) -> str:
    """A state as it stands after "is"."""
    return "a draft" if state == DRAFT else state


def require(saved: SavedCampaign, step: str) -> None:
    """Raise BadCampaign where a campaign's state does not allow a step."""
    rule = STEPS[step]
    if saved.state not in rule.needs:
        state = state_in_words(saved.state)
        raise BadCampaign(f"{saved.name!r} is {state} and cannot be {step}", where="campaign", todo=rule.todo)


def assignments_of_customer(connection: sa.Connection, campaign: str) -> dict[str, bool]:
    """Whether each customer of a campaign who was assigned is in its holdout."""
    table = ASSIGNMENTS.c
    chosen = sa.select(table.customer_id, table.is_holdout).where(table.campaign == campaign)
    return {row.customer_id: bool(row.is_holdout) for row in connection.execute(chosen)}


def lock_campaigns(connection: sa.Connection) -> None:
    """Let no other process take a step until this transaction ends."""
    if connection.dialect.name == "sqlite":  # why: a write, although of no row, takes SQLite's lock
        connection.execute(sa.update(CAMPAIGN_STEPS).where(sa.false()).values(step=CAMPAIGN_STEPS.c.step))
    else:
        connection.execute(sa.text("lock table campaign_steps in share row exclusive mode"))


def person(text: str) -> str:
    """The name of a person as written. Raises SettingsError for an empty, too long or unprintable one."""
    name = text.strip()
    if not name or not name.isprintable() or len(name) > MOST_CHARACTERS:
        what = f"needs 1 to {MOST_CHARACTERS} printable characters"
        raise SettingsError(what, where="--as", todo='Name a person, such as --as "A. Lee".')
    return name


def state_after(steps: tuple[TakenStep, ...]) -> str:
    """The state that these steps lead to."""
    state, before = DRAFT, DRAFT
    for one in steps:
        after = STEPS[one.step].leads_to
        if after == PAUSED:
            before = state
        state = before if after == BEFORE else after
    return state


def _newest(name: str) -> sa.Select[Any]:
    return sa.select(CAMPAIGNS).where(CAMPAIGNS.c.name == name).order_by(CAMPAIGNS.c.version.desc()).limit(1)


def _insert(connection: sa.Connection, campaign: Campaign, version: int, by: str, at: datetime) -> SavedCampaign:
    lock_campaigns(connection)
    content = json.dumps(campaign.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
    row = {"name": campaign.name, "version": version, "content": content, "saved_at": at, "saved_by": by}
    connection.execute(sa.insert(CAMPAIGNS).values(row))
    _append(connection, _saved(connection, row), "saved", by, at, {})
    return saved_campaign(connection, campaign.name)


def _append(
    connection: sa.Connection, saved: SavedCampaign, step: str, by: str, at: datetime, details: Mapping[str, Any]
) -> None:
    entry = saved.steps[-1].entry + 1 if saved.steps else 1
    text = json.dumps(details, ensure_ascii=False, sort_keys=True, allow_nan=False)
    values = {"campaign": saved.name, "entry": entry, "step": step, "version": saved.version}
    values |= {"taken_at": at, "taken_by": by, "details": text}
    connection.execute(sa.insert(CAMPAIGN_STEPS).values(values))


def _saved(connection: sa.Connection, row: Mapping[Any, Any]) -> SavedCampaign:
    name = row["name"]
    chosen = sa.select(CAMPAIGN_STEPS).where(CAMPAIGN_STEPS.c.campaign == name).order_by(CAMPAIGN_STEPS.c.entry)
    steps = tuple(
        TakenStep(
            one["entry"],
            one["step"],
            one["version"],
            utc(one["taken_at"]),
            one["taken_by"],
            json.loads(one["details"]),
        )
        for one in connection.execute(chosen).mappings()
    )
    campaign = Campaign.of(json.loads(row["content"]), where=f"campaign {name}")
    return SavedCampaign(campaign, row["version"], utc(row["saved_at"]), row["saved_by"], state_after(steps), steps)
