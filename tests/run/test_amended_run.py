"""A run after one more day builds on the facts of the last run, keeps the lake small and takes nothing from readers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest

from patron.commands.data.init_workspace import create
from patron.commands.data.simulated_loop import ingest_events
from patron.run import run_loop, tidy_lake
from patron.schema.tables import BY_NAME, EVENTS
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.lake.lake import MANY_FILES
from patron.storage.shop import Shop, Snapshot
from patron.understand.facts import FACTS

pytestmark = pytest.mark.xdist_group("amended run")  # its workspace takes long to make
IMPORTS = 2 * MANY_FILES

Facts = dict[str, list[dict[str, object]]]
Files = dict[str, set[str]]


@pytest.fixture(scope="module")
def new_shop(tmp_path_factory) -> Iterator[tuple[Shop, ShopSimulator]]:
    """An empty workspace, and the simulator of its shop."""
    folder = tmp_path_factory.mktemp("amended")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        create(folder / "w")
        shop = Shop.open(folder / "w")
        yield shop, ShopSimulator(replace(DEFAULT_SHOP, customers=60, visits_per_day=0.0), seed=5)
        shop.close()


@dataclass(frozen=True)
class FirstRun:
    """A run after many imports: events before and after it, their version and files, and a reader of the run."""

    raw_event_count: int
    event_count: int
    version: int
    file_count_before: int
    event_files: list[str]
    facts_files: Files
    snapshot: Snapshot
    order_lines: pa.Table


@pytest.fixture(scope="module")
def first(new_shop) -> FirstRun:
    shop, world = new_shop
    raw_events = world.history(120)
    for part in range(IMPORTS):
        ingest_events(shop, raw_events.take(list(range(part, raw_events.num_rows, IMPORTS))), received_at=world.now)
    version, file_count_before = shop.lake.version(EVENTS), len(shop.lake.files(EVENTS))
    run_loop(shop, world.now)
    snapshot = shop.snapshot()
    return FirstRun(
        raw_events.num_rows,
        shop.lake.read(EVENTS).num_rows,
        version,
        file_count_before,
        shop.lake.files(EVENTS),
        facts_files(shop),
        snapshot,
        snapshot.read("order_lines"),
    )


@dataclass(frozen=True)
class NextRuns:
    """The facts of a run after one more day and of the same run from scratch, and the files of both."""

    amended: Facts
    amended_files: Files
    from_scratch: Facts
    files_from_scratch: Files


@pytest.fixture(scope="module")
def later(new_shop, first) -> NextRuns:  # noqa: ARG001 - the first run comes before
    shop, world = new_shop
    ingest_events(shop, world.history(1), received_at=world.now)
    run_loop(shop, world.now)
    amended, files = facts(shop), facts_files(shop)
    run_loop(shop, world.now)  # why: a run that is repeated makes everything again
    return NextRuns(amended, files, facts(shop), facts_files(shop))


def files_on_disk(shop: Shop) -> dict[str, int]:
    return {name: len(list(shop.lake.path(table).rglob("*.parquet"))) for name, table in BY_NAME.items()}


def facts_files(shop: Shop) -> Files:
    return {name: set(shop.lake.files(BY_NAME[name])) for name in FACTS}


def facts(shop: Shop) -> Facts:
    """Rows of the last run's facts, in one order."""
    snapshot = shop.snapshot()
    assert snapshot is not None
    return {name: sorted(snapshot.read(name).to_pylist(), key=repr) for name in FACTS}


def test_after_a_run_few_files_are_left_of_many_imports(new_shop, first):
    shop, _ = new_shop
    months = {Path(file).parent.name for file in first.event_files}
    assert len(first.event_files) <= MANY_FILES * len(months) < first.file_count_before
    assert shop.lake.read(EVENTS, first.version).num_rows == first.raw_event_count == first.event_count


def test_a_run_after_one_more_day_keeps_files_and_equals_one_from_scratch(first, later):
    assert first.facts_files["traits"] & later.amended_files["traits"]
    assert not later.amended_files["traits"] & later.files_from_scratch["traits"]
    assert later.from_scratch == later.amended


@pytest.mark.usefixtures("later")
def test_later_runs_take_nothing_from_a_reader_of_the_first(first):
    assert first.snapshot.read("order_lines").num_rows == first.order_lines.num_rows > 0


@pytest.mark.usefixtures("later")
def test_a_lake_that_a_run_tidied_has_nothing_more_to_tidy(new_shop):
    shop, _ = new_shop
    known = files_on_disk(shop)
    tidy_lake(shop)
    assert files_on_disk(shop) == known
