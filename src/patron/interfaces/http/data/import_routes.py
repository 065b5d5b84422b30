"""Imports of files, a page at a time, and uploaded files that are not imported yet."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from patron.answers.data.data_quality import IMPORTS_PER_PAGE, ImportPage, list_imports
from patron.commands.data.uploaded_files import Upload, look_into_upload
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.list_pages import Cursor, CursorText, Limit, microseconds_of, time_of

router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


@dataclass(frozen=True)
class ImportCursorPage(ImportPage):
    """Imports, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


@router.get("/api/imports")
@needs(Action.READ, Area.DATA)
def imports(request: Request, cursor: CursorText = "", limit: Limit = None) -> ImportCursorPage:
    """Imports of files, the newest first."""
    before: tuple[datetime, str] | None = None
    if cursor:
        at, import_id = Cursor.in_list(cursor, "imports", int, str).place
        before = (time_of(at), import_id)
    page = list_imports(answers_of(request).shop, before=before, length=limit or IMPORTS_PER_PAGE)
    following = None
    if page.has_more:
        following = str(Cursor("imports", (microseconds_of(page.imports[-1].started_at), page.imports[-1].import_id)))
    return ImportCursorPage(**vars(page), next_cursor=following)


@router.get("/api/uploads/{upload_id}")
@needs(Action.ACT, Area.DATA)
def upload(request: Request, upload_id: str, encoding: Annotated[str, Query(max_length=20)] = "") -> Upload:
    """An uploaded file that is not imported yet: its columns, masked samples, and the mapping that fits it."""
    return look_into_upload(answers_of(request).shop, upload_id, encoding=encoding)
