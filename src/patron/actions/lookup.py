"""From the shop's own customer id to Patron's opaque one."""

from dataclasses import dataclass

import pyarrow as pa

from patron.actions.last_turn import last_turn, records
from patron.base.errors import NotFound
from patron.base.shop import Shop
from patron.govern.vault import Vault


@dataclass(frozen=True)
class Found:
    """The customer that one of the shop's own ids belongs to."""

    customer_id: str


def lookup_customer(shop: Shop, shop_id: str) -> Found:
    """Customer with one of the shop's own user ids; nothing new is stored. Raises NoTurnYet, NotFound."""
    view = last_turn(shop)
    token = Vault.open(shop).find("user_id", shop_id.strip())
    sql = "select i.customer_id from identities i join asked a on a.token = i.token"
    rows = records(view.query(sql, asked=pa.table({"token": pa.array([token], pa.string())}))) if token else []
    if not rows:
        raise NotFound("no customer of the last turn has this id of yours", todo="Check the id, or search the list.")
    return Found(rows[0]["customer_id"])
