"""The tracking plan: what a shop promises to send, one JSON Schema of properties for each event that has one.

A property that says `"x-patron": "plain"` stays in clear, so that SQL can read it; undeclared words go to the vault.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema_specifications import REGISTRY
from referencing import Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from patron.collect.segment_message import PlainProperties
from patron.govern.privacy.personal_data import is_plain_key
from patron.schema.errors import BadEvent, SettingsError
from patron.schema.sentences import Sentence

PLAN_NESTED = Sentence("plan_nested", "is nested deeper than the tracking plan can be checked")
PLAN_BROKEN = Sentence("plan_broken", "breaks the rule {rule} of the tracking plan")
PLAN_BROKEN_BY = Sentence("plan_broken_by", "breaks the rule {rule} of the tracking plan ({cause})")
AS_PLANNED = Sentence("as_planned", "Send it as the plan says, or fix the plan.")
NOT_JSON_SCHEMA = Sentence("not_json_schema", "is not a valid JSON Schema ({cause})")
FIX_OR_DELETE = Sentence("fix_or_delete", "Fix or delete the file.")
REFERS_OUTSIDE = Sentence(
    "refers_outside", "refers to {reference!r}, which is not in the file; Patron fetches no schema"
)
COPY_SCHEMA = Sentence("copy_schema", "Copy that schema into $defs of this file and refer to it as #/$defs/NAME.")
REFERS_TO_ITSELF = Sentence("refers_to_itself", "refers to itself without end")
REMOVE_REFERENCE = Sentence("remove_reference", "Remove the $ref that leads back to itself.")
MARK_NOT_PLAIN = Sentence("mark_not_plain", "{mark} of {property} is not {plain}")
MARK_OF_EVENT_NOT_PLAIN = Sentence("mark_of_event_not_plain", "{mark} of the event is not {plain}")
WRITE_PLAIN = Sentence("write_plain", 'Write "{plain}".')
MARK_ON_EVENT = Sentence("mark_on_event", "{mark} is on the event")
MARK_PROPERTIES = Sentence("mark_properties", "Put it on each property that may be in clear.")

FOLDER = "tracking"
MARK, PLAIN = "x-patron", "plain"
"""Key of a property's schema, and its only value."""
REFERENCES = ("$ref", "$dynamicRef")


@dataclass(frozen=True)
class TrackingPlan:
    """Schemas by event name, and whether an event that breaks its own is refused (or only flagged)."""

    schemas: Mapping[str, Draft202012Validator]
    is_strict: bool
    plain: PlainProperties = field(default_factory=dict)

    def violation(self, name: str, properties: Any) -> BadEvent | None:
        """The refusal of properties that break the plan, without the value; None when they do not."""
        schema = self.schemas.get(name)
        try:
            error = best_match(schema.iter_errors(properties)) if schema else None
        except RecursionError:
            return BadEvent(PLAN_NESTED, where="properties", todo=AS_PLANNED)
        if error is None:
            return None
        where = ".".join(["properties", *(_shown(part) for part in error.absolute_path)])
        # why: messages of some rules quote the value, which may be personal
        what = PLAN_BROKEN(rule=error.validator)
        if error.validator == "required":  # why: it names the schema's own words
            what = PLAN_BROKEN_BY(rule=error.validator, cause=error.message)
        return BadEvent(what, where=where, todo=AS_PLANNED)


def _shown(part: str | int) -> str:
    """Part of a path; a key that may be personal itself is left out."""
    return str(part) if isinstance(part, int) or is_plain_key(part) else "(key)"


NO_PLAN = TrackingPlan({}, is_strict=False)


def load_tracking_plan(workspace: Path, *, is_strict: bool) -> TrackingPlan:
    """Read `tracking/EVENT NAME.json` of a workspace. Raises SettingsError naming the file.

    A schema refers to itself and to JSON Schema's own meta-schemas; nothing is ever fetched.
    """
    paths = sorted((workspace / FOLDER).glob("*.json"))
    schemas = {path.stem: _load_schema(path) for path in paths}
    plain = {path.stem: frozenset(_plain_paths(schemas[path.stem].schema, str(path))) for path in paths}
    return TrackingPlan(schemas, is_strict=is_strict, plain=plain)


def _load_schema(path: Path) -> Draft202012Validator:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
    except (OSError, ValueError, SchemaError, RecursionError) as error:
        problem = error.message if isinstance(error, SchemaError) else str(error)
        raise SettingsError(NOT_JSON_SCHEMA(cause=problem), where=str(path), todo=FIX_OR_DELETE) from error
    reference = _unresolvable_reference(schema)
    if reference is not None:
        raise SettingsError(REFERS_OUTSIDE(reference=reference), where=str(path), todo=COPY_SCHEMA)
    validator = Draft202012Validator(schema, registry=REGISTRY)
    try:
        validator.is_valid({})
    except RecursionError as error:
        raise SettingsError(REFERS_TO_ITSELF, where=str(path), todo=REMOVE_REFERENCE) from error
    return validator


def _unresolvable_reference(schema: Any) -> str | None:
    """The first reference that leads out of a schema or to nothing in it; None when all can be followed."""
    root = DRAFT202012.create_resource(schema)
    visited: set[int] = set()
    waiting = [(REGISTRY.resolver_with_root(root), root)]
    while waiting:
        resolver, resource = waiting.pop()
        if id(resource.contents) in visited:
            continue
        visited.add(id(resource.contents))
        waiting += [(resolver.in_subresource(inner), inner) for inner in resource.subresources()]
        for reference in _references(resource):
            try:
                target = resolver.lookup(reference)
            except Unresolvable:
                return reference
            waiting.append((target.resolver, DRAFT202012.create_resource(target.contents)))
    return None


def _references(resource: Resource[Any]) -> list[str]:
    if not isinstance(resource.contents, Mapping):
        return []
    return [resource.contents[key] for key in REFERENCES if key in resource.contents]


def _plain_paths(schema: Any, where: str, within: str = "") -> Iterator[str]:
    """Paths of the properties that a schema declares plain, at any depth. Raises SettingsError for another mark."""
    if not isinstance(schema, dict):
        return
    mark = schema.get(MARK)
    if mark not in (None, PLAIN):
        of_event = MARK_OF_EVENT_NOT_PLAIN(mark=MARK, plain=PLAIN)
        what = MARK_NOT_PLAIN(mark=MARK, property=within, plain=PLAIN) if within else of_event
        raise SettingsError(what, where=where, todo=WRITE_PLAIN(plain=PLAIN))
    if mark and not within:
        raise SettingsError(MARK_ON_EVENT(mark=MARK), where=where, todo=MARK_PROPERTIES)
    if mark:
        yield within
    for name, part in (schema.get("properties") or {}).items():
        yield from _plain_paths(part, where, f"{within}.{name}".removeprefix("."))
    yield from _plain_paths(schema.get("items"), where, within)
