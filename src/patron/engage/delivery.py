"""The engage stage of a run: offers and recommendations into the outbox, exposures, and the events they make."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from patron.engage.outbox import write_csv
from patron.govern.consent_ledger import Entry, history, last_word
from patron.govern.vault import Vault
from patron.schema.raw_events import TOLD
from patron.schema.table_definition import TIME
from patron.schema.tables import EXPOSURES
from patron.storage.stage_view import VAULT, StageView

OFFERS_HEADER = ("decision_id", "user_id", "offer", "name", "discount_share", "valid_from", "valid_until")
RECOMMENDATIONS_HEADER = ("user_id", "rank", "product_id", "reason")


@dataclass(frozen=True)
class Engaged:
    """What was handed over in a run."""

    offer_count: int
    unreachable_count: int
    """Customers with an offer whose own id is no longer known, or who said no since; they got none."""
    recommended_customer_count: int
    files: tuple[str, ...]
    events: pa.Table
    """Told events for collect: one `Offer Assigned` per offer handed over."""


def deliver(view: StageView) -> Engaged:
    """Write the run's outbox files and `exposures`; returns the events that collect should store."""
    vault: Vault = view.capability(VAULT)
    offered = _with_ids(vault, view.query(offers_query(view.run.run_id)))
    recommended = _with_ids(vault, view.query(recommendations_query(view.run.run_id)))
    said_no = _said_no(view, {row["customer_id"] for row in (*offered, *recommended)})
    reached = [row for row in offered if row["user_id"] is not None and row["customer_id"] not in said_no]
    recommended = [row for row in recommended if row["user_id"] is not None and row["customer_id"] not in said_no]
    folder = view.outbox_folder / view.run.run_id
    channel = view.policy.channel.name
    files = (folder / f"offers_{channel}.csv", folder / f"recommendations_{channel}.csv")
    _write_offers(view, files[0], reached)
    write_csv(
        files[1],
        RECOMMENDATIONS_HEADER,
        ([row["user_id"], str(row["rank"]), row["product_id"], row["reason"]] for row in recommended),
    )
    view.write("exposures", exposures(view, reached))
    return Engaged(
        offer_count=len(reached),
        unreachable_count=len(offered) - len(reached),
        recommended_customer_count=len({row["customer_id"] for row in recommended}),
        files=tuple(str(path.relative_to(view.outbox_folder.parent)) for path in files),
        events=offer_events(view, reached),
    )


FIRST_TOKENS = """
token_of as (
  select customer_id, token,
    row_number() over (partition by customer_id order by known_at, token) as place
  from identities where is_user)
"""


def offers_query(run_id: str) -> str:
    """SQL for the run's offers with the first known user token of each customer."""
    return f"""
with {FIRST_TOKENS}
select d.decision_id, d.customer_id, d.action, t.token from decisions d
left join token_of t on t.customer_id = d.customer_id and t.place = 1
where d.run_id = '{run_id}' and d.action <> 'none' order by d.decision_id
"""


def recommendations_query(run_id: str) -> str:
    """SQL for the run's recommended products with the first known user token of each customer."""
    return f"""
with {FIRST_TOKENS}
select r.customer_id, r."rank", r.product_id, r.reason, t.token from recommendations r
left join token_of t on t.customer_id = r.customer_id and t.place = 1
where r.run_id = '{run_id}' order by r.customer_id, r."rank"
"""


def exposures(view: StageView, reached: list[dict]) -> pa.Table:
    """Rows of `exposures` for the offers handed over; delivered only when the policy says that somebody sends them."""
    channel = view.policy.channel
    same = {
        "run_id": view.run.run_id,
        "channel": channel.name,
        "exposed_at": view.run.as_of,
        "is_delivered": channel.is_delivered,
    }
    rows = [same | {name: row[name] for name in ("decision_id", "customer_id", "action")} for row in reached]
    return pa.Table.from_pylist(rows, schema=EXPOSURES.schema())


def offer_events(view: StageView, reached: list[dict]) -> pa.Table:
    """Told `Offer Assigned` events; their ids come from the decisions, so that a rerun tells nothing twice.

    A rerun that decides otherwise tells its own beside those told before: events are what was said at the time, and
    `exposures` is what stands.
    """
    offers = {offer.id: offer for offer in view.policy.offers}
    rows = [
        {
            "event_id": f"offer-{row['decision_id']}-{row['action']}",
            "name": "Offer Assigned",
            "occurred_at": view.run.as_of,
            "decision_id": row["decision_id"],
            "coupon": row["action"],
            "channel": view.policy.channel.name,
            "user_id": row["user_id"],
            "properties": json.dumps(
                {
                    "offer_id": row["action"],
                    "discount_share": offers[row["action"]].discount_share,
                    "valid_days": offers[row["action"]].valid_days,
                },
                sort_keys=True,
            ),
        }
        for row in reached
    ]
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], TIME if field.type == TIME else field.type)
        for field in TOLD
    }
    return pa.table(columns, schema=TOLD)


def _with_ids(vault: Vault, rows: pa.Table) -> list[dict]:
    known = rows["token"].drop_null().unique().to_pylist()
    user_ids = dict(zip(known, vault.reveal(known), strict=True))
    return [row | {"user_id": user_ids.get(row["token"])} for row in rows.to_pylist()]


def _said_no(view: StageView, customers: set[str]) -> set[str]:
    """Customers whose last word to being written to, as any of their user ids, is a no, also one since the run."""
    sql = (
        "select i.token, i.customer_id from identities i join asked a on a.customer_id = i.customer_id where i.is_user"
    )
    asked = pa.table({"customer_id": pa.array(sorted(customers), pa.string())})
    of = {row["token"]: row["customer_id"] for row in view.query(sql, asked=asked).to_pylist()}
    told: dict[str, list[Entry]] = {}
    consent = view.policy.consent
    for one in history(view.declared_store, of, consent.names_of(consent.marketing)):
        told.setdefault(of[one["token"]], []).append(one)
    return {customer for customer, entries in told.items() if last_word(entries) is False}


def _write_offers(view: StageView, path: Path, reached: list[dict]) -> None:
    offers = {offer.id: offer for offer in view.policy.offers}
    day = view.run.as_of.date()
    rows = []
    for row in reached:
        offer = offers[row["action"]]
        until = day + timedelta(days=offer.valid_days)
        rows.append(
            [
                row["decision_id"],
                row["user_id"],
                offer.id,
                offer.name,
                f"{offer.discount_share:g}",
                day.isoformat(),
                until.isoformat(),
            ]
        )
    write_csv(path, OFFERS_HEADER, rows)
