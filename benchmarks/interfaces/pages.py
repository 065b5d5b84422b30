"""How fast the console answers: the first answer, the median of the next 20, its processor time, and what travels.

`python -m benchmarks.interfaces.pages [WORKSPACE]`; without a workspace, the made shop of the tests is copied until it
has 100,000 customers. Answers come through the whole application, without a network.
"""

import gzip
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from fastapi.testclient import TestClient
from tests.conftest import fill

from patron.answers.customer_list import CustomerQuery, find_customers
from patron.interfaces.http.application import create_app
from patron.schema.access_rights import VISITOR
from patron.schema.table_definition import validated
from patron.schema.tables import BY_NAME
from patron.storage.last_run import last_run
from patron.storage.shop import Shop
from patron.storage.store import RUNS

CUSTOMERS = int(os.environ.get("PATRON_BENCHMARK_CUSTOMERS", "100000"))
ROUNDS = 20
OTHER_KEYS = ("line_id", "event_id", "decision_id", "token")
"""Keys that must differ between copies of a row."""


def blown_up(folder: Path) -> Shop:
    """Copy the made shop until it has as many customers as asked for."""
    shop = fill(Shop.create(folder))
    times = CUSTOMERS // last_run(shop).read("customers", ["customer_id"]).num_rows + 1
    copies = pa.table({"copy": range(times)})
    for name, table in BY_NAME.items():
        version = shop.lake.version(table)
        columns = [column.name for column in table.columns]
        if version is None or "customer_id" not in columns or name == "events":
            continue
        new = ", ".join(_copied(column) for column in columns)
        relation = shop.lake.relation(table, version)
        rows = shop.query(f"select {new} from ({relation}) made cross join copies", {"copies": copies})
        for part in sorted(set(rows["run_id"].to_pylist())) if table.partition_by == "run_id" else [None]:
            of_part = rows if part is None else rows.filter(pc.equal(rows["run_id"], part))
            shop.lake.replace(table, validated(table, of_part), part=part)
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        connection.execute(RUNS.update().values(table_versions=versions))
    return shop


def _copied(column: str) -> str:
    if column == "customer_id":
        return "md5(customer_id || '/' || copy) as customer_id"
    return f"{column} || '/' || copy as {column}" if column in OTHER_KEYS else column


def measured(client: TestClient, paths: list[str]) -> tuple[float, float, float, int]:
    """Milliseconds of the first answer, medians of the others (by clock, of processor), and bytes of the last."""
    took, worked, content = [], [], b""
    for path in paths:
        start, busy = time.perf_counter(), time.process_time()
        answer = client.get(path)
        took.append(1000 * (time.perf_counter() - start))
        worked.append(1000 * (time.process_time() - busy))
        answer.raise_for_status()
        content = answer.content
    return took[0], statistics.median(took[1:]), statistics.median(worked[1:]), len(gzip.compress(content))


def main() -> None:
    """Print a table of pages."""
    with tempfile.TemporaryDirectory() as scratch:
        shop = Shop.open(Path(sys.argv[1])) if sys.argv[1:] else blown_up(Path(scratch) / "shop")
        ids = [
            row.customer_id
            for page in (1, 2, 3)
            for row in find_customers(shop, CustomerQuery(sort="churn_probability", page=page)).rows
        ]
        listed = [
            f"/customers?sort={sort}&page={page}" for page in range(1, 11) for sort in ("value", "churn_probability")
        ]
        pages = {
            "today": ["/"] * (ROUNDS + 1),
            "customers": ["/customers", *listed],
            "customers, filtered": [
                f"/customers?churn_min={low}&value_min=1&orders_min=2&sort=value_at_risk&columns=value,value_at_risk,tags"
                for low in range(ROUNDS + 1)
            ],
            "customers of a category": ["/customers?category=Bakery"] * (ROUNDS + 1),
            "watch list": [f"/watch-list?page={page}" for page in range(1, ROUNDS + 2)],
            # why others each time: what was read of a customer is kept for the next look
            "timeline": [f"/customers/{who}?view=timeline" for who in ids[: ROUNDS + 1]],
            "forecasts": [f"/customers/{who}?view=forecasts" for who in ids[ROUNDS + 1 : 2 * ROUNDS + 2]],
            "customer, another each time": [f"/customers/{who}" for who in ids[2 * ROUNDS + 2 : 3 * ROUNDS + 3]],
            "customer, the same": [f"/customers/{ids[0]}"] * (ROUNDS + 1),
            "models": ["/models"] * (ROUNDS + 1),
            "quality": ["/data-quality"] * (ROUNDS + 1),
        }
        with TestClient(create_app(shop, visitor=VISITOR), base_url="http://localhost") as client:
            start, busy = time.perf_counter(), time.process_time()
            for thread in threading.enumerate():
                if thread.name == "warm":
                    thread.join()
            ready, worked = time.perf_counter() - start, time.process_time() - busy
            sys.stdout.write(f"prepared in {ready:.1f} s, {worked:.1f} s of processor time\n")
            sys.stdout.write(f"{'page':30} {'first ms':>9} {'median ms':>10} {'CPU ms':>7} {'gzip bytes':>11}\n")
            for name, paths in pages.items():
                first, median, busy, size = measured(client, paths)
                sys.stdout.write(f"{name:30} {first:9.0f} {median:10.0f} {busy:7.0f} {size:11,}\n")


if __name__ == "__main__":
    main()
