"""Refunds that become known only after the cutoff: the run counts none of them, and says so."""

from dataclasses import replace

from patron.schema.data.refunds import LaterRefunds
from patron.schema.tables import LATER_REFUNDS
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView
from patron.understand.facts.refund_lines import REFUNDS, refund_lines
from patron.understand.facts.sale_lines import sale_lines
from patron.understand.facts.usable_events import END_OF_TIME, Scope, rates_table


def later_refunds(scope: Scope) -> str:
    """One row about all refunds with money that become known at the cutoff or later; no row without any."""
    ever = replace(scope, as_of=END_OF_TIME)
    return f"""
        select cast(count(*) as bigint) as refund_count, cast(sum(refund_cents) as bigint) as refund_cents,
            min(known_at) as first_known_at, max(known_at) as last_known_at
        from (
            select source, event_id, min(known_at) as known_at, sum(booked_cents) as refund_cents
            from (with sold as ({sale_lines(ever)}), {refund_lines(ever).strip().removeprefix("with")}) r
            where known_at >= {timestamp(scope.as_of)} group by source, event_id
        ) b
        where refund_cents > 0 having count(*) > 0"""


def build_later_refunds(view: StageView) -> LaterRefunds | None:
    """Write and return what became known after the run's cutoff; None where nothing did."""
    shop, as_of = view.settings.shop, timestamp(view.run.as_of)
    rows = LATER_REFUNDS.empty().drop_columns(["run_id"])
    # why: a nightly run has none, and then not every sale need be read again
    if view.query(f"select 1 as n from events where name in {REFUNDS} and known_at >= {as_of} limit 1").num_rows:
        scope = Scope(view.run.as_of, shop.time_zone, shop.currency)
        rows = view.query(later_refunds(scope), rates=rates_table(scope.currency, dict(view.settings.rates)))
    view.write_query("later_refunds", f"select '{view.run.run_id}' as run_id, r.* from rows_found r", rows_found=rows)
    return next((LaterRefunds(**row) for row in rows.to_pylist()), None)
