"""A shop whose colleagues joined customers who are two people, after a real run: for the tasks that undo it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from patron.collect.loader import load_events
from patron.commands.segments.save_segment import save_segment
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault, initial_customer_id
from patron.run import run_loop
from patron.schema.table_definition import TIME
from patron.storage.shop import Shop

PEOPLE, DAYS = 40, 58
"""Too few days for a forecast of 30 or 90 days, which takes longest in a run and is not what these tasks are about."""
REGULARS = "regulars"
RULE = {"event": "Order Completed", "within_days": 365, "least": 10}


def who(number: int) -> tuple[str, str, str]:
    """Id in the shop, name and e-mail of a person."""
    return f"buyer-{number}", f"Pat Number{number}", f"pat{number}@people.example"


def customer_of(shop: Shop, number: int) -> str:
    """Id of a person whom nothing joins with another."""
    return initial_customer_id(Vault.open(shop).token("user_id", who(number)[0]))


def make_shop(folder: Path, pairs: list[tuple[int, int]], now: datetime) -> Shop:
    """People who order all the time, of whom each pair was joined by an alias; and the run that knows it."""
    shop = Shop.create(folder)
    rng = np.random.default_rng(17)
    first, rows = now - timedelta(days=DAYS), []
    for number in range(PEOPLE):
        user_id, name, email = who(number)
        personal = json.dumps({"email": email, "first_name": name.split()[0], "last_name": name.split()[1]})
        at = first + timedelta(days=float(rng.uniform(0, 10)))
        rows.append({"event_id": f"who-{number}", "name": "Identify", "user_id": user_id, "occurred_at": at}
                    | {"personal": personal})  # fmt: skip
        gap = 6.0 if number % 2 else 7.0  # why: each orders less often than the regulars, and two together do not
        while at < now - timedelta(days=1):
            order_id = f"{number}-{len(rows)}"
            lines = [{"product_id": "tea", "price": 12.5, "quantity": 1 + number % 3}]
            properties = json.dumps({"order_id": order_id, "products": lines, "revenue": 12.5 * (1 + number % 3)})
            rows.append({"event_id": order_id, "name": "Order Completed", "user_id": user_id, "occurred_at": at}
                        | {"order_id": order_id, "revenue_cents": 1250 * (1 + number % 3)}
                        | {"properties": properties})  # fmt: skip
            at += timedelta(days=1 + float(rng.exponential(gap)))
    for kept, other in pairs:
        at = now - timedelta(days=9)
        rows.append({"event_id": f"merge-{other}", "name": "Alias", "user_id": who(kept)[0], "occurred_at": at}
                    | {"anonymous_id": who(other)[0]})  # fmt: skip
    names = sorted({name for row in rows for name in row})
    kinds = {"occurred_at": TIME, "revenue_cents": pa.int64()}
    columns = {name: pa.array([row.get(name) for row in rows], kinds.get(name, pa.string())) for name in names}
    counts = load_events(shop, pa.table(columns), source="web", known="occurred", received_at=now.astimezone(UTC))
    assert counts.rejected == 0, counts
    save_segment(RequestContext.from_name(shop, "Ann", now=now), {"name": REGULARS, "rule": RULE})
    run_loop(shop, now, now=now)
    return shop
