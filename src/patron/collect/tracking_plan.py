"""The tracking plan: what a shop promises to send, one JSON Schema of properties for each event that has one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from patron.schema.errors import SettingsError

FOLDER = "tracking"


@dataclass(frozen=True)
class TrackingPlan:
    """Schemas by event name, and whether an event that breaks its own is refused (or only flagged)."""

    schemas: Mapping[str, Draft202012Validator]
    is_strict: bool

    def violation(self, name: str, properties: Any) -> str:
        """Where and why properties break the plan, without the value; '' when they do not."""
        schema = self.schemas.get(name)
        error = best_match(schema.iter_errors(properties)) if schema else None
        if error is None:
            return ""
        where = ".".join(["properties", *(str(part) for part in error.absolute_path)])
        # why: messages of some rules quote the value, which may be personal
        missing = f" ({error.message})" if error.validator == "required" else ""  # why: it names the schema's own words
        return f"{where}: breaks the rule {error.validator} of the tracking plan{missing}"


NO_PLAN = TrackingPlan({}, is_strict=False)


def load_tracking_plan(workspace: Path, *, is_strict: bool) -> TrackingPlan:
    """Read `tracking/EVENT NAME.json` of a workspace. Raises SettingsError naming the file."""
    schemas = {}
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
    return TrackingPlan(schemas, is_strict=is_strict)
