"""Everything that is known about one customer, machine-readable."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from patron.actions.last_turn import last_turn
from patron.base.errors import NotFound
from patron.base.lake import disk_errors
from patron.base.shop import Shop, View
from patron.base.store import ASSIGNMENTS
from patron.base.tables import TABLES
from patron.govern.vault import Vault

BY_CUSTOMER = tuple(table.name for table in TABLES if "customer_id" in table.names)
PRIVATE_FILE = 0o600


def export_customer(shop: Shop, *, user_id: str | None = None, customer_id: str | None = None) -> dict[str, Any]:
    """Gather all rows of one customer from every table, with identifiers and texts revealed.

    Name the customer by the shop's own id or by the opaque one. Raises NotFound.
    """
    view = last_turn(shop)
    vault = Vault.open(shop)
    found = customer_id or _customer_of(view, vault.find("user_id", user_id or ""), user_id)
    tokens = _column(view, f"select token from identities where customer_id = {_literal(found)}", "token")
    if not tokens:
        raise NotFound(f"there is no customer {found}", todo="Look the customer up in the console.")
    listed = ", ".join(_literal(token) for token in tokens)
    theirs = f"where customer_id = {_literal(found)}"
    rows = {name: view.query(f"select * from {name} {theirs}").to_pylist() for name in BY_CUSTOMER}
    told = " or ".join(f"{name} in ({listed})" for name in ("user_token", "anonymous_token", "referred_token"))
    rows["events"] = view.query(f"select * from events where {told} order by occurred_at, event_id").to_pylist()
    identifiers = dict(zip(tokens, vault.reveal(tokens), strict=True))
    assigned = sa.select(ASSIGNMENTS).where(ASSIGNMENTS.c.customer_id == found).order_by(ASSIGNMENTS.c.experiment)
    with shop.store.begin() as connection:
        rows["assignments"] = [dict(row) for row in connection.execute(assigned).mappings()]
    return {
        "customer_id": found,
        "as_of": view.turn.as_of.isoformat(),
        "identifiers": identifiers,
        "texts": vault.texts(tokens),
        "tables": {name: listed for name, listed in sorted(rows.items()) if listed},
    }


def write_private(known: dict[str, Any], path: Path) -> Path:
    """Write an export, whole, so that only its owner can read it. Raises NoSpace."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with disk_errors(path):
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        as_text: Callable[[Any], str] = str
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(known, out, ensure_ascii=False, indent=1, default=as_text)
        fresh.replace(path)
    return path


def _customer_of(view: View, token: str | None, user_id: str | None) -> str:
    found = _column(view, f"select customer_id from identities where token = {_literal(token or '')}", "customer_id")
    if not found:
        raise NotFound(
            f"no customer with user id {user_id!r} is known", todo="Check the id, or run a turn after the import."
        )
    return found[0]


def _column(view: View, sql: str, name: str) -> list[str]:
    return view.query(sql)[name].to_pylist()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
