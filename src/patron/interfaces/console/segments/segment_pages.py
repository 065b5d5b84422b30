"""The pages of segments: the list, one segment, and the builder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlencode

import pyarrow as pa
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.segments.saved_segments import (
    RuleCount,
    SegmentLine,
    SegmentUse,
    SegmentVersion,
    compare_segments,
    count_rule,
    list_segments,
    segment_history,
    segment_names,
    show_segment,
)
from patron.commands.access.record_list_export import record_list_export
from patron.commands.segments.export_segment import read_members
from patron.commands.segments.save_segment import delete_segment, restore_segment, save_segment
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.console.segments.rule_options import builder_options, rule_texts
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    actor_of,
    context_of,
    form_of,
    needs,
)
from patron.interfaces.http.access.customer_scope import rows_of, visible_of
from patron.interfaces.http.csv_response import csv_response
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n.rule_texts import Change, RuleTexts
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import BadSegment, EditConflict, NoRunYet, PatronError
from patron.schema.json_texts import parse_json
from patron.schema.list_pages import MAX_COUNT
from patron.storage.outreach.pending_approvals import pending_approvals

router = APIRouter(route_class=GuardedRoute)
EVERYBODY = {"all": []}
START = {
    "all": [
        {"field": "value_decile", "op": ">=", "value": 8},
        {"field": "churn_probability", "op": ">=", "value": 0.5},
    ]
}
"""The rule that a shop without segments is offered to start from."""
MAX_RULE_LENGTH = 100_000
DONE = ("saved", "deleted")


@dataclass(frozen=True)
class VersionChanges:
    """A version, and what it changed of the one before."""

    version: SegmentVersion
    changes: tuple[Change, ...]
    is_first: bool
    is_moved: bool
    """Whether it has another folder than the version before."""


@router.get("/segments")
@needs(Action.READ, Area.SEGMENTS)
def segments(request: Request) -> Response:
    """Every segment by folder."""
    console: Console = request.app.state.console
    require_known(request.query_params, ("done", "format", *FRAME_PARAMETERS))
    lines = list_segments(console.answers.shop, only=rows_of(visible_of(request)))
    if request.query_params.get("format") == "csv" and lines:
        return _list_file(request, lines)
    folders = sorted({line.folder for line in lines}, key=lambda name: (not name, name))
    return console.page(
        request,
        "segments/segments.html",
        here="segments",
        twin="/api/segments",
        folders=[(folder, [line for line in lines if line.folder == folder]) for folder in folders],
        start=f"/segments/new?{urlencode({'rule': json.dumps(START)})}",
        done=done_of(request),
    )


def _list_file(request: Request, lines: Sequence[SegmentLine]) -> Response:
    """The list as CSV: numbers of segments, and nothing of anybody. Raises NotAllowed without the right to export."""
    actor_of(request).require(Right(Action.EXPORT, Area.SEGMENTS))
    names = ("name", "folder", "version", "saved_at", "saved_by", "customer_count", "entered_count", "left_count")
    rows = [{name: getattr(line, name) for name in names} for line in lines]
    record_list_export(context_of(request), ExportedList.SEGMENTS, row_count=len(rows))
    money = [None if line.expected_cents is None else round(line.expected_cents) / 100 for line in lines]
    return csv_response(pa.Table.from_pylist(rows).append_column("expected", pa.array(money, pa.float64())), "segments")


@router.get("/segments/{name}/members.csv")
@needs(Action.EXPORT, Area.SEGMENTS)
def members_file(request: Request, name: str) -> Response:
    """Members with the shop's own ids, of those whom the reader sees; the audit log records it."""
    rows = read_members(context_of(request), name).rows
    visible = visible_of(request)
    return csv_response(rows if visible is None else visible.restrict(rows), "members")


@router.get("/segments/new")
@needs(Action.ACT, Area.SEGMENTS)
def new_segment(request: Request) -> Response:
    """The builder, with the rule that the address names."""
    parameters = request.query_params
    require_known(parameters, ("rule", *FRAME_PARAMETERS))
    rule = parameters.get("rule", "")[:MAX_RULE_LENGTH] or json.dumps(EVERYBODY)
    return _builder(request, {"rule": rule})


@router.post("/segments")
@needs(Action.ACT, Area.SEGMENTS)
def save(request: Request) -> Response:
    """Save what the builder holds, or count whom its rule selects."""
    form = form_of(request)
    try:
        rule = parsed_rule(request, form.get("rule", ""))
        if form.get("action") == "count":
            only = rows_of(visible_of(request))
            counted = count_rule(_shop(request), rule, with_overlaps=True, only=only)
            return _builder(request, form, counted=counted)
        name, texts = form.get("name", "").strip(), request.app.state.console.words(request)
        if name != form.get("of") and name in {line.name for line in list_segments(_shop(request))}:
            what, todo = texts("campaigns.form.exists", name=name), texts("campaigns.form.exists_todo")
            raise BadSegment(what, where="name", todo=todo)
        content = {"name": name, "folder": form.get("folder", "").strip()}
        content |= {"note": form.get("note", "").strip(), "rule": rule}
        version = bounded_integer(form.get("version", ""), 1, MAX_COUNT) if form.get("of") else 0
        saved = save_segment(context_of(request), content, base=version)
    except PatronError as error:
        return _builder(request, form, error=error)
    return RedirectResponse(f"{path_of(saved.name)}?{urlencode({'done': 'saved'})}", 303)


@router.get("/segments/{name}")
@needs(Action.READ, Area.SEGMENTS)
def segment(request: Request, name: str) -> Response:
    """One segment: what is at stake, its rule, overlaps, and history; `with` compares it with another one."""
    console: Console = request.app.state.console
    require_known(request.query_params, ("with", "done", *FRAME_PARAMETERS))
    shop, other = console.answers.shop, request.query_params.get("with", "")
    only = rows_of(visible_of(request))
    detail = show_segment(shop, name, only=only)
    writer = rule_texts(console, console.words(request), segment_names(shop))
    return console.page(
        request,
        "segments/segment.html",
        here="segments",
        twin=f"/api/segments/{quote(name, safe='')}",
        detail=detail,
        path=path_of(name),
        outline=writer.outline(detail.versions[0].rule),
        history=list(changes_of(detail.versions, writer)),
        comparison=compare_segments(shop, name, other, only=only) if other else None,
        awaiting=pending_approvals(shop, sections=("segments",), name=name),
        rule=json.dumps({"segment": name}),
        use_links=partial(_use_link, console, request),
        done=done_of(request),
    )


def _use_link(console: Console, request: Request, use: SegmentUse) -> str:
    """Page of what uses a segment; empty where the reader may not open it."""
    if use.kind == "team":
        return "/settings/teams" if console.may(request, "read", "access") else ""
    area = "segments" if use.kind == "segment" else "campaigns"
    return f"/{use.kind}s/{quote(use.name, safe='')}" if console.may(request, "read", area) else ""


@router.get("/segments/{name}/edit")
@needs(Action.ACT, Area.SEGMENTS)
def edit(request: Request, name: str) -> Response:
    """The builder with the newest version of a segment."""
    newest = segment_history(_shop(request), name)[0]
    form = {"name": name, "folder": newest.folder, "rule": json.dumps(newest.rule, ensure_ascii=False)}
    return _builder(request, form | {"of": name, "version": str(newest.version)})


@router.post("/segments/{name}/restore")
@needs(Action.ACT, Area.SEGMENTS)
def restore(request: Request, name: str) -> Response:
    """Make the rule of an earlier version the newest."""
    version = bounded_integer(form_of(request).get("version", ""), 1, MAX_COUNT) or 1
    restore_segment(context_of(request), name, version)
    return RedirectResponse(f"{path_of(name)}?done=saved", 303)


@router.post("/segments/{name}/delete")
@needs(Action.ACT, Area.SEGMENTS)
def delete(request: Request, name: str) -> Response:
    """Delete a segment."""
    delete_segment(context_of(request), name)
    return RedirectResponse("/segments?done=deleted", 303)


def path_of(name: str) -> str:
    """Address of a segment's page."""
    return f"/segments/{quote(name, safe='')}"


def done_of(request: Request) -> str:
    """What was done before this page; empty for nothing that is known."""
    done = request.query_params.get("done", "")
    return done if done in DONE else ""


def parsed_rule(request: Request, text: str) -> Any:
    """The rule of a form. Raises BadSegment for what is not JSON."""
    texts = request.app.state.console.words(request)
    try:
        return parse_json(text[:MAX_RULE_LENGTH])
    except ValueError as error:
        raise BadSegment(texts("segments.not_json", what=str(error)), where="rule") from error


def changes_of(versions: tuple[SegmentVersion, ...], writer: RuleTexts) -> Iterator[VersionChanges]:
    """Versions, the newest first, each with what it changed."""
    for one, before in pairwise((*versions, None)):
        if one is None:
            continue
        changes = writer.changes(before.rule if before else None, one.rule)
        is_moved = before is not None and before.folder != one.folder
        yield VersionChanges(one, changes, is_first=before is None, is_moved=is_moved)


def _builder(
    request: Request,
    form: Mapping[str, str],
    *,
    counted: RuleCount | None = None,
    error: PatronError | None = None,
) -> Response:
    console: Console = request.app.state.console
    if isinstance(error, NoRunYet):
        raise error
    lines = list_segments(console.answers.shop)
    name = form.get("name", "").strip()
    is_conflict = isinstance(error, EditConflict)
    is_deleted = is_conflict and name not in {line.name for line in lines}
    return console.page(
        request,
        "segments/segment_edit.html",
        here="segments",
        twin="/api/segment-fields",
        status=status_of(error) if error else 200,
        options=builder_options(console, console.words(request), only=rows_of(visible_of(request))),
        form={key: form.get(key, "") for key in ("name", "folder", "note", "rule", "of", "version")}
        | ({"of": "", "version": ""} if is_deleted else {}),
        folders=sorted({line.folder for line in lines if line.folder}),
        counted=counted,
        error=error,
        newest=f"{path_of(name)}/edit" if is_conflict and not is_deleted else "",
    )


def _shop(request: Request) -> Any:
    return request.app.state.console.answers.shop
