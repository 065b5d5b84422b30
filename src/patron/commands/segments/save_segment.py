"""Save, restore and delete segments; each change is a version with its author."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from patron.commands.outreach.campaigns.campaign_steps import BaseVersion
from patron.govern.access.customer_scope import refuse_scope_change
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CHECK_PATH, FILE_UNREADABLE_CAUSE, SETTING_MISSING
from patron.schema.errors import BadSegment
from patron.schema.json_texts import parse_json
from patron.schema.sentences import Sentence, joined
from patron.schema.spelling import did_you_mean, hinted
from patron.schema.toml_texts import decode_toml
from patron.storage.outreach.pending_approvals import PendingApproval, pending_approvals
from patron.storage.segments.segment_definitions import delete_definition, restore_definition, save_definition
from patron.storage.segments.segment_query import read_rule

SEGMENT_EXAMPLE = Sentence("segment_example", "`patron segment save --example` prints a file that works.")
NOT_A_KEY = Sentence("not_a_key", "{name} is not a key")
QUOTED_TEXT = Sentence("quoted_text", "{name} must be a text in quotes")
NOT_VALID_FILE = Sentence("not_valid_file", "is not valid {kind} ({cause})")
FIX_SEGMENT_LINE = Sentence(
    "fix_segment_line", "Fix the line; `patron segment save --example` prints a file that works."
)
SEGMENT_TABLE = Sentence("segment_table", "must be a table with a name and a rule")

ACT_ON_SEGMENTS = Right(Action.ACT, Area.SEGMENTS)
RuleContent = dict[str, Any]
"""A rule, as the file of a segment has it."""
SegmentText = Annotated[str, Field(max_length=300)]
KEYS = ("name", "folder", "note", "rule")
EXAMPLE = """\
# segment.toml: patron segment save segment.toml
name = "every customer"
# folder = "everybody"                 # optional, and so is a note: why the segment is as it is
# note = "to try things out"

[rule]
all = []                               # every customer with an order; conditions in [ ] make it fewer

# all = [...] holds where all of its conditions hold, any = [...] where one does, not = {...} where it does not:
# all = [
#     { field = "value_decile", op = ">=", value = 8 },
#     { field = "churn_probability", op = ">=", value = 0.4 },
#     { not = { event = "Order Completed", within_days = 30 } },
# ]
# Other conditions (`patron segment fields` lists all fields, traits and events; money is in cents):
# { field = "lifecycle_stage", op = "in", value = ["at_risk", "lapsed"] }
# { field = "paid_cents_365_days", op = "between", value = [10000, 50000] }
# { trait = "loyalty_tier", op = "==", value = "gold" }
# { consent = "marketing", is = "granted" }        # or withdrawn, unknown
# { bought = { category = ["Tea", "Coffee"] }, within_days = 180, least = 2 }
# { tag = ["VIP", "press"] }                       # tagged so by staff: with one of them at least
# { segment = "recent buyers" }
"""
"""A file that works in every shop."""


@dataclass(frozen=True)
class SavedVersion:
    """The newest version of a segment after it was saved."""

    name: str
    version: int
    awaiting: tuple[PendingApproval, ...]
    """Approved campaigns and journeys that go on by an earlier rule of it until they are approved again."""

    @classmethod
    def of(cls, context: RequestContext, name: str, version: int) -> "SavedVersion":
        """The version, and what does not follow it yet."""
        return cls(name, version, pending_approvals(context.shop, sections=("segments",), name=name))


def read_segment_file(path: Path) -> Mapping[str, Any]:
    """Content of a TOML or JSON file. Raises BadSegment."""
    try:
        text = path.read_text(encoding="utf-8")
        return parse_json(text) if path.suffix.lower() == ".json" else decode_toml(text)
    except OSError as error:
        raise BadSegment(FILE_UNREADABLE_CAUSE(cause=error.strerror), where=str(path), todo=CHECK_PATH) from error
    except ValueError as error:  # why: both formats' errors, and those of the encoding, are such
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        todo = FIX_SEGMENT_LINE
        raise BadSegment(NOT_VALID_FILE(kind=kind, cause=error), where=str(path), todo=todo) from error


def _unknown(key: str) -> str:
    return hinted(NOT_A_KEY(name=key), did_you_mean(key, KEYS))


def save_segment(
    context: RequestContext, content: object, *, where: str = "segment", base: int | None = None
) -> SavedVersion:
    """Save a segment from the content of a file or request; there is a new version only where something changed.

    Raises BadSegment with everything that is wrong, EditConflict where another version than `base` is the newest.
    """
    todo = SEGMENT_EXAMPLE
    if not isinstance(content, Mapping):
        raise BadSegment(SEGMENT_TABLE, where=where, todo=todo)
    problems = [_unknown(str(key)) for key in content if key not in KEYS]
    problems += [SETTING_MISSING(setting=key) for key in ("name", "rule") if key not in content]
    texts = {key: content.get(key, "") for key in ("name", "folder", "note")}
    problems += [QUOTED_TEXT(name=key) for key, text in texts.items() if not isinstance(text, str)]
    try:
        rule = read_rule(content.get("rule"), context.shop.snapshot(), context.shop.store, where=where)
    except BadSegment as error:
        if problems and "rule" in content:
            problems.append(error.what)
        if not problems:
            raise
        raise BadSegment(joined(problems), where=where, todo=error.todo) from error
    if problems:
        raise BadSegment(joined(problems), where=where, todo=todo)
    name = texts.pop("name")
    refuse_scope_change(context, name)
    with context.shop.store.begin() as connection:
        version = save_definition(connection, name, rule, saved_by=context.by, at=context.now, base=base, **texts)
    return SavedVersion.of(context, name, version)


@operation(ACT_ON_SEGMENTS, "PUT /api/segments/{name}", name_field="saved_by")
def save_segment_rule(
    context: RequestContext,
    name: str,
    rule: RuleContent,
    *,
    folder: SegmentText = "",
    note: SegmentText = "",
    version: BaseVersion = None,
) -> SavedVersion:
    """Save a segment; there is a new version only where something changed."""
    content = {"name": name, "folder": folder, "note": note, "rule": rule}
    return save_segment(context, content, where=name, base=version)


@operation(ACT_ON_SEGMENTS)
def restore_segment(context: RequestContext, name: str, version: int) -> SavedVersion:
    """Save a version with the rule and folder of an earlier one. Raises NotFound, BadSegment, NotAllowed."""
    refuse_scope_change(context, name)
    with context.shop.store.begin() as connection:
        newest = restore_definition(connection, name, version, saved_by=context.by, at=context.now)
    return SavedVersion.of(context, name, newest)


@operation(ACT_ON_SEGMENTS, audit=AuditAction.SEGMENT_DELETED)
def delete_segment(context: RequestContext, name: str) -> None:
    """Delete a segment with its history. Raises NotFound, NotAllowed, BadSegment while something uses it."""
    refuse_scope_change(context, name)
    with context.shop.store.begin() as connection:
        delete_definition(connection, name)
        context.record(connection, AuditAction.SEGMENT_DELETED, {"segment": name})
