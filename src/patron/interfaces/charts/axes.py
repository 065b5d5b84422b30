"""Axes whose labels are written in the reader's language, not in the drawing library's."""

import json
import math
from collections.abc import Callable, Iterable

import altair as alt


def nice_ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Round values that cover low to high, at most `most` steps apart by 1, 2 or 5 times a power of ten."""
    if high <= low:
        high = low + 1
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
    first = math.floor(low / step)
    last = math.ceil(high / step - 1e-9)
    return [round(step * number, 10) for number in range(first, last + 1)]


def labelled(values: Iterable[float], write: Callable[[float], str], *, title: str | None = None) -> alt.Axis:
    """Axis with these ticks, each labelled by `write`."""
    ticks = list(values)
    # why: a lookup instead of a number format, because only Babel knows every language's way to write amounts
    # and with the true minus sign, which the drawing library writes below zero
    lookup = json.dumps({f"{tick:.6f}".replace("-", "\u2212"): write(tick) for tick in ticks}, ensure_ascii=False)
    return alt.Axis(values=ticks, labelExpr=f"{lookup}[format(datum.value, '.6f')]", title=title)


def scale(ticks: list[float]) -> alt.Scale:
    """Linear scale from the first to the last tick."""
    return alt.Scale(domain=[ticks[0], ticks[-1]], nice=False, zero=False)
