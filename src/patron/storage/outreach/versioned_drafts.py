"""Drafts that are saved in versions and approved: campaigns, journeys and audiences, each with its author and steps.

A state follows from the last step; STEPS says what a step needs and leads to. Each kind is defined once, next to its
file (CAMPAIGN, JOURNEY, AUDIENCE); all are rows of the same tables, and no two have the same name.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.schema.common_sentences import NEEDS_NAME
from patron.schema.errors import NotFound, PatronError, SettingsError
from patron.schema.sentences import Sentence, Text, named
from patron.schema.spelling import both, did_you_mean
from patron.storage.base_version import require_base
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, CAMPAIGN_STEPS, CAMPAIGNS
from patron.storage.store.declared_store import DeclaredConnection
from patron.storage.store.statements import lock_table
from patron.storage.store.store import Store

SAVE_OTHER_NAME = Sentence("save_other_name", "Save it under another name.")
PAUSE_FIRST = Sentence("pause_first", "Pause it first, then plan it again.")
ONLY_SENDS = Sentence("only_sends", "Only one that is approved or running sends anything.")
ONLY_PLANNED = Sentence("only_planned", "Only a planned one can be approved: see `patron {kind} plan`.")
ONLY_APPROVED = Sentence("only_approved", "Only an approved one is sent: see `patron {kind} approve`.")
ONLY_PAUSED = Sentence("only_paused", "Only a paused one can be resumed.")
OVER_ALREADY = Sentence("over_already", "It is over already.")
ONLY_ENDS = Sentence("only_ends", "Only an approved one can end.")
MEASURED_AFTER_END = Sentence("measured_after_end", "It is measured once it has ended.")
SEE_LIST = Sentence("see_list", "See `patron {kind} list`.")
NO_VERSION = Sentence("no_version", "no version {version} of a {kind} {name!r}")
NONE_OF_NAME = Sentence("none_of_name", "no {kind} {name!r}")
OF_OTHER_KIND = Sentence("of_other_kind", "It is {kind}: see `patron {command} show`.")
NAME_TAKEN = Sentence("name_taken", "{kind} has the name {name!r}")
NAMES_SHARED = Sentence("names_shared", "Choose another name: campaigns, journeys and audiences share theirs.")
VERSION_NOT_NEWEST = Sentence(
    "version_not_newest", "version {version} of {name!r} is not the newest: {author} saved version {newest}"
)
LOOK_THEN_REPEAT = Sentence("look_then_repeat", "Look at the newest with `patron {kind} show`, then try again.")
WRONG_STATE = Sentence("wrong_state", "{name!r} is {state} and cannot be {step}")
NAME_PERSON = Sentence("name_person", 'Name a person, such as --as "A. Lee".')
SEE_SHOW = Sentence("see_show", "See `patron {kind} show`.")
DRAFT = "draft"
PLANNED = "planned"
APPROVED = "approved"
RUNNING = "running"
PAUSED = "paused"
WITHDRAWN = "withdrawn"
ENDED = "ended"
MEASURED = "measured"
STATES = (DRAFT, PLANNED, APPROVED, RUNNING, PAUSED, WITHDRAWN, ENDED, MEASURED)
IS_OVER = (WITHDRAWN, ENDED, MEASURED)
BEFORE = ""
"""Stands for the state that a campaign was in before it was paused."""
SAME = "same"
"""Stands for the state that it is in already."""
MAX_CHARACTERS = 300
IN_ONE_QUERY = 500


@dataclass(frozen=True)
class Step:
    """What a step of a campaign's life needs, and leads to."""

    needs: tuple[str, ...]
    """States in which it can be taken."""
    leads_to: str
    todo: Sentence
    """What to do where it cannot be taken."""

    def advice(self, kind: str) -> str:
        """What to do where one of a kind cannot take it."""
        return self.todo(kind=kind) if self.todo.places else self.todo


STEPS: Mapping[str, Step] = {
    "saved": Step((DRAFT, PLANNED, APPROVED, RUNNING, PAUSED), DRAFT, SAVE_OTHER_NAME),
    "planned": Step((DRAFT, PLANNED, APPROVED, PAUSED), PLANNED, PAUSE_FIRST),
    "reopened": Step((PLANNED, APPROVED, PAUSED), DRAFT, PAUSE_FIRST),
    "approved": Step((PLANNED,), APPROVED, ONLY_PLANNED),
    "reapproved": Step((APPROVED, RUNNING, PAUSED), SAME, ONLY_APPROVED),
    "pinned": Step((DRAFT, PLANNED, APPROVED, RUNNING, PAUSED), SAME, OVER_ALREADY),
    "started": Step((APPROVED,), RUNNING, ONLY_APPROVED),
    "paused": Step((APPROVED, RUNNING), PAUSED, ONLY_SENDS),
    "resumed": Step((PAUSED,), BEFORE, ONLY_PAUSED),
    "withdrawn": Step((DRAFT, PLANNED, APPROVED, RUNNING, PAUSED), WITHDRAWN, OVER_ALREADY),
    "ended": Step((APPROVED, RUNNING, PAUSED), ENDED, ONLY_ENDS),
    "measured": Step((ENDED, MEASURED, WITHDRAWN), MEASURED, MEASURED_AFTER_END),
}
"""The only transitions there are; a save of the first version makes the draft.

reopened: another plan is written, whose rows nobody has approved; reapproved: what changed since the approval counts
from now on; pinned: Patron recorded what an approval of an earlier Patron was given for.
"""
STEPS_WITH_TERMS = ("approved", "reapproved", "pinned")
"""Steps whose details have the terms under which a version is sent."""


@dataclass(frozen=True)
class TakenStep:
    """One step that was taken."""

    entry: int
    step: str
    version: int
    taken_at: datetime
    taken_by: str
    details: Mapping[str, Any]
    """What it found, such as the plan's totals."""


class Draft(Protocol):
    """What is saved: its name, and when it is over."""

    @property
    def name(self) -> str:
        """Of all its versions."""
        ...

    def end_at(self, zone: ZoneInfo) -> datetime | None:
        """When it is over; None: never."""
        ...

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Its content as JSON has it."""
        ...


Content = TypeVar("Content", bound=Draft)


@dataclass(frozen=True)
class SavedVersion(Generic[Content]):
    """The newest version of a draft, its state, and how it got there."""

    content: Content
    version: int
    saved_at: datetime
    saved_by: str
    """Author of this version."""
    state: str
    steps: tuple[TakenStep, ...]
    name: str

    def end_at(self, zone: ZoneInfo) -> datetime | None:
        """When it is over; None: never. `zone` is the shop's."""
        return self.content.end_at(zone)

    def last(self, step: str) -> TakenStep | None:
        """The last such step of any version; None without one."""
        return next((one for one in reversed(self.steps) if one.step == step), None)

    def approval(self, version: int | None = None) -> TakenStep | None:
        """The last step that approved a version, by default this one, and says under which terms it is sent."""
        of = self.version if version is None else version
        taken = (one for one in reversed(self.steps) if one.version == of and one.step in STEPS_WITH_TERMS)
        return next(taken, None)

    def approval_entry(self, version: int | None = None) -> int:
        """Number of that step; 0 without one."""
        approval = self.approval(version)
        return approval.entry if approval else 0


@dataclass(frozen=True)
class VersionedDrafts(Generic[Content]):
    """One kind of what is saved and approved in versions, such as campaigns."""

    kind: str
    """campaign, journey or audience."""
    parse: Callable[..., Content]
    """Reads the content of a row; `where` says where it is from."""
    problem: type[PatronError]

    def saved(self, connection: sa.Connection, name: str) -> SavedVersion[Content]:
        """The newest version of one. Raises NotFound."""
        row = _newest(connection, name)
        if row is None or row["kind"] != self.kind:
            raise self._missing(connection, name, row["kind"] if row else "")
        return self._saved(connection, row)

    def saved_in(self, store: Store, name: str) -> SavedVersion[Content]:
        """The newest version of one. Raises NotFound."""
        with store.begin() as connection:
            return self.saved(connection, name)

    def all_saved(self, connection: sa.Connection | DeclaredConnection) -> tuple[SavedVersion[Content], ...]:
        """The newest version of each, by name."""
        table = CAMPAIGNS.c
        of_kind = sa.select(CAMPAIGNS).where(table.kind == self.kind).order_by(table.name, table.version)
        newest = {row["name"]: row for row in connection.execute(of_kind).mappings()}
        return tuple(self._saved(connection, row) for row in newest.values())

    def all_saved_in(self, store: Store) -> tuple[SavedVersion[Content], ...]:
        """The newest version of each, by name."""
        with store.begin() as connection:
            return self.all_saved(connection)

    def version(self, connection: sa.Connection, name: str, version: int) -> Content:
        """The content of an older version. Raises NotFound."""
        table = CAMPAIGNS.c
        chosen = sa.select(table.content).where(table.name == name, table.version == version, table.kind == self.kind)
        content = connection.scalar(chosen)
        if content is None:
            what, todo = NO_VERSION(version=version, kind=self.kind, name=name), SEE_SHOW(kind=self.kind)
            raise NotFound(what, where=self.kind, todo=todo)
        return self.parse(json.loads(content), where=f"{self.kind} {name}")

    def save(
        self, connection: sa.Connection, content: Content, saved_by: str, at: datetime, *, base: int | None = None
    ) -> SavedVersion[Content]:
        """Save one as a draft: a new version where anything of it changed, and nothing where nothing did.

        `base` is the version that was changed, 0 for none. Raises EditConflict where another one was saved since, the
        kind's problem for one that is over or has the name of another kind, SettingsError without an author.
        """
        lock_campaigns(connection)
        name, author = content.name, person(saved_by)
        before = _newest(connection, name)
        if before is None:
            require_base(name, base, 0, "", self.kind)
            return self._insert(connection, content, 1, author, at)
        if before["kind"] != self.kind:
            taken = NAME_TAKEN(kind=_with_article(before["kind"]), name=name)
            raise self.problem(taken, where="name", todo=NAMES_SHARED)
        saved = self._saved(connection, before)
        if saved.content == content:
            return saved
        require_base(name, base, saved.version, saved.saved_by, self.kind)
        self.require(saved, "saved")
        return self._insert(connection, content, saved.version + 1, author, at)

    def take_step(  # noqa: PLR0913, PLR0917 - what a step consists of
        self,
        connection: sa.Connection,
        name: str,
        step: str,
        version: int,
        by: str,
        at: datetime,
        details: Mapping[str, Any] | None = None,
    ) -> SavedVersion[Content]:
        """Take a step of a version, and return what is saved after it.

        Raises NotFound, the kind's problem in a state that does not allow it or where another version was saved
        meanwhile, SettingsError without a name.
        """
        lock_campaigns(connection)
        saved, who = self.saved(connection, name), person(by)
        if saved.version != version:
            what = VERSION_NOT_NEWEST(version=version, name=name, author=saved.saved_by, newest=saved.version)
            raise self.problem(what, where=self.kind, todo=LOOK_THEN_REPEAT(kind=self.kind))
        self.require(saved, step)
        _append(connection, saved, step, who, at, details or {})
        return self.saved(connection, name)

    def take_step_unless_changed(
        self, store: Store, saved: SavedVersion[Content], step: str, *, states: Sequence[str], by: str, at: datetime
    ) -> SavedVersion[Content]:
        """Take a step unless another version was saved, or the state is none of these by now; returns what is saved."""
        with store.begin() as connection:
            current = self.saved(connection, saved.name)
            if current.version != saved.version or current.state not in states:
                return current
            return self.take_step(connection, saved.name, step, saved.version, by, at.astimezone(UTC))

    def pin(
        self, connection: sa.Connection, name: str, version: int, by: str, at: datetime, details: Mapping[str, Any]
    ) -> None:
        """Record the terms of a version, not only the newest one, that was approved without them."""
        lock_campaigns(connection)
        saved = replace(self.saved(connection, name), version=version)
        approval = saved.approval()
        if approval is not None and "terms" not in approval.details:
            _append(connection, saved, "pinned", by, at.astimezone(UTC), details)

    def require(self, saved: SavedVersion[Any], step: str) -> None:
        """Raise the kind's problem where the state does not allow a step."""
        rule = STEPS[step]
        if saved.state not in rule.needs:
            what = WRONG_STATE(name=saved.name, state=state_in_words(saved.state), step=named("step", step))
            raise self.problem(what, where=self.kind, todo=rule.advice(self.kind))

    def _missing(self, connection: sa.Connection, name: str, other_kind: str) -> NotFound:
        todo = SEE_LIST(kind=self.kind)
        if other_kind:
            todo = OF_OTHER_KIND(kind=_with_article(other_kind), command=other_kind)
        else:
            names = connection.scalars(sa.select(CAMPAIGNS.c.name).where(CAMPAIGNS.c.kind == self.kind).distinct())
            todo = both(did_you_mean(name, tuple(names)), todo)
        return NotFound(NONE_OF_NAME(kind=named("engagement_kind", self.kind), name=name), where=self.kind, todo=todo)

    def _insert(
        self, connection: sa.Connection, content: Content, version: int, by: str, at: datetime
    ) -> SavedVersion[Content]:
        text = json.dumps(content.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
        row = {"name": content.name, "version": version, "content": text, "saved_at": at, "saved_by": by}
        row |= {"kind": self.kind}
        connection.execute(sa.insert(CAMPAIGNS).values(row))
        _append(connection, self._saved(connection, row), "saved", by, at, {})
        return self.saved(connection, content.name)

    def _saved(self, connection: sa.Connection | DeclaredConnection, row: Mapping[Any, Any]) -> SavedVersion[Content]:
        name, steps = row["name"], _steps(connection, row["name"])
        content = self.parse(json.loads(row["content"]), where=f"{self.kind} {name}")
        return SavedVersion(
            content,
            row["version"],
            saved_at=utc(row["saved_at"]),
            saved_by=row["saved_by"],
            state=state_after(steps),
            steps=steps,
            name=name,
        )


def _with_article(kind: str) -> Text:
    return named("engagement_kind", kind, f"{'an' if kind.startswith('a') else 'a'} {kind}")


def state_in_words(state: str) -> Text:
    """A state as it stands after "is"."""
    return named("state", state, "a draft" if state == DRAFT else state)


def holdouts_of(
    connection: sa.Connection, names: Sequence[str], customer_ids: Iterable[str]
) -> dict[tuple[str, str], bool]:
    """Whether customers who were assigned to campaigns or journeys are in their holdouts, by name and customer."""
    table = ASSIGNMENTS.c
    ids = sorted(set(customer_ids))
    known = dict[tuple[str, str], bool]()
    for start in range(0, len(ids), IN_ONE_QUERY):
        chosen = sa.select(table.campaign, table.customer_id, table.is_holdout).where(
            table.customer_id.in_(ids[start : start + IN_ONE_QUERY]), table.campaign.in_(names)
        )
        known |= {(row[0], row[1]): bool(row[2]) for row in connection.execute(chosen)}
    return known


def lock_campaigns(connection: sa.Connection) -> None:
    """Let no other process take a step until this transaction ends."""
    lock_table(connection, CAMPAIGN_STEPS)


def person(text: str) -> str:
    """The name of a person as written. Raises SettingsError for an empty, too long or unprintable one."""
    name = text.strip()
    if not name or not name.isprintable() or len(name) > MAX_CHARACTERS:
        raise SettingsError(NEEDS_NAME(count=MAX_CHARACTERS), where="--as", todo=NAME_PERSON)
    return name


def state_after(steps: tuple[TakenStep, ...]) -> str:
    """The state that these steps lead to."""
    state, before = DRAFT, DRAFT
    for step in steps:
        after = STEPS[step.step].leads_to
        if after == SAME:
            continue
        if after == PAUSED:
            before = state
        state = before if after == BEFORE else after
    return state


def _newest(connection: sa.Connection, name: str) -> Mapping[Any, Any] | None:
    chosen = sa.select(CAMPAIGNS).where(CAMPAIGNS.c.name == name).order_by(CAMPAIGNS.c.version.desc()).limit(1)
    return connection.execute(chosen).mappings().first()


def _append(
    connection: sa.Connection, saved: SavedVersion[Any], step: str, by: str, at: datetime, details: Mapping[str, Any]
) -> None:
    entry = saved.steps[-1].entry + 1 if saved.steps else 1
    text = json.dumps(details, ensure_ascii=False, sort_keys=True, allow_nan=False)
    values = {"campaign": saved.name, "entry": entry, "step": step, "version": saved.version}
    values |= {"taken_at": at, "taken_by": by, "details": text}
    connection.execute(sa.insert(CAMPAIGN_STEPS).values(values))


def _steps(connection: sa.Connection | DeclaredConnection, name: str) -> tuple[TakenStep, ...]:
    chosen = sa.select(CAMPAIGN_STEPS).where(CAMPAIGN_STEPS.c.campaign == name).order_by(CAMPAIGN_STEPS.c.entry)
    return tuple(
        TakenStep(
            row["entry"],
            row["step"],
            version=row["version"],
            taken_at=utc(row["taken_at"]),
            taken_by=row["taken_by"],
            details=json.loads(row["details"]),
        )
        for row in connection.execute(chosen).mappings()
    )
