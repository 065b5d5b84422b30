"""Segments as text."""

import json as json_texts
from collections.abc import Sequence
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.i18n.formats import Formats

if TYPE_CHECKING:
    from patron.answers.segments.saved_segments import (
        SegmentComparison,
        SegmentDetail,
        SegmentLine,
        SegmentNames,
        SegmentTotals,
        SegmentVersion,
    )
    from patron.storage.settings import ShopSettings

GROUPS = {
    "first": "{first}",
    "second": "{second}",
    "both": "in both",
    "only_first": "only in {first}",
    "only_second": "only in {second}",
}
"""Groups of a comparison in words."""


def show_segments(lines: "Sequence[SegmentLine]", *, json: bool) -> None:
    """Print the list of segments."""
    if json:
        output.as_json(lines)
        return
    if not lines:
        output.say("No segment is saved yet. `patron segment save --example` prints a file to start from.")
        return
    rows = [
        (
            one.name,
            one.folder,
            f"{one.saved_at:%Y-%m-%d} by {one.saved_by}",
            one.problem,
            one.version,
            "-" if one.customer_count is None else f"{one.customer_count:,}",
        )
        for one in lines
    ]
    output.grid("Segments", ("segment", "folder", "saved", "problem", "version", "customers"), rows, numbers=2)


def show_detail(detail: "SegmentDetail", shop: "ShopSettings", *, json: bool) -> None:
    """Print one segment."""
    if json:
        output.as_json(detail)
        return
    totals = detail.totals
    output.say(detail.name, style="bold")
    output.say(f"{totals.customer_count:,} customers ({detail.share:.1%} of all) as of the run {detail.run_id}")
    output.say(f"expected value in 90 days: {_money(totals, shop)}")
    output.say(f"mean churn probability: {_churn(totals)}")
    output.say(f"since {detail.since:%Y-%m-%d}: {detail.entered_count:,} entered, {detail.left_count:,} left")
    output.say(f"rule: {_rule(detail.versions[0])}")
    if detail.overlaps:
        rows = [(one.name, f"{one.customer_count:,}", f"{one.share:.1%}") for one in detail.overlaps]
        output.grid("Also in", ("segment", "customers", "share"), rows, numbers=2)
    show_history(detail.versions, json=False)


def show_history(versions: "Sequence[SegmentVersion]", *, json: bool) -> None:
    """Print the versions of a segment."""
    if json:
        output.as_json(versions)
        return
    rows = [
        (one.version, f"{one.saved_at:%Y-%m-%d %H:%M}", one.saved_by, one.note, one.folder, _rule(one))
        for one in versions
    ]
    output.grid("Versions", ("version", "saved (UTC)", "by", "note", "folder", "rule"), rows)


def show_comparison(comparison: "SegmentComparison", shop: "ShopSettings", *, json: bool) -> None:
    """Print two segments next to each other."""
    if json:
        output.as_json(comparison)
        return
    rows = [
        (
            words.format(first=comparison.first, second=comparison.second),
            f"{totals.customer_count:,}",
            _money(totals, shop),
            _churn(totals),
        )
        for group, words in GROUPS.items()
        for totals in [comparison.totals[group]]
    ]
    output.grid("Comparison", ("customers", "count", "expected in 90 days", "mean churn"), rows, numbers=3)


def show_names(names: "SegmentNames", *, json: bool) -> None:
    """Print what a rule may name."""
    if json:
        output.as_json(names)
        return
    rows = [(one.name, one.kind, one.unit, one.meaning or "feature", ", ".join(one.choices)) for one in names.fields]
    output.grid("{ field = ..., op = ..., value = ... }", ("field", "kind", "unit", "meaning", "values"), rows)
    for title, listed in (
        ("trait", names.traits),
        ("event", names.events),
        ("segment", names.segments),
        ("tag", names.tags),
    ):
        output.say(f"{{ {title} = ... }}: {', '.join(listed) or 'none yet'}")
    output.say("{ bought = { product | category | brand = ... } }, { consent = ..., is = ... }: any of the shop's")


def _rule(version: "SegmentVersion") -> str:
    return json_texts.dumps(version.rule, ensure_ascii=False)


def _money(totals: "SegmentTotals", shop: "ShopSettings") -> str:
    if totals.expected_cents is None:
        return "-"
    return Formats("en", shop.currency, shop.time_zone).money(totals.expected_cents)


def _churn(totals: "SegmentTotals") -> str:
    return "-" if totals.mean_churn_probability is None else f"{totals.mean_churn_probability:.2f}"
