"""Pages of lists, by number or by cursor: the place of the last row, so that rows that come in between move nothing."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from patron.schema.common_sentences import CURSOR_NONE
from patron.schema.errors import BadQuery, BadRequest
from patron.schema.sentences import Sentence

NOT_NEXT_CURSOR = Sentence("not_next_cursor", "is not a next_cursor of this list")
PAGES_OF_RUN = Sentence("pages_of_run", "the earlier pages are of run {before}, and now {run} is shown")
BEGIN_OR_CUTOFF = Sentence("begin_or_cutoff", "Begin without a cursor, or name the cutoff.")

MAX_LIMIT = 1_000
MAX_VALUE = 2**63
MAX_PAGE = 9_999_999
MAX_COUNT = 10**12
"""Largest count of rows, or number of an entry, that an address names."""
CursorText = Annotated[
    str, Field(max_length=400, description="The next_cursor of the page before; instead of page. Empty for the first.")
]
Limit = Annotated[int | None, Field(ge=1, le=MAX_LIMIT, description="Rows of a page; without it as many as usual.")]
PageNumber = Annotated[int, Field(ge=1, le=MAX_PAGE)]
BeforeEntry = Annotated[int | None, Field(ge=1, le=MAX_COUNT, description="Entries before this number.")]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Cursor:
    """The place of the last row of a page in the order of its list."""

    of: str
    """What the place is in: a run by its id, or a list by its name."""
    place: tuple[Any, ...]
    """Texts and numbers."""

    def __str__(self) -> str:
        """As next_cursor has it."""
        text = json.dumps([self.of, *self.place], ensure_ascii=False)
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, *kinds: type[str] | type[int] | type[float]) -> "Cursor":
        """Read one whose place consists of these kinds of values. Raises BadQuery for a text that is none."""
        of, place = "", []
        try:
            of, *place = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            is_whole = _is_kind(of, str) and all(_is_kind(*pair) for pair in zip(place, kinds, strict=True))
        except (ValueError, TypeError, RecursionError):
            is_whole = False
        if not is_whole:
            raise not_of_this_list()
        return cls(of, tuple(place))

    @classmethod
    def in_list(cls, text: str, name: str, *kinds: type[str] | type[int] | type[float]) -> "Cursor":
        """Read one of a list that changes at any time. Raises BadQuery for one of another list, too."""
        cursor = cls.parse(text, *kinds)
        if cursor.of != name:
            raise not_of_this_list()
        return cursor

    @classmethod
    def in_run(cls, text: str, run_id: str, *kinds: type[str] | type[int] | type[float]) -> "Cursor":
        """Read one of a list of a run. Raises BadQuery, and BadRequest (409) where another run is shown by now."""
        cursor = cls.parse(text, *kinds)
        if cursor.of != run_id:
            what = PAGES_OF_RUN(before=cursor.of[:40], run=run_id)
            raise BadRequest(409, what, where="cursor", todo=BEGIN_OR_CUTOFF)
        return cursor


def not_of_this_list() -> BadQuery:
    """The refusal of a cursor that this list did not answer."""
    return BadQuery(NOT_NEXT_CURSOR, where="cursor", todo=CURSOR_NONE)


def microseconds_of(at: datetime) -> int:
    """A time as a part of a place: microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def time_of(microseconds: Any) -> datetime:
    """The time of a part of a place. Raises BadQuery for one that no calendar has."""
    try:
        return EPOCH + microseconds * MICROSECOND
    except OverflowError:
        raise not_of_this_list() from None


def _is_kind(value: object, kind: type[str] | type[int] | type[float]) -> bool:
    """Whether a value can be one of a row: stores take no text with control characters, nor numbers beyond theirs."""
    if isinstance(value, str):
        return kind is str and value.isprintable()
    if isinstance(value, float):
        return kind is float and isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and kind is not str and abs(value) < MAX_VALUE


@dataclass(frozen=True)
class RowPage:
    """Rows of one page, and where the next one begins."""

    rows: list[dict[str, Any]]
    next_cursor: str | None


def page_of(rows: pa.Table, run_id: str, *, page: int, size: int, cursor: str) -> RowPage:
    """A page of rows in order of customer_id: from the cursor on, or by its number. Raises BadQuery, BadRequest."""
    start = (page - 1) * size
    if cursor:
        (last,) = Cursor.in_run(cursor, run_id, str).place
        start = pc.sum(pc.less_equal(rows["customer_id"], last)).as_py() or 0
    shown = rows.slice(start, size).to_pylist()
    is_last = start + size >= rows.num_rows
    return RowPage(shown, None if is_last or not shown else str(Cursor(run_id, (shown[-1]["customer_id"],))))
