"""The made shop with two people whose names, contacts and texts the vault knows, and a team that sees one of them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa
from workspace_copies import copy_workspace

from patron.collect.loader import load_events
from patron.commands.segments.save_segment import save_segment
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME
from patron.storage.runs.last_run import last_run
from patron.storage.segments.segment_query import member_ids
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

AT = datetime(2017, 9, 1, tzinfo=UTC)
TEAM = "team of valuable ones"
RULE = {"field": "value", "op": ">=", "value": 5000}
OPAQUE_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class KnownPerson:
    """A customer of the shop as the vault knows them."""

    customer_id: str
    user_id: str
    name: str
    email: str
    phone: str
    gift_message: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody without the right may read anywhere."""
        first, last = self.name.split()
        local = self.email.split("@")[0]
        return (
            self.user_id,
            first,
            last,
            self.email,
            local,
            self.phone,
            self.phone.replace(" ", ""),
            self.gift_message,
        )


@dataclass(frozen=True)
class KnownPeople:
    """The shop, one person whom the team sees and one whom it does not."""

    shop: Shop
    visible: KnownPerson
    hidden: KnownPerson
    hidden_ids: frozenset[str]
    """Every customer whom the team does not see."""


def add_known_people(made_shop: Shop, folder: Path) -> KnownPeople:
    """Copy the shop, and let its vault know who two customers are."""
    shop = Shop.open(copy_workspace(made_shop.folder, folder))
    save_segment(RequestContext.from_name(shop, "Ada", now=AT), {"name": TEAM, "rule": RULE})
    view = last_run(shop)
    members = set(member_ids(view, TEAM)["customer_id"].to_pylist())
    at_risk = view.query(
        "select s.customer_id from segments s join decisions d on d.customer_id = s.customer_id and d.run_id = s.run_id"
        f" where s.run_id = '{view.run.run_id}' and s.lifecycle_stage = 'at_risk' order by 1"
    )["customer_id"].to_pylist()
    everybody = set(view.query("select customer_id from customers")["customer_id"].to_pylist())
    decided = view.query(f"select customer_id from decisions where run_id = '{view.run.run_id}' order by 1")
    seen = next(customer_id for customer_id in decided["customer_id"].to_pylist() if customer_id in members)
    visible = KnownPerson(
        seen, "own-id-7719", "Xanthippe Quixley", "xanti@quixley.example", "+49 170 7719771", "Happy birthday Bartleby"
    )
    hidden = KnownPerson(
        at_risk[0], "own-id-8823", "Zebulon Yarrow", "zeb@yarrow.example", "+49 171 8823882", "For Zenobia, in secret"
    )
    for person in (visible, hidden):
        _send(shop, person)
    identify(shop, {person.user_id: person.customer_id for person in (visible, hidden)})
    return KnownPeople(shop, visible, hidden, frozenset(everybody - members))


def _send(shop: Shop, person: KnownPerson) -> None:
    first, last = person.name.split()
    personal = {"first_name": first, "last_name": last, "email": person.email, "phone": person.phone}
    personal["street"] = f"{last} Street 7"
    texts = {"gift_message": person.gift_message, "url": f"https://shop.example/?q={last}"}
    texts |= {"query": f"slippers for {first}", "order_note": f"Leave it with {last}"}
    rows = {
        "event_id": [f"{person.user_id}-{name}" for name in ("identify", "search", "rejected")],
        "name": ["Identify", "Products Searched", "Order Completed"],
        "user_id": [person.user_id] * 3,
        "personal": [json.dumps(personal)] * 3,
        "texts": [json.dumps(texts)] * 3,
        "problem": [None, None, "bad_time"],
        "payload": [None, None, json.dumps(personal | texts)],
        "occurred_at": pa.array([AT] * 3, TIME),
    }
    load_events(shop, pa.table(rows), source="web", known="occurred", received_at=AT)


def identify(shop: Shop, customer_ids: Mapping[str, str], *, known_at: datetime = AT) -> None:
    """Let every run know which customer each user id is."""
    vault, table = Vault.open(shop), BY_NAME["identities"]
    unknown = {f"token-{customer_id}" for customer_id in customer_ids.values()}  # the made shop's, not in its vault
    rows = [row for row in last_run(shop).read("identities").to_pylist() if row["token"] not in unknown]
    rows += [
        {"token": vault.token("user_id", user_id), "customer_id": customer_id, "is_user": True, "known_at": known_at}
        for user_id, customer_id in customer_ids.items()
    ]
    shop.lake.replace(table, pa.Table.from_pylist(rows, schema=table.schema()))
    with shop.store.begin() as connection:
        for run_id, versions in connection.execute(sa.select(RUNS.c.run_id, RUNS.c.table_versions)).all():
            changed = {**versions, table.name: shop.lake.version(table)}
            connection.execute(sa.update(RUNS).where(RUNS.c.run_id == run_id).values(table_versions=changed))
