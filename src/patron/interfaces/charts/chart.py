"""One chart: its specification, its words, its table; and how it becomes SVG."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

import altair as alt
import vl_convert

from patron.interfaces.charts.value_marks import UNHEARD

HALF, WIDE = 460, 940
"""Widths charts are drawn at, pixels; pages scale them."""
NARROW = 336
"""Width of every chart on a telephone, pixels: drawn once more, for letters do not shrink with a picture."""

INK = "#334155"
FAINT = "#64748b"
GRID = "#e2e8f0"
BLUE, ORANGE, GREEN, VERMILION, SKY, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#94a3b8"
"""Okabe and Ito's palette, distinct for every common kind of colour vision, and a grey."""

CONFIG = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": GREY,
        "gridColor": GRID,
        "ticks": False,
        "labelPadding": 6,
        "titlePadding": 8,
    },
    "axisY": {"domain": False},
    "axisX": {"grid": False},
    "legend": {
        "labelFontSize": 12,
        "labelColor": INK,
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "padding": 0,
        "offset": 4,
    },
    "text": {"fontSize": 12, "color": INK},
}

LAYER_PARTS = ("data", "transform", "mark", "encoding")
"""Of what Altair writes: the rest belongs to the whole."""
KINDS = {"#": "row", UNHEARD: "value"}
"""What marks of `value_marks` become in the picture, by how they begin."""


@dataclass(frozen=True)
class Chart:
    """A picture and the same facts as a table."""

    title: str
    description: str
    """What the picture shows, in a sentence, for those who do not see it."""
    spec: dict[str, Any]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    narrow: dict[str, Any] | None = None
    """Specification for a telephone, where the same one drawn at that width would not do."""
    columns: str = ""
    """What the heads of the table count, where they are numbers."""

    def svg(self) -> str:
        """Draw the chart; its texts stay texts, so that the reader's own fonts show every script."""
        return svg_of(json.dumps(self.spec, sort_keys=True), self._label)

    def narrow_svg(self) -> str:
        """Draw the chart for a telephone."""
        spec = self.narrow or {**self.spec, "width": min(NARROW, self.spec["width"])}
        return svg_of(json.dumps(spec, sort_keys=True), self._label)

    def _repr_svg_(self) -> str:
        """Draw the chart for a notebook, where it stands alone: with its title, on white, in a font without serifs."""
        above = {"text": self.title, "anchor": "start", "color": INK, "fontSize": 14, "offset": 12}
        room = {"left": 16, "right": 16, "top": 6, "bottom": 6}  # why: the reader's font may be wider than ours
        alone = svg_of(json.dumps({**self.spec, "title": above, "padding": room}, sort_keys=True), self._label)
        return alone.replace("<svg ", '<svg font-family="sans-serif" style="background:#fff" ', 1)

    @property
    def _label(self) -> str:
        return f"{self.title}. {self.description}"


def specification(*layers: alt.Chart, width: int = HALF, height: int) -> dict[str, Any]:
    """Vega-Lite specification of layers, the first at the back, in Patron's look, exactly `width` pixels wide."""
    # why: `alt.layer` copies each layer several times, and checking takes longer than drawing; the tests draw every one
    written = [layer.to_dict(validate=False) for layer in layers]
    return {
        "$schema": alt.SCHEMA_URL,
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "layer": [{name: part for name, part in layer.items() if name in LAYER_PARTS} for layer in written],
        "config": CONFIG,
    }


def draw(spec: str) -> str:
    """SVG of a specification, as the drawing library writes it."""
    return vl_convert.vegalite_to_svg(json.loads(spec))


class _Drawer:
    """What turns the text of a specification into SVG."""

    draw: Callable[[str], str] = staticmethod(draw)


_DRAWER = _Drawer()


@contextmanager
def draw_with(function: Callable[[str], str]) -> Iterator[None]:
    """Within a block, let another function than `draw` draw the charts of every thread."""
    _DRAWER.draw = function
    try:
        yield
    finally:
        _DRAWER.draw = draw


@lru_cache(maxsize=512)
def svg_of(spec: str, label: str) -> str:
    """SVG of a specification; the text of the specification holds its data, so the same data is drawn once."""
    drawn = _DRAWER.draw(spec)
    # why: the inner English roles and labels would be read out word by word; the figure carries one label and a table
    shown = re.sub(f'aria-label="([{"".join(KINDS)}])([^"]*)"', lambda one: f'data-{KINDS[one[1]]}="{one[2]}"', drawn)
    quiet = re.sub(
        r' (?:aria-[a-z]+|role|pointer-events|class|stroke-miterlimit|xmlns:xlink|version)="[^"]*"', "", shown
    )
    bare = quiet.replace(' opacity="1"', "").replace(' font-family="sans-serif"', "")
    # why: places in the picture need no more digits, but texts and values are as they were written
    short = re.sub(r'(data-\w+="[^"]*"|>[^<]*<)|(\d+\.\d{2})\d+', lambda one: one[1] or one[2], bare)
    return short.replace("<svg ", f'<svg class="chart" role="img" aria-label="{escape(label)}" ', 1)
