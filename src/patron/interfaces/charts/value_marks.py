"""Invisible marks, each over one row of a chart's table: a page shows the row's values where one points at it."""

from collections.abc import Iterable
from typing import Any

import altair as alt

from patron.interfaces.charts.chart_data import chart_of

MARK = "value_mark"
"""Column of the data of marks."""
MARK_ENCODING = alt.Description(f"{MARK}:N")
"""The encoding that writes a row's mark into a drawing."""
UNHEARD = "\N{WORD JOINER}"
"""How a text of a mark begins: nothing that is seen or read aloud where the drawing library shows it itself."""


def row_mark(row: int, column: int | None = None) -> str:
    """The mark of a row of the table, or of one cell of it; `svg_of` writes it into the picture."""
    return f"#{row}" if column is None else f"#{row}.{column}"


def value_mark(text: str) -> str:
    """The mark of something that has no row in a table: the text itself is shown."""
    return f"{UNHEARD}{text}"


def value_lines(x: alt.X, places: Iterable[float | str]) -> alt.Chart:
    """Lines across a picture, at the place on the axis of each row of the table."""
    return _marks(x, places).mark_rule(opacity=0).encode(x=x)


def value_columns(x: alt.X, places: Iterable[float | str]) -> alt.Chart:
    """Bands of the height of a picture, at the place on the axis of each row of the table."""
    return _marks(x, places).mark_rect(opacity=0).encode(x=x, y=alt.YValue(0), y2=alt.Y2Value("height"))


def value_rows(y: alt.Y, places: Iterable[float | str]) -> alt.Chart:
    """Bands of the width of a picture, at the place on the axis of each row of the table."""
    return _marks(y, places).mark_rect(opacity=0).encode(y=y, x=alt.XValue(0), x2=alt.X2Value("width"))


def _marks(axis: alt.X | alt.Y, places: Iterable[float | str]) -> alt.Chart:
    field = str(axis.shorthand).partition(":")[0]
    rows: list[dict[str, Any]] = [{field: place, MARK: row_mark(row)} for row, place in enumerate(places)]
    return chart_of(rows).encode(description=MARK_ENCODING)
