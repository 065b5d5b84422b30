"""A workspace with as many customers as asked for: the made shop of the tests, copied through the writer of a run.

`python -m benchmarks.interfaces.large_shop FOLDER [CUSTOMERS]` keeps one for several measurements.
"""

import sys
from pathlib import Path

import pyarrow as pa
from tests.support.shops.made_shop import fill

from patron.schema.table_definition import Table
from patron.schema.tables import BY_NAME
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

OTHER_KEYS = ("line_id", "event_id", "decision_id", "token", "contract_id", "event")
"""Keys that must differ between copies of a row."""


def make_large_shop(folder: Path, customers: int) -> Shop:
    """Make a workspace and copy its customers, with all rows of the lake about them."""
    shop = fill(Shop.create(folder))
    times = -(-customers // last_run(shop).read("customers", ["customer_id"]).num_rows)
    copies = {"copies": pa.table({"copy": range(times)})}
    for name, table in BY_NAME.items():
        version = shop.lake.version(table)
        if version is not None and "customer_id" in table.names and name != "events":
            _copy_rows(shop, table, copies)
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        connection.execute(RUNS.update().values(table_versions=versions))
    return shop


def _copy_rows(shop: Shop, table: Table, copies: dict[str, pa.Table]) -> None:
    made = shop.lake.read(table)
    # why: columns of an open table beyond the declared ones are copied too
    new = ", ".join(_copied(column) for column in made.column_names)
    parts = sorted(set(made[table.partition_by].to_pylist())) if table.partition_by else [None]
    for part in parts:
        of_part = f" where {table.partition_by} = '{part}'" if part else ""
        sql = f"select {new} from made cross join copies{of_part}"
        shop.lake.replace_by_query(table, shop.engine, sql, {"made": made, **copies}, part=part)


def _copied(column: str) -> str:
    if column in {"customer_id", "referred_customer_id"}:
        return f"md5({column} || '/' || copy) as {column}"
    return f"{column} || '/' || copy as {column}" if column in OTHER_KEYS else f'"{column}"'


if __name__ == "__main__":
    make_large_shop(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 1_000_000).close()
