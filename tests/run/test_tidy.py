"""The end of a run keeps the lake small, and takes nothing from those who read it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from patron.commands.init_workspace import create
from patron.commands.simulated_loop import ingest_events
from patron.run import run_loop, tidy_lake
from patron.schema.tables import BY_NAME, EVENTS
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.lake import MANY_FILES
from patron.storage.shop import Shop

IMPORTS = 3 * MANY_FILES


def files_on_disk(shop: Shop) -> dict[str, int]:
    return {name: len(list(shop.lake.path(table).rglob("*.parquet"))) for name, table in BY_NAME.items()}


def test_after_a_run_few_files_are_left_of_many_imports_and_readers_keep_theirs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    create(tmp_path / "w")
    shop = Shop.open(tmp_path / "w")
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=60, visits_per_day=0.0), seed=5)
    raw_events = world.history(120)
    for part in range(IMPORTS):
        ingest_events(shop, raw_events.take(list(range(part, raw_events.num_rows, IMPORTS))), received_at=world.now)
    version = shop.lake.version(EVENTS)
    many = len(shop.lake.files(EVENTS))
    run_loop(shop, world.now)
    months = {Path(file).parent.name for file in shop.lake.files(EVENTS)}
    assert len(shop.lake.files(EVENTS)) <= MANY_FILES * len(months) < many
    assert shop.lake.read(EVENTS, version).num_rows == raw_events.num_rows == shop.lake.read(EVENTS).num_rows

    first = shop.snapshot()
    expected = first.read("order_lines")
    run_loop(shop, world.now - timedelta(days=1))
    assert first.read("order_lines").num_rows == expected.num_rows

    known = files_on_disk(shop)
    tidy_lake(shop)
    assert files_on_disk(shop) == known
    shop.close()
