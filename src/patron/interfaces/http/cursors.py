"""Cursors of lists: where the next page begins, in the run that the first page showed."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import Query

from patron.schema.errors import BadQuery, BadRequest

MAX_LIMIT = 1_000
CursorText = Annotated[
    str, Query(max_length=400, description="The next_cursor of the page before; instead of page. Empty for the first.")
]
Limit = Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description=f"Rows of a page (default: {MAX_LIMIT}).")]


@dataclass(frozen=True)
class Cursor:
    """The last row of a page, by its customer_id, and the run that it is of."""

    run_id: str
    after: str

    def __str__(self) -> str:
        """As next_cursor has it."""
        return urlsafe_b64encode(json.dumps([self.run_id, self.after]).encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read one. Raises BadQuery for a text that is none."""
        try:
            run, after = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return cls(str(run), str(after))
        except (ValueError, TypeError):
            raise BadQuery("is not a next_cursor of this list", where="cursor", todo="Begin without one.") from None

    def require_run(self, run_id: str) -> None:
        """Refuse to go on in another run. Raises BadRequest (409)."""
        if self.run_id != run_id:
            what = f"the pages before are of run {self.run_id[:40]}, and {run_id} is shown by now"
            raise BadRequest(409, what, where="cursor", todo="Begin without a cursor, or name the cutoff.")


@dataclass(frozen=True)
class RowPage:
    """Rows of one page, and where the next one begins."""

    rows: list[dict[str, Any]]
    next_cursor: str | None


def page_of(rows: pa.Table, run_id: str, *, page: int, size: int, cursor: str) -> RowPage:
    """A page of rows in order of customer_id: from the cursor on, or by its number. Raises BadQuery, BadRequest."""
    start = (page - 1) * size
    if cursor:
        last = Cursor.parse(cursor)
        last.require_run(run_id)
        start = pc.sum(pc.less_equal(rows["customer_id"], last.after)).as_py() or 0
    shown = rows.slice(start, size).to_pylist()
    is_last = start + size >= rows.num_rows
    return RowPage(shown, None if is_last or not shown else str(Cursor(run_id, shown[-1]["customer_id"])))
