"""Saved segments for programs: read with a read key; saved, and their members listed, with a secret key."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from patron.answers.segments.saved_segments import (
    RuleCount,
    SegmentComparison,
    SegmentDetail,
    SegmentLine,
    SegmentNames,
    compare_segments,
    count_rule,
    list_segments,
    segment_names,
    show_segment,
)
from patron.commands.segments.export_segment import read_members
from patron.commands.segments.save_segment import SavedVersion, save_segment
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, needs
from patron.interfaces.http.access.customer_scope import refuse_scope_change, rows_of, visible_of
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.cursors import CursorText, Limit, page_of
from patron.interfaces.http.integer_bounds import PageNumber
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area

Since = Annotated[
    AwareDatetime | None,
    Query(description="Time from which entries and exits count (default: 30 days before the last run's cutoff)."),
]


PAGE_SIZE = 1_000


class MemberPage(BaseModel):
    """One page of members, in order of customer_id."""

    segment: str
    run_id: str
    page: int
    page_count: int
    customer_count: int
    rows: list[dict[str, Any]]
    next_cursor: str | None
    """Where the next page begins; null after the last."""


class RuleBody(BaseModel):
    """A rule, as the file of a segment has it."""

    model_config = ConfigDict(extra="forbid")

    rule: dict[str, Any]


class CountedRule(RuleBody):
    """A rule, and until when events count."""

    is_live: bool = False
    """Whether events count that were stored since the last run; all else is of that run."""
    with_overlaps: bool = False
    """Whether saved segments with members in common are listed, too."""


class SegmentBody(RuleBody):
    """A segment, as its file has it, and who saves it."""

    folder: str = Field(default="", max_length=300)
    note: str = Field(default="", max_length=300)
    saved_by: str = Field(default="", max_length=100, description="Name of whoever uses the key; kept with the key.")


router = APIRouter(
    prefix="/api",
    tags=["last run"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)
with_secret_key = APIRouter(
    prefix="/api/segments",
    tags=["segments"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)
ROUTERS = (router, with_secret_key)


@router.get("/segments")
@needs(Action.READ, Area.SEGMENTS)
def segments(request: Request) -> tuple[SegmentLine, ...]:
    """Every segment with its members at the last run."""
    return list_segments(answers_of(request).shop, only=rows_of(visible_of(request)))


@router.get("/segment-fields")
@needs(Action.READ, Area.SEGMENTS)
def fields(request: Request) -> SegmentNames:
    """What a rule may name: fields, traits, events, other segments and tags."""
    return segment_names(answers_of(request).shop, only=rows_of(visible_of(request)))


@router.post("/segments/count")
@needs(Action.READ, Area.SEGMENTS)
def count(request: Request, body: CountedRule) -> RuleCount:
    """Customers whom a rule selects, which is not saved, and what they are expected to bring."""
    at = datetime.now(UTC) if body.is_live else None
    only = rows_of(visible_of(request))
    return count_rule(answers_of(request).shop, body.rule, at=at, with_overlaps=body.with_overlaps, only=only)


@router.get("/segments/{name}")
@needs(Action.READ, Area.SEGMENTS)
def segment(request: Request, name: str, since: Since = None) -> SegmentDetail:
    """One segment: members, what is at stake, overlaps, entries and exits, and its versions."""
    return show_segment(answers_of(request).shop, name, since=since, only=rows_of(visible_of(request)))


@router.get("/segments/{name}/comparison/{other}")
@needs(Action.READ, Area.SEGMENTS)
def comparison(request: Request, name: str, other: str) -> SegmentComparison:
    """Two segments: totals of each, of who is in both, and of who is in one only."""
    return compare_segments(answers_of(request).shop, name, other, only=rows_of(visible_of(request)))


@with_secret_key.get("/{name}/members")
@needs(Action.EXPORT, Area.SEGMENTS)
def members(
    request: Request, name: str, page: PageNumber = 1, cursor: CursorText = "", limit: Limit = None
) -> MemberPage:
    """Members with the shop's own ids, and whether they may be contacted; the audit log records each request."""
    listed = read_members(context_of(request), name)
    visible = visible_of(request)
    rows = listed.rows if visible is None else visible.restrict(listed.rows)
    count, size = rows.num_rows, limit or PAGE_SIZE
    shown = page_of(rows, listed.run_id, page=page, size=size, cursor=cursor)
    return MemberPage(
        segment=name,
        run_id=listed.run_id,
        page=page,
        page_count=max(1, -(-count // size)),
        customer_count=count,
        rows=shown.rows,
        next_cursor=shown.next_cursor,
    )


@with_secret_key.put("/{name}")
@needs(Action.ACT, Area.SEGMENTS)
def save(request: Request, name: str, body: SegmentBody) -> SavedVersion:
    """Save a segment: a new version, or none where nothing changed."""
    refuse_scope_change(request, name)
    content = {"name": name, "folder": body.folder, "note": body.note, "rule": body.rule}
    return save_segment(context_of(request, body.saved_by), content, where=name)
