"""Segments as people saved them: each version a row of the store, the newest one counts."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from patron.schema.common_sentences import NO_SEGMENT, NO_SLASH, REMOVE_ONE_OF_THEM, SEGMENT_CYCLE, SEGMENTS_LISTED
from patron.schema.errors import BadSegment, NotFound
from patron.schema.sentences import Sentence
from patron.schema.spelling import both, did_you_mean
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_rules import Rule, rule_content, segments_of, tags_of
from patron.storage.access.access_tables import TEAMS
from patron.storage.base_version import require_base
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import CAMPAIGNS, JOURNEY_ENTRIES, SEGMENT_DEFINITIONS
from patron.storage.store.statements import lock_table
from patron.storage.store.store import Store

SEGMENT_VERSIONS = Sentence("segment_versions", "`patron segment history` lists versions 1 to {last}.")
USED_BY = Sentence("used_by", "is used by {users}")
ONE_LINE = Sentence("one_line", "{what} needs one line of 1 to {count} printable characters (got {text!r})")
NO_SEGMENT_VERSION = Sentence("no_segment_version", "there is no version {version} of the segment {name!r}")
USE_FOLDER = Sentence("use_folder", "Put the segment into a folder: folder = ...")
CHANGE_USERS = Sentence("change_users", "Change or delete what uses it first, or keep it.")
WRITE_ONE_LINE = Sentence("write_one_line", "Write it as one line, without spaces around it.")

MAX_NAME_LENGTH, MAX_NOTE_LENGTH = 100, 300


@dataclass(frozen=True)
class SegmentDefinition:
    """One version of a segment: its rule, and who saved it when."""

    name: str
    version: int
    rule: Rule
    folder: str
    saved_at: datetime
    saved_by: str
    note: str


def definitions(store: Store, *, at: datetime | None = None) -> dict[str, SegmentDefinition]:
    """The newest version of every segment, or that of a time, by name, in order of the names."""
    chosen = sa.select(SEGMENT_DEFINITIONS).order_by(SEGMENT_DEFINITIONS.c.name, SEGMENT_DEFINITIONS.c.version)
    if at is not None:
        chosen = chosen.where(SEGMENT_DEFINITIONS.c.saved_at <= at.astimezone(UTC))
    with store.begin() as connection:
        rows = connection.execute(chosen).mappings().all()
    return {row["name"]: _definition(row) for row in rows}


def definition(store: Store, name: str) -> SegmentDefinition:
    """The newest version of a segment. Raises NotFound."""
    return history(store, name)[-1]


def history(store: Store, name: str) -> tuple[SegmentDefinition, ...]:
    """Every version of a segment, the oldest first. Raises NotFound."""
    chosen = sa.select(SEGMENT_DEFINITIONS).where(SEGMENT_DEFINITIONS.c.name == name)
    with store.begin() as connection:
        rows = connection.execute(chosen.order_by(SEGMENT_DEFINITIONS.c.version)).mappings().all()
    if not rows:
        raise no_segment(name, definitions(store))
    return tuple(_definition(row) for row in rows)


def segments_within(store: Store, name: str) -> frozenset[str]:
    """A segment and those that it is made of, by their newest rules."""
    with store.begin() as connection:
        return rules_within(_rules(connection), name)


def tags_within(store: Store, name: str) -> frozenset[str]:
    """Tags that a segment, or one that it is made of, names by their newest rules."""
    with store.begin() as connection:
        rules = _rules(connection)
    return frozenset[str]().union(*(tags_of(rules[one]) for one in rules_within(rules, name) & rules.keys()))


def rules_within(rules: Mapping[str, Rule], name: str) -> frozenset[str]:
    """A segment and those that it is made of, by these rules."""
    within, waiting = {name}, [name]
    while waiting:
        rule = rules.get(waiting.pop())
        more = segments_of(rule) - within if rule else frozenset()
        within |= more
        waiting += more
    return frozenset(within)


def no_segment(name: str, known: Iterable[str]) -> NotFound:
    """Refusal of a name that no segment has."""
    meant = did_you_mean(name, known)
    todo = both(meant, SEGMENTS_LISTED)
    return NotFound(NO_SEGMENT(name=name), where="segment", todo=todo)


def _definition(row: sa.RowMapping) -> SegmentDefinition:
    rule = parse_rule(json.loads(row["rule"]), where=f"segment {row['name']}")
    return SegmentDefinition(**{**row, "rule": rule, "saved_at": utc(row["saved_at"])})


def save_definition(  # noqa: PLR0913 - the columns of a row
    connection: sa.Connection,
    name: str,
    rule: Rule,
    *,
    saved_by: str,
    at: datetime,
    folder: str = "",
    note: str = "",
    base: int | None = None,
) -> int:
    """Add a version of a segment, or leave it as it is where nothing changes; return the newest version's number.

    `base` is the version that was changed, 0 for none. Raises EditConflict where another was saved since, BadSegment
    for a name, folder, author or note that is no line, and for segments that contain each other.
    """
    for where, text, longest in (("name", name, MAX_NAME_LENGTH), ("author", saved_by, MAX_NAME_LENGTH)):
        _require_line(where, text, longest)
    for where, text in (("folder", folder), ("note", note)):
        if text:
            _require_line(where, text, MAX_NOTE_LENGTH)
    if "/" in name:
        raise BadSegment(NO_SLASH, where=name, todo=USE_FOLDER)
    lock_table(connection, SEGMENT_DEFINITIONS)
    rules = _rules(connection)
    require_no_cycle(rules | {name: rule}, name)
    chosen = sa.select(SEGMENT_DEFINITIONS).where(SEGMENT_DEFINITIONS.c.name == name)
    newest = connection.execute(chosen.order_by(SEGMENT_DEFINITIONS.c.version.desc()).limit(1)).mappings().first()
    content = json.dumps(rule_content(rule), ensure_ascii=False, sort_keys=True)
    if newest and (newest["rule"], newest["folder"]) == (content, folder):
        return newest["version"]
    require_base(name, base, newest["version"] if newest else 0, newest["saved_by"] if newest else "", "segment")
    saved = SegmentDefinition(
        name,
        newest["version"] + 1 if newest else 1,
        rule=rule,
        folder=folder,
        saved_at=at,
        saved_by=saved_by,
        note=note,
    )
    connection.execute(sa.insert(SEGMENT_DEFINITIONS).values({**vars(saved), "rule": content}))
    return saved.version


def restore_definition(connection: sa.Connection, name: str, version: int, *, saved_by: str, at: datetime) -> int:
    """Add a version with the rule and folder of an earlier one; return its number. Raises NotFound, BadSegment."""
    chosen = sa.select(SEGMENT_DEFINITIONS).where(SEGMENT_DEFINITIONS.c.name == name)
    rows = {row["version"]: row for row in connection.execute(chosen).mappings()}
    if not rows:
        raise no_segment(name, _rules(connection))
    if version not in rows:
        todo = SEGMENT_VERSIONS(last=max(rows))
        raise NotFound(NO_SEGMENT_VERSION(version=version, name=name), where="version", todo=todo)
    earlier = _definition(rows[version])
    note = f"restored version {version}"
    return save_definition(connection, name, earlier.rule, saved_by=saved_by, at=at, folder=earlier.folder, note=note)


@dataclass(frozen=True)
class SegmentUse:
    """What needs a segment: another segment, a campaign, a journey or a team."""

    kind: str
    name: str


def uses_of_segment(connection: sa.Connection, name: str) -> tuple[SegmentUse, ...]:
    """What would break without a segment."""
    rules = _rules(connection)
    uses = [
        SegmentUse("segment", other) for other, rule in rules.items() if other != name and name in segments_of(rule)
    ]
    teams = sa.select(TEAMS.c.team).where(TEAMS.c.segment == name).order_by(TEAMS.c.team)
    return (
        *uses,
        *_campaigns_with(connection, name),
        *(SegmentUse("team", team) for team in connection.scalars(teams)),
    )


def delete_definition(connection: sa.Connection, name: str) -> None:
    """Delete every version of a segment. Raises NotFound, BadSegment while something else uses it."""
    rules = _rules(connection)
    if name not in rules:
        raise no_segment(name, rules)
    if uses := uses_of_segment(connection, name):
        what = USED_BY(users=", ".join(f"{use.kind} {use.name!r}" for use in uses))
        raise BadSegment(what, where=name, todo=CHANGE_USERS)
    connection.execute(sa.delete(SEGMENT_DEFINITIONS).where(SEGMENT_DEFINITIONS.c.name == name))


def _campaigns_with(connection: sa.Connection, name: str) -> list[SegmentUse]:
    """Campaigns and journeys that use a segment: in their newest version, or one that customers are on their way in."""
    entry, table = JOURNEY_ENTRIES.c, CAMPAIGNS.c
    taken = sa.select(entry.journey, entry.version).where(entry.state == "active").distinct()
    newest = sa.select(table.name, sa.func.max(table.version)).group_by(table.name)
    version = sa.tuple_(table.name, table.version)
    chosen = sa.select(table.kind, table.name, table.content).where(sa.or_(version.in_(newest), version.in_(taken)))
    users = [
        SegmentUse(row.kind, row.name)
        for row in connection.execute(chosen.order_by(table.kind, table.name))
        if name in _named_in(json.loads(row.content))
    ]
    return list(dict.fromkeys(users))


def _named_in(content: Mapping[str, Any]) -> set[str]:
    """Segments that a campaign or a journey names: its audience, whom it excludes, its trigger, its branches."""
    trigger = content.get("trigger", {})
    names = {content.get("segment"), *content.get("exclude", ()), trigger.get("segment"), trigger.get("enters")}
    rules = [parse_rule(step["rule"]) for step in content.get("steps", ()) if "rule" in step]
    return names.union(*map(segments_of, rules))


def _rules(connection: sa.Connection) -> dict[str, Rule]:
    chosen = sa.select(SEGMENT_DEFINITIONS.c.name, SEGMENT_DEFINITIONS.c.rule)
    rows = connection.execute(chosen.order_by(SEGMENT_DEFINITIONS.c.name, SEGMENT_DEFINITIONS.c.version))
    return {row.name: parse_rule(json.loads(row.rule), where=f"segment {row.name}") for row in rows}


def require_no_cycle(rules: Mapping[str, Rule], name: str) -> None:
    """Raise BadSegment, with the path, where a segment contains itself through others."""
    paths: list[tuple[str, tuple[str, ...]]] = [(name, (name,))]
    checked: set[str] = set()
    while paths:
        current, path = paths.pop()
        for other in sorted(segments_of(rules[current])) if current in rules else ():
            if other in path:
                cycle = " -> ".join((*path[path.index(other) :], other))
                raise BadSegment(SEGMENT_CYCLE(cycle=cycle), where=name, todo=REMOVE_ONE_OF_THEM)
            if other not in checked:
                paths.append((other, (*path, other)))
        checked.add(current)


def _require_line(where: str, text: str, longest: int) -> None:
    if not text or text != text.strip() or not text.isprintable() or len(text) > longest:
        what = ONE_LINE(what=where, count=longest, text=text[:60])
        raise BadSegment(what, where="segment", todo=WRITE_ONE_LINE)
