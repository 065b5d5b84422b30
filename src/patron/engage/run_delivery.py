"""Delivery of a run: offers and recommendations go to the outbox, and leave exposures and events."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from patron.engage.outbox_refusals import OutboxRefusals, outbox_refusals
from patron.govern.vault import Vault
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.table_definition import TIME
from patron.schema.tables import EXPOSURES
from patron.storage.runs.stage_view import VAULT, StageView
from patron.storage.safe_csv import write_csv

OFFERS_HEADER = (
    *("decision_id", "user_id", "offer", "name", "discount_share", "valid_from", "valid_until"),
    *("kind", "amount_off", "least_order", "points_share"),
)
EVENT_TERMS = ("discount_share", "valid_days")
"""Terms of an offer that its event names."""
RECOMMENDATIONS_HEADER = ("user_id", "rank", "product_id", "reason")


@dataclass(frozen=True)
class OutboxSummary:
    """What a run handed to the channel, in customers."""

    offer_count: int
    unreachable_count: int
    """Customers whose offer was not sent because their user id is no longer known."""
    recommended_customer_count: int
    refused_count: int
    """Customers with an offer or recommendations who may not be contacted: no file holds them.

    Consent is withdrawn or unknown, the topic of the outbox is withdrawn, or the address is suppressed.
    """
    files: tuple[str, ...]
    """Names within the workspace; none where sending is held."""


@dataclass(frozen=True)
class Delivery:
    """What a run handed to the channel, and the events that it leaves."""

    outbox: OutboxSummary
    events: pa.Table
    """Raw events for collect: one `Offer Assigned` per offer, where handing it over is sending it."""


def deliver(view: StageView) -> Delivery:
    """Write the run's outbox files and `exposures`; returns the events that collect should store.

    Where sending is held there is neither: the run can be repeated once it is released.
    """
    vault: Vault = view.capability(VAULT)
    offers = _with_user_ids(vault, view.query(offers_query(view.run.run_id)))
    recommendations = _with_user_ids(vault, view.query(recommendations_query(view.run.run_id)))
    refused = outbox_refusals(view, {row["customer_id"] for row in (*offers, *recommendations)})
    offers = _without_refused_personal(view, offers, refused)

    def reachable(rows: list[dict]) -> list[dict]:
        able = [row for row in rows if row["user_id"] is not None and row["customer_id"] not in refused.everything]
        return [] if view.is_sending_held else able

    sent, recommended = reachable(offers), reachable(recommendations)
    view.write("exposures", exposures(view, sent))
    outbox = OutboxSummary(
        offer_count=len(sent),
        unreachable_count=sum(row["user_id"] is None for row in offers),
        recommended_customer_count=len({row["customer_id"] for row in recommended}),
        refused_count=len(refused.everything),
        files=_write_outbox(view, sent, _with_product_ids(vault, recommended)),
    )
    channel, terms = view.policy.channel, {offer.id: offer.model_dump() for offer in view.policy.offers}
    rows = [row | {"channel": channel.name} for row in sent if channel.confirm == "automatic"]
    return Delivery(outbox, offer_events(rows, terms, at=view.run.as_of))


FIRST_TOKENS = """
token_of as (
  select customer_id, token,
    row_number() over (partition by customer_id order by known_at, token) as position
  from identities where is_user)
"""


def offers_query(run_id: str) -> str:
    """SQL for the run's offers with the first known user token of each customer."""
    return f"""
with {FIRST_TOKENS}
select d.decision_id, d.customer_id, d.action, t.token from decisions d
left join token_of t on t.customer_id = d.customer_id and t.position = 1
where d.run_id = '{run_id}' and d.action <> 'none' order by d.decision_id
"""


def recommendations_query(run_id: str) -> str:
    """SQL for the run's recommended products with the first known user token of each customer."""
    return f"""
with {FIRST_TOKENS}
select r.customer_id, r."rank", r.product_id, r.reason, t.token from recommendations r
left join token_of t on t.customer_id = r.customer_id and t.position = 1
where r.run_id = '{run_id}' order by r.customer_id, r."rank"
"""


def exposures(view: StageView, sent: list[dict]) -> pa.Table:
    """Rows of `exposures` for the offers handed over; confirmed at once only if the policy says so."""
    channel = view.policy.channel
    is_confirmed = channel.confirm == "automatic"
    same = {
        "run_id": view.run.run_id,
        "channel": channel.name,
        "exposed_at": view.run.as_of,
        "is_delivered": is_confirmed,
        "confirmed_at": view.run.as_of if is_confirmed else None,
    }
    rows = [same | {name: row[name] for name in ("decision_id", "customer_id", "action")} for row in sent]
    return pa.Table.from_pylist(rows, schema=EXPOSURES.schema())


def exposed_offers_query(run_id: str) -> str:
    """SQL for the offers that a run handed over, with the first known user token of each customer."""
    return f"""
with {FIRST_TOKENS}
select e.decision_id, e.customer_id, e.action, e.channel, t.token from exposures e
left join token_of t on t.customer_id = e.customer_id and t.position = 1
where e.run_id = '{run_id}' order by e.decision_id
"""


def event_rows(vault: Vault, exposed: pa.Table) -> list[dict]:
    """Offers that a run handed over, with the ids of users that are still known."""
    return [row for row in _with_user_ids(vault, exposed) if row["user_id"] is not None]


def offer_events(rows: list[dict], terms: Mapping[str, Mapping[str, Any]], *, at: datetime) -> pa.Table:
    """Raw `Offer Assigned` events; their ids come from the decisions, so that a rerun stores no duplicates.

    A rerun that decides otherwise adds its events to the earlier ones: events are a history, and `exposures` holds the
    valid rows. `terms` are those of the offers by id.
    """
    events = [
        {
            "event_id": f"offer-{row['decision_id']}-{row['action']}",
            "name": "Offer Assigned",
            "occurred_at": at,
            "decision_id": row["decision_id"],
            "coupon": row["action"],
            "channel": row["channel"],
            "user_id": row["user_id"],
            "properties": json.dumps(
                {"offer_id": row["action"]}
                | {name: terms[row["action"]][name] for name in EVENT_TERMS if name in terms.get(row["action"], {})},
                sort_keys=True,
            ),
        }
        for row in rows
    ]
    columns = {
        field.name: pa.array([event.get(field.name) for event in events], TIME if field.type == TIME else field.type)
        for field in RAW_EVENTS
    }
    return pa.table(columns, schema=RAW_EVENTS)


def _with_user_ids(vault: Vault, rows: pa.Table) -> list[dict]:
    tokens = rows["token"].drop_null().unique().to_pylist()
    user_ids = dict(zip(tokens, vault.reveal(tokens), strict=True))
    return [row | {"user_id": user_ids.get(row["token"])} for row in rows.to_pylist()]


def _with_product_ids(vault: Vault, rows: list[dict]) -> list[dict]:
    """Recommendations with the shop's own product ids, also where the lake holds tokens of them."""
    product_ids = vault.reveal_identifiers([row["product_id"] for row in rows])
    return [row | {"product_id": product_id} for row, product_id in zip(rows, product_ids, strict=True)]


def _without_refused_personal(view: StageView, offers: list[dict], refused: OutboxRefusals) -> list[dict]:
    """The offers without those chosen for customers who refuse personal offers by now; the ordinary one stays."""
    ordinary = view.policy.ordinary_offer
    personal = {row["customer_id"] for row in offers if ordinary is None or row["action"] != ordinary.id}
    return [row for row in offers if row["customer_id"] not in personal & refused.personal_offers]


def _write_outbox(view: StageView, sent: list[dict], recommended: list[dict]) -> tuple[str, ...]:
    """Write the files of the run; their names within the workspace."""
    if view.is_sending_held:
        return ()
    folder, channel = view.outbox_folder / view.run.run_id, view.policy.channel.name
    files = (folder / f"offers_{channel}.csv", folder / f"recommendations_{channel}.csv")
    write_csv(files[0], OFFERS_HEADER, _offer_lines(view, sent))
    lines = ([row["user_id"], str(row["rank"]), row["product_id"], row["reason"]] for row in recommended)
    write_csv(files[1], RECOMMENDATIONS_HEADER, lines)
    return tuple(str(path.relative_to(view.outbox_folder.parent)) for path in files)


def _offer_lines(view: StageView, sent: list[dict]) -> Iterator[list[str]]:
    offers = {offer.id: offer for offer in view.policy.offers}
    day = view.run.as_of.astimezone(ZoneInfo(view.settings.shop.time_zone)).date()
    for row in sent:
        offer = offers[row["action"]]
        until = day + timedelta(days=offer.valid_days)
        yield [
            row["decision_id"],
            row["user_id"],
            offer.id,
            offer.name,
            f"{offer.discount_share:g}",
            day.isoformat(),
            until.isoformat(),
            offer.kind,
            *(f"{amount:g}" for amount in (offer.amount_off, offer.least_order, offer.points_share)),
        ]
