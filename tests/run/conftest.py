"""A simulated shop after its first run, made once for the tests that go on from copies of it."""

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from workspace_copies import copy_workspace

from patron.commands.data.init_workspace import create
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.run import run_loop
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop


@dataclass(frozen=True)
class ShopAfterOneRun:
    """A workspace to copy, its master key, and its simulator at the time of the run, to copy too."""

    folder: Path
    key: str
    world: ShopSimulator


@pytest.fixture(scope="session")
def shop_after_one_run(tmp_path_factory) -> ShopAfterOneRun:
    """A small simulated shop whose first run made offers."""
    folder, key = tmp_path_factory.mktemp("one_run") / "w", "ab" * 32
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", key)
        create(folder)
        write_rules(folder, DEFAULT_SHOP, budget_cents=20_000)
        shop = Shop.open(folder)
        world = ShopSimulator(replace(DEFAULT_SHOP, customers=120, visits_per_day=0.0), seed=5)
        ingest_events(shop, world.history(120), received_at=world.now)
        run_loop(shop, world.now)
        shop.close()
    return ShopAfterOneRun(folder, key, world)


@pytest.fixture(scope="session")
def handed_over(shop_after_one_run, tmp_path_factory):
    """A workspace whose second run handed over offers that nobody has confirmed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", shop_after_one_run.key)
        folder = copy_workspace(shop_after_one_run.folder, tmp_path_factory.mktemp("handed_over") / "w")
        policy = folder / "policy.toml"
        text = policy.read_text(encoding="utf-8").replace('confirm = "automatic"', 'confirm = "manual"')
        policy.write_text(text, encoding="utf-8")
        with closing(Shop.open(folder)) as shop:
            run_loop(shop, last_run(shop).run.as_of + timedelta(days=40))
    return folder


@pytest.fixture
def opened(handed_over, shop_after_one_run, tmp_path, monkeypatch):
    """A copy of it, and the run."""
    monkeypatch.setenv("PATRON_MASTER_KEY", shop_after_one_run.key)
    with closing(Shop.open(copy_workspace(handed_over, tmp_path / "w"))) as shop:
        yield shop, last_run(shop).run
