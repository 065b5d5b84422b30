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
from patron.schema.errors import SettingsError

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

    def violation(self, name: str, properties: Any) -> str:
        """Where and why properties break the plan, without the value; '' when they do not."""
        schema = self.schemas.get(name)
        try:
            error = best_match(schema.iter_errors(properties)) if schema else None
        except RecursionError:
            return "properties: is nested deeper than the tracking plan can be checked"
        if error is None:
            return ""
        where = ".".join(["properties", *(_shown(part) for part in error.absolute_path)])
        # why: messages of some rules quote the value, which may be personal
        missing = f" ({error.message})" if error.validator == "required" else ""  # why: it names the schema's own words
        return f"{where}: breaks the rule {error.validator} of the tracking plan{missing}"


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
        raise SettingsError(
            f"is not a valid JSON Schema ({problem})", where=str(path), todo="Fix or delete the file."
        ) from error
    reference = _unresolvable_reference(schema)
    if reference is not None:
        raise SettingsError(
            f"refers to {reference!r}, which is not in the file; Patron fetches no schema",
            where=str(path),
            todo="Copy that schema into $defs of this file and refer to it as #/$defs/NAME.",
        )
    validator = Draft202012Validator(schema, registry=REGISTRY)
    try:
        validator.is_valid({})
    except RecursionError as error:
        raise SettingsError(
            "refers to itself without end", where=str(path), todo="Remove the $ref that leads back to itself."
        ) from error
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
        raise SettingsError(f"{MARK} of {within or 'the event'} is not {PLAIN}", where=where, todo=f'Write "{PLAIN}".')
    if mark and not within:
        raise SettingsError(
            f"{MARK} is on the event", where=where, todo="Put it on each property that may be in clear."
        )
    if mark:
        yield within
    for name, part in (schema.get("properties") or {}).items():
        yield from _plain_paths(part, where, f"{within}.{name}".removeprefix("."))
    yield from _plain_paths(schema.get("items"), where, within)
