"""kill -9 at any time: an unfinished run is run again, and ends the same."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from tests.support.shops.workspace_copies import copy_files

from patron.commands.data.init_workspace import create
from patron.commands.data.simulated_loop import ingest_events
from patron.govern.vault import Vault
from patron.schema.tables import BY_NAME, EVENTS, TABLES
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS, EXPERIMENT_ARMS
from patron_processes import Commands, after, changed

pytestmark = pytest.mark.xdist_group("one run")  # with others that go on from the same workspace


@pytest.fixture(scope="module")
def commands(shop_after_one_run, tmp_path_factory) -> Iterator[Commands]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", shop_after_one_run.key)
        commands = Commands(tmp_path_factory.mktemp("commands"))
        yield commands
        commands.close()


def rows_of(shop: Shop, name: str) -> list[str]:
    """Rows of a table as readers see them, in a fixed order; when a command was started is no part of them."""
    table = shop.snapshot().read(name) if name != EVENTS.name else shop.lake.read(EVENTS)
    return sorted(map(repr, table.sort_by([(key, "ascending") for key in BY_NAME[name].key]).to_pylist()))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): content(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def content(path: Path) -> bytes:
    if path.name != "manifest.json":
        return path.read_bytes()
    manifest = json.loads(path.read_text())
    del manifest["table_versions"]  # why: a killed run leaves versions that nobody reads
    return json.dumps(manifest).encode()


def assignments(shop: Shop) -> list:
    with shop.store.begin() as connection:
        return sorted(map(repr, connection.execute(sa.select(EXPERIMENT_ARMS)).all()))


def scores_by_run(folder: Path) -> dict[str, list[str]]:
    shop = Shop.open(folder)
    try:
        return {shop.snapshot().run.run_id: rows_of(shop, "scores")}
    finally:
        shop.close()


@pytest.fixture(scope="module")
def shop_before_run(commands, shop_after_one_run, tmp_path_factory) -> tuple[Path, str]:  # noqa: ARG001 - it sets the key
    """A small simulated shop after its first run, with a month of events since, and the next run's time."""
    folder = tmp_path_factory.mktemp("w") / "w"
    copy_files(shop_after_one_run.folder, folder)
    shop, world = Shop.open(folder), deepcopy(shop_after_one_run.world)
    ingest_events(shop, world.advance(world.now + timedelta(days=30)), received_at=world.now)
    shop.close()
    return folder, world.now.isoformat()


@pytest.mark.slow
def test_a_run_killed_anywhere_is_run_again_and_ends_the_same(commands, shop_before_run, tmp_path):
    folder, as_of = shop_before_run
    twin, killed = tmp_path / "twin", tmp_path / "killed"
    for copy in (twin, killed):
        shutil.copytree(folder, copy)
    since = time.monotonic()
    assert commands.run("run", "--workspace", str(twin), "--as-of", as_of) == 0
    seconds = time.monotonic() - since
    expected = scores_by_run(folder) | scores_by_run(twin)
    run = ("run", "--workspace", str(killed), "--as-of", as_of)
    places = ("lake/order_lines", "models", "outbox")
    codes = [commands.kill(changed(killed / place), *run) for place in places]
    rng = np.random.default_rng(11)
    codes.append(commands.kill(after(seconds * rng.random()), *run))
    assert scores_by_run(killed).items() <= expected.items()
    assert codes[:3] == [-signal.SIGKILL] * 3
    assert commands.run(*run) == 0
    one, other = Shop.open(killed), Shop.open(twin)
    for table in TABLES:
        assert rows_of(one, table.name) == rows_of(other, table.name), table.name
    assert rows_of(one, "exposures")
    assert assignments(one) == assignments(other)
    for place in ("outbox", "models"):
        assert files_of(killed / place) == files_of(twin / place)
    one.close()
    other.close()


MAPPING = """
name = "mine"
[[part]]
name = "lines"
event = "Order Line Completed"
[part.columns]
user_id = "who"
order_id = "order"
occurred_at = "at"
quantity = "qty"
price = "price"
[part.traits]
email = "mail"
"""


def test_an_import_killed_anywhere_is_run_again_and_nothing_is_lost_or_stored_twice(commands, tmp_path):
    files, good, rejected = [], 0, 0
    for number in range(6):
        lines = ["who,order,at,qty,price,mail"]
        for row in range(2000):
            is_dead = row % 97 == 0
            lines.append(
                f"c{row % 300},o{number}-{row // 3},2024-01-{row % 28 + 1:02},{-1 if is_dead else 2},1.50,c@x.org"
            )
            good, rejected = good + (not is_dead), rejected + is_dead
        files.append(tmp_path / f"f{number}.csv")
        files[-1].write_text("\n".join(lines) + "\n")
    (tmp_path / "mine.toml").write_text(MAPPING)
    folder = tmp_path / "w"
    create(folder)
    bring = ("import", "--workspace", str(folder), "--mapping", str(tmp_path / "mine.toml"), "--json", *map(str, files))
    rng = np.random.default_rng(12)
    codes = [commands.kill(changed(folder / "lake" / "events" / "_delta_log"), *bring) for _ in range(4)]
    codes += [commands.kill(after(0.3 * rng.random()), *bring) for _ in range(4)]
    assert codes[0] == -signal.SIGKILL
    assert commands.run(*bring) == 0
    counts = json.loads(commands.out.read_text())
    assert (counts["read"], counts["rejected"]) == (good + rejected, rejected)
    assert counts["stored"] + counts["duplicate"] == good
    assert counts["duplicate"] > 0
    shop = Shop.open(folder)
    events = shop.lake.read(EVENTS)
    assert len(set(events["event_id"].to_pylist())) == events.num_rows == good
    tokens = events["user_token"].unique().to_pylist()
    assert sorted(Vault.open(shop).reveal(tokens)) == sorted(f"c{n}" for n in range(300))
    assert len(Vault.open(shop).texts(tokens)) == good
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(DEAD_LETTERS)) == rejected
    shop.close()
    assert commands.run(*bring) == 0
    assert json.loads(commands.out.read_text())["stored"] == 0
