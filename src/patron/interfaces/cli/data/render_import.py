"""How an import, its preview and the mappings look in a terminal."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.schema.data.counts import IngestionCounts
from patron.schema.data.dead_letter_reasons import UNREADABLE

if TYPE_CHECKING:
    from patron.commands.data.built_in_mappings import MappingDescription
    from patron.commands.data.import_files import ImportPreview, ImportSummary, PreviewedRow

KINDS = {
    "Order Completed": "orders",
    "Order Line Completed": "order lines",
    "Order Refunded": "refunds",
    "Order Line Refunded": "refunded lines",
    "Order Cancelled": "cancelled orders",
    "Consent Given": "consents",
    "Consent Withdrawn": "withdrawn consents",
    "": "unreadable lines",
}
"""Events as people count them; others are called by their names."""


def show_import(summary: "ImportSummary", *, json: bool) -> None:
    """Show how many lines were read, and how many orders, refunds and so on were stored, duplicate and rejected."""
    if json:
        output.as_json(summary)
        return
    _show_counts(summary.line_count, summary.by_event, summary)
    for warning in summary.warnings:
        output.say(warning, style="yellow")
    left_out = [row for row in summary.rejected_rows if not row.is_fault]
    faults = [row for row in summary.rejected_rows if row.is_fault]
    for title, rows in (("Left out on purpose:", left_out), ("Rejected, for example:", faults)):
        if rows:
            output.say(title)
        for row in rows:
            count = summary.rejected_by_reason[row.reason]
            output.say(f"  {count:,} {row.reason}: {row.file} line {row.line}: {row.message}")
    if any(row.reason not in UNREADABLE for row in faults):
        output.say(f"After fixing the cause: patron import --replay {summary.import_id}")
    elif faults:
        output.say("After repairing the file, import it again; nothing is stored twice.")


def _show_counts(line_count: int, by_event: Mapping[str, IngestionCounts], total: IngestionCounts) -> None:
    """Show lines and what they hold, as the user counts it, then what became of each kind."""
    kinds = ", ".join(f"{counts.total:,} {KINDS.get(name, name)}" for name, counts in by_event.items()) or "nothing"
    read = f"{line_count:,} lines read: " if line_count else "Tried again: "
    became = f"{total.stored:,} stored + {total.duplicate:,} duplicate + {total.rejected:,} rejected"
    output.say(f"{read}{kinds} = {became}")
    if len(by_event) > 1:
        rows = [
            (KINDS.get(name, name), *(f"{n:,}" for n in (one.total, one.stored, one.duplicate, one.rejected)))
            for name, one in by_event.items()
        ]
        output.grid("", ("", "read", "stored", "duplicate", "rejected"), rows, numbers=4)


def show_preview(shown: "ImportPreview", *, json: bool) -> None:
    """Show the first rows of each kind as the mapping reads them, and what an import would store."""
    if json:
        output.as_json(shown)
        return
    preview = shown.preview
    for note in shown.notes:
        output.say(note, style="yellow")
    head = ("line", "event", "time (UTC)", "customer", "order", "product", "units", "amount", "")
    output.grid(f"First rows as {shown.mapping} reads them", head, [_cells(row) for row in preview.rows])
    for reason in preview.rejected_by_reason:
        row = next(one for one in preview.rows if one.reason == reason)
        output.say(f"{preview.rejected_by_reason[reason]:,} {reason}: {row.file} line {row.line}: {row.message}")
    output.say("Nothing was written. An import would do this:")
    _show_counts(preview.line_count, preview.by_event, preview.counts)


def _cells(row: "PreviewedRow") -> tuple[object, ...]:
    event = row.event
    time = event.get("occurred_at")
    cents = next((event[name] for name in ("revenue_cents", "total_cents", "price_cents") if name in event), None)
    amount = "" if cents is None else f"{cents / 100:,.2f} {event.get('currency', '')}".strip()
    customer = event.get("user_id", event.get("anonymous_id", ""))
    ids = (event.get("order_id", ""), event.get("product_id", ""), event.get("quantity", ""))
    at = f"{time:%Y-%m-%d %H:%M}" if time else ""
    return row.line, event.get("name", ""), at, customer, *ids, amount, row.reason and f"rejected: {row.reason}"


def show_mappings(mappings: "Iterable[MappingDescription]", *, json: bool) -> None:
    """Show each mapping's name, what it is for, and its columns."""
    if json:
        output.as_json(list(mappings))
        return
    rows = [
        (
            one.name,
            one.description.replace("\n", " ").partition(". ")[0].rstrip(".") + ".",
            "; ".join(
                f"{files}: {', '.join(columns)}" if files != "*" else ", ".join(columns)
                for files, columns in one.columns_by_file.items()
            ),
        )
        for one in mappings
    ]
    output.grid("Built-in mappings", ("name", "for", "columns needed"), rows)
    output.say("Use one: patron import --mapping NAME FILE; or let Patron choose by the columns: --mapping auto.")
    output.say("Any other file needs a mapping of your own: docs/how-to/import-your-data.md.")
