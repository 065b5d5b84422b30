"""A small shop of two years whose customers leave at rates of their own: half of them soon."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.predict import READS, WRITES
from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

CUSTOMERS, HISTORY_DAYS = 150, 720
START = datetime(2023, 1, 1, tzinfo=UTC)
RUN = Run.at(START + timedelta(days=HISTORY_DAYS))


def order_times(seed: int = 5) -> list[tuple[int, datetime]]:
    """Half of the customers order every ten days and stay for years, the others every 40 and leave within months."""
    rng = np.random.default_rng(seed)
    orders = []
    for customer in range(CUSTOMERS):
        gap, life = (10.0, 1500.0) if customer % 2 else (40.0, 150.0)
        day = rng.uniform(0, 500)
        end = day + rng.exponential(life)
        while day < min(end, HISTORY_DAYS):
            orders.append((customer, START + timedelta(days=float(day))))
            day += rng.exponential(gap) + 0.1
    return orders


def order_rows(orders, name_of):
    return [
        {"customer_id": name_of(customer), "is_identified": True, "order_id": f"o{place}", "occurred_at": at}
        | {"known_at": known[0] if known else at, "paid_cents": 1000 + 10 * customer}
        for place, (customer, at, *known) in enumerate(orders)
    ]


def table_of(name, rows):
    """Rows of a declared table, columns that are not given NULL, or a value of their kind where they may not be."""
    table = BY_NAME[name]
    blank = {"int64": 0, "string": "", "bool": False, "double": 0.0}
    columns = {
        column.name: pa.array(
            [row.get(column.name, None if column.nullable else blank.get(str(column.type))) for row in rows],
            column.type,
        )
        for column in table.columns
    }
    return validated(table, pa.table(columns))


def write_shop(folder, orders, *, churn, name_of=lambda customer: f"c{customer:03d}", run=RUN):
    """Put orders and churn scores into a lake; a view of the predict stage."""
    shop = Shop.create(folder)
    rows = order_rows(orders, name_of)
    shop.lake.replace(BY_NAME["orders"], table_of("orders", rows))
    lines = [
        {"line_id": row["order_id"], "ordered_at": row["occurred_at"], "quantity": 1, "product_id": "p", **row}
        for row in rows
    ]
    shop.lake.replace(BY_NAME["order_lines"], table_of("order_lines", lines))
    scores = [
        {"run_id": run.run_id, "customer_id": name_of(customer), "as_of": run.as_of, "question": "churn"}
        | {"model_version": "made", "value": value}
        for customer, value in churn.items()
    ]
    shop.lake.replace(BY_NAME["scores"], table_of("scores", scores), part=run.run_id)
    return shop.view(READS, WRITES, run=run)
