"""A run after one more day builds on the facts of the last run; readers see what a run from scratch would have made."""

from dataclasses import replace

from patron.commands.init_workspace import create
from patron.commands.simulated_loop import ingest_events
from patron.run import run_loop
from patron.schema.tables import BY_NAME
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.shop import Shop
from patron.understand.facts import FACTS


def test_a_run_after_one_more_day_keeps_files_and_equals_one_from_scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    create(tmp_path / "w")
    shop = Shop.open(tmp_path / "w")
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=60, visits_per_day=0.0), seed=5)
    ingest_events(shop, world.history(120), received_at=world.now)
    run_loop(shop, world.now)
    before = facts_files(shop)
    ingest_events(shop, world.history(1), received_at=world.now)
    run_loop(shop, world.now)
    amended, files = facts(shop), facts_files(shop)
    assert before["traits"] & files["traits"]
    run_loop(shop, world.now)  # why: a run that is repeated makes everything again
    assert not files["traits"] & facts_files(shop)["traits"]
    assert facts(shop) == amended
    shop.close()


def facts_files(shop: Shop) -> dict[str, set[str]]:
    return {name: set(shop.lake.files(BY_NAME[name])) for name in FACTS}


def facts(shop: Shop) -> dict[str, list[dict[str, object]]]:
    """Rows of the last run's facts, in one order."""
    snapshot = shop.snapshot()
    assert snapshot is not None
    return {name: sorted(snapshot.read(name).to_pylist(), key=repr) for name in FACTS}
