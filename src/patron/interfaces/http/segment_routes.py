"""Saved segments for programs: read with a read key, saved with a secret key."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from patron.answers.saved_segments import (
    SegmentCount,
    SegmentDetail,
    SegmentLine,
    SegmentNames,
    count_rule,
    list_segments,
    segment_names,
    show_segment,
)
from patron.commands.save_segment import SavedVersion, save_segment
from patron.interfaces.http.api_routes import answers_of
from patron.interfaces.http.keyed_routes import ReadKeyRoute, SecretKeyRoute
from patron.interfaces.http.known_parameters import require_known_parameters

Since = Annotated[
    AwareDatetime | None,
    Query(description="Time from which entries and exits count (default: 30 days before the last run's cutoff)."),
]


class RuleBody(BaseModel):
    """A rule, as the file of a segment has it."""

    model_config = ConfigDict(extra="forbid")

    rule: dict[str, Any]


class SegmentBody(RuleBody):
    """A segment, as its file has it, and who saves it."""

    folder: str = Field(default="", max_length=300)
    note: str = Field(default="", max_length=300)
    saved_by: str = Field(default="api", min_length=1, max_length=100)


router = APIRouter(
    prefix="/api",
    tags=["last run"],
    route_class=ReadKeyRoute,
    dependencies=[Depends(require_known_parameters)],
)
saving = APIRouter(
    prefix="/api/segments",
    tags=["saving segments"],
    route_class=SecretKeyRoute,
    dependencies=[Depends(require_known_parameters)],
)
ROUTERS = (router, saving)


@router.get("/segments")
def segments(request: Request) -> tuple[SegmentLine, ...]:
    """Every segment with its members at the last run."""
    return list_segments(answers_of(request).shop)


@router.get("/segment-fields")
def fields(request: Request) -> SegmentNames:
    """What a rule may name: fields, traits, events and other segments."""
    return segment_names(answers_of(request).shop)


@router.post("/segments/count")
def count(request: Request, body: RuleBody) -> SegmentCount:
    """Customers whom a rule selects, which is not saved."""
    return count_rule(answers_of(request).shop, body.rule)


@router.get("/segments/{name}")
def segment(request: Request, name: str, since: Since = None) -> SegmentDetail:
    """One segment: members, what is at stake, overlaps, entries and exits, and its versions."""
    return show_segment(answers_of(request).shop, name, since=since)


@saving.put("/{name}")
def save(request: Request, name: str, body: SegmentBody) -> SavedVersion:
    """Save a segment: a new version, or none where nothing changed."""
    content = {"name": name, "folder": body.folder, "note": body.note, "rule": body.rule}
    return save_segment(answers_of(request).shop, content, saved_by=body.saved_by, now=datetime.now(UTC), where=name)
