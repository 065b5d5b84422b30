"""While a run is at work, events are still stored, for the next one; two importers store nothing twice."""

import os
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from patron.collect.loader import load_events, open_loader, validate_raw_events
from patron.commands.data.import_files import import_files
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.run import run_loop, tidy_lake
from patron.schema.errors import WorkspaceBusy
from patron.schema.progress import silent
from patron.schema.tables import BY_NAME, EVENTS
from patron.storage.shop import Shop

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def orders(start: int, count: int) -> pa.Table:
    """Orders of the last three weeks: too little history to judge a model by, so that a run is short."""
    rows = [
        {
            "event_id": f"e{n}",
            "name": "Order Completed",
            "occurred_at": NOW - timedelta(days=1 + n % 20),
            "user_id": f"u{n % 60}",
            "order_id": f"o{n}",
            "revenue_cents": 1_000 + n,
        }
        for n in range(start, start + count)
    ]
    return pa.Table.from_pylist(rows)


def store(shop: Shop, rows: pa.Table):
    return load_events(shop, rows, source="shop", known="occurred", received_at=NOW)


def ids(shop: Shop) -> list[str]:
    return shop.lake.read(EVENTS)["event_id"].to_pylist()


def test_an_import_during_a_run_is_stored_and_counts_in_the_next_run(shop, tmp_path):
    store(shop, orders(0, 240))
    lines = "customer_id,date,units,value\n" + "".join(f"new{n},2024-05-{n + 1:02},1,5.00\n" for n in range(9))
    (tmp_path / "late.csv").write_text(lines)
    seen = []

    def during(step, _done, _total):
        if step == "predict":
            other = Shop.open(shop.folder)
            seen.append(
                import_files(other, [str(tmp_path / "late.csv")], "cdnow", progress=silent, now=datetime.now(UTC))
            )
            other.close()

    first = run_loop(shop, NOW, progress=during)
    assert [done.stored for done in seen] == [9]
    assert first.customer_count == 60
    assert run_loop(shop, NOW + timedelta(days=1)).customer_count == 69


def test_a_second_run_and_an_erasure_wait_for_a_run(shop):
    other = Shop.open(shop.folder, wait_seconds=0.1)
    with shop.run_lock():
        assert store(other, orders(0, 3)).stored == 3
        with pytest.raises(WorkspaceBusy):
            run_loop(other, NOW)
        with pytest.raises(WorkspaceBusy):
            forget(RequestContext.from_name(other, now=datetime.now(UTC)), user_id="u1")
    other.close()


def test_two_importers_of_one_source_store_each_event_once(shop):
    other = Shop.open(shop.folder)
    with (
        open_loader(shop, source="shop", known="occurred", received_at=NOW) as one,
        open_loader(other, source="shop", known="occurred", received_at=NOW) as two,
    ):
        stored = [
            loader.load(validate_raw_events(loader, orders(start, 100))).stored
            for loader, start in ((one, 0), (two, 50), (one, 100), (two, 0), (one, 150))
        ]
    other.close()
    assert stored == [100, 50, 50, 0, 50]
    assert len(ids(shop)) == len(set(ids(shop))) == 250


def test_who_is_forgotten_during_an_import_is_not_stored_again(shop):
    other = Shop.open(shop.folder)
    with open_loader(shop, source="shop", known="occurred", received_at=NOW) as loader:
        loader.load(validate_raw_events(loader, orders(0, 60)))
        forget(RequestContext.from_name(other, now=datetime.now(UTC)), user_id="u7")
        counts = loader.load(validate_raw_events(loader, orders(60, 60)))
    other.close()
    assert (counts.stored, counts.rejected) == (59, 1)
    assert not {"e7", "e67"} & set(ids(shop))


def test_a_run_during_which_others_store_does_not_fail_and_tidies_everything_but_events(shop):
    store(shop, orders(0, 240))
    shop.wait_seconds = 0.1
    other = Shop.open(shop.folder)
    left = [shop.lake.path(BY_NAME[name]) / "left.parquet" for name in ("customers", "orders", "events")]
    with ExitStack() as storing:

        def during(step, _done, _total):
            if step == "customer value":
                for path in left:
                    path.write_bytes(b"of a run that was cut off")
                    os.utime(path, (0, 0))
                storing.enter_context(other.commit_lock())

        finished = run_loop(shop, NOW, progress=during)
        assert [path.exists() for path in left] == [False, False, True]
    other.close()
    assert shop.snapshot().run.run_id == finished.run_id
    tidy_lake(shop)
    assert not left[-1].exists()
