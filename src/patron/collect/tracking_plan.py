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

from patron.collect.segment_message import PlainProperties
from patron.schema.errors import SettingsError
from patron.schema.personal_keys import is_plain_key

FOLDER = "tracking"
MARK, PLAIN = "x-patron", "plain"
"""Key of a property's schema, and its only value."""


@dataclass(frozen=True)
class TrackingPlan:
    """Schemas by event name, and whether an event that breaks its own is refused (or only flagged)."""

    schemas: Mapping[str, Draft202012Validator]
    is_strict: bool
    plain: PlainProperties = field(default_factory=dict)

    def violation(self, name: str, properties: Any) -> str:
        """Where and why properties break the plan, without the value; '' when they do not."""
        schema = self.schemas.get(name)
        error = best_match(schema.iter_errors(properties)) if schema else None
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
    """Read `tracking/EVENT NAME.json` of a workspace. Raises SettingsError naming the file."""
    schemas, plain = {}, {}
    for path in sorted((workspace / FOLDER).glob("*.json")):
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
            Draft202012Validator.check_schema(schema)
        except (OSError, ValueError, SchemaError) as error:
            problem = error.message if isinstance(error, SchemaError) else str(error)
            raise SettingsError(
                f"is not a valid JSON Schema ({problem})", where=str(path), todo="Fix or delete the file."
            ) from error
        schemas[path.stem] = Draft202012Validator(schema)
        plain[path.stem] = frozenset(_plain_paths(schema, str(path)))
    return TrackingPlan(schemas, is_strict=is_strict, plain=plain)


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
