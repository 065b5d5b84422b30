"""A heat map in a few shades, each of which a page has in its own theme."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from patron.interfaces.charts.chart import NARROW, WIDE, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.value_marks import MARK, MARK_ENCODING

SHADES = ("#f1f7fb", "#d3e6f3", "#a8cde6", "#78b1d7", "#2474a8", "#0b4f7d")
"""From the least to the most; the dark theme has its own in their place (patron.css)."""
DARK_INK, LIGHT_INK = "#1e293b", "white"
FIRST_DARK_SHADE = 4
"""From this shade on letters are light."""
INCOMPLETE = "#64748b"
SMALL = 9
"""Size of the letters in the squares on a telephone, pixels."""
ROW_PIXELS, HEAD_PIXELS = 28, 60
LETTER, WIDE_LETTER, LAST_NARROW = 7.2, 12.5, 0x2000
"""Width of a letter of a row's name, and of one after that code point, such as a Chinese one, pixels."""


@dataclass(frozen=True)
class HeatCell:
    """One square."""

    row: str
    column: int
    level: float
    """How much it is, as a share of the most, 0 to 1."""
    label: str
    short_label: str
    """The same for a telephone."""
    mark: str
    """Of its cell in the table."""
    is_complete: bool = True
    """Otherwise its edge is dashed."""


def heat_map(
    cells: Sequence[HeatCell], rows: Sequence[str], column_title: str, *, narrow_columns: int = 12
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Specification for a page and for a telephone, which shows only so many columns."""
    height = HEAD_PIXELS + ROW_PIXELS * len(rows)
    wide = _layers(cells, rows, column_title, size=12, label="label")
    narrow = _layers(
        [cell for cell in cells if cell.column < narrow_columns], rows, column_title, size=SMALL, label="short_label"
    )
    return specification(*wide, width=WIDE, height=height), specification(*narrow, width=NARROW, height=height)


def _layers(
    cells: Sequence[HeatCell], rows: Sequence[str], column_title: str, *, size: int, label: str
) -> tuple[alt.Chart, ...]:
    values = [
        {
            "row": cell.row,
            "column": cell.column,
            "shade": SHADES[_shade(cell.level)],
            "ink": LIGHT_INK if _shade(cell.level) >= FIRST_DARK_SHADE else DARK_INK,
            "is_complete": cell.is_complete,
            "label": cell.label,
            "short_label": cell.short_label,
            MARK: cell.mark,
        }
        for cell in cells
    ]
    columns = alt.X("column:O", title=column_title, axis=alt.Axis(labelAngle=0, orient="top", domain=False))
    # why: the reader's font may be wider than the one that the drawing library measures
    room = max((sum(WIDE_LETTER if ord(letter) > LAST_NARROW else LETTER for letter in row) for row in rows), default=0)
    names = alt.Y("row:N", sort=list(rows), title=None, axis=alt.Axis(minExtent=room, labelLimit=room))
    base = chart_of(values).encode(x=columns, y=names)
    squares = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.Color("shade:N", scale=None), description=MARK_ENCODING
    )
    dashed = base.transform_filter("!datum.is_complete").mark_rect(
        fill=None, stroke=INCOMPLETE, strokeWidth=1.5, strokeDash=[3, 3]
    )
    texts = base.mark_text(fontSize=size).encode(text=alt.Text(f"{label}:N"), color=alt.Color("ink:N", scale=None))
    return squares, dashed, texts


def _shade(level: float) -> int:
    return min(int(max(level, 0.0) * len(SHADES)), len(SHADES) - 1)
