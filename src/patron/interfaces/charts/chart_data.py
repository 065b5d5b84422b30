"""Rows as the data of a chart."""

import json
from collections.abc import Iterable
from math import isfinite
from typing import Any

import altair as alt


def chart_of(rows: Iterable[dict[str, Any]]) -> alt.Chart:
    """A chart over rows, whose layers share them; a number that is not finite is drawn as missing."""
    finite = [{name: _drawable(value) for name, value in row.items()} for row in rows]
    # why: as a text the rows are neither copied nor checked at every step of Altair, which takes longer than drawing
    return alt.Chart(alt.Data(values=json.dumps(finite, ensure_ascii=False), format=alt.JsonDataFormat(type="json")))


def _drawable(value: object) -> object:
    return None if isinstance(value, float) and not isfinite(value) else value
