"""What the lake has lost or holds changed is found by `doctor`, and refused by whatever would read or write it."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from patron import understand
from patron.answers.data.sql_query import sql
from patron.answers.models.models import models
from patron.collect.loader import load_events
from patron.commands.data.backup import backup
from patron.commands.data.doctor import doctor
from patron.commands.data.doctor_lake import check_lake
from patron.commands.data.findings import Finding
from patron.run import run_loop, stage_view
from patron.schema.errors import LakeDamaged, WorkspaceError
from patron.schema.tables import EVENTS, ORDERS, SCORES
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
LATER = datetime(2024, 6, 2, tzinfo=UTC)
FLIPS = 20


def newest_log(folder: Path) -> Path:
    return max((folder / "_delta_log").glob("*.json"))


def flip(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)


def one_file(folder: Path) -> Path:
    return min(folder.rglob("part-*.parquet"))


def replace_by_foreign(events: Path) -> None:
    """Put the table of another workspace there."""
    other = Shop.create(events.parents[2] / "other")
    load(other, 1)
    load(other, 2)
    other.close()
    shutil.rmtree(events)
    shutil.copytree(other.lake.path(EVENTS), events)


def load(shop: Shop, number: int) -> None:
    order = {"event_id": [f"new{number}"], "name": ["Order Completed"], "occurred_at": [AS_OF], "user_id": ["u1"]}
    rows = pa.table({**order, "revenue_cents": [100]})
    load_events(shop, rows, source="web", known="occurred", received_at=LATER)


ATTACKS: dict[str, Callable[[Path], object]] = {
    "newest log deleted": lambda events: newest_log(events).unlink(),
    "first log deleted": lambda events: min((events / "_delta_log").glob("*.json")).unlink(),
    "newest log emptied": lambda events: newest_log(events).write_bytes(b""),
    "a bit of a log flipped": lambda events: flip(newest_log(events), np.random.default_rng(1)),
    "log folder deleted": lambda events: shutil.rmtree(events / "_delta_log"),
    "table folder deleted": shutil.rmtree,
    "table of another workspace": replace_by_foreign,
    "file deleted": lambda events: one_file(events).unlink(),
    "file cut in half": lambda events: one_file(events).write_bytes(one_file(events).read_bytes()[:2000]),
    "file emptied": lambda events: one_file(events).write_bytes(b""),
}


def problems(folder: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in doctor(folder) if finding.level == "problem"}


@pytest.mark.parametrize("attack", ATTACKS)
def test_damage_of_events_is_found_and_refused_with_what_to_do(w, attack):
    ATTACKS[attack](w / "lake" / "events")
    before = sorted(path for path in w.rglob("*") if path.is_file() and path.suffix in {".json", ".parquet"})
    assert "patron restore" in problems(w)["lake/events"].todo
    shop = Shop.open(w)
    for use in (
        lambda: sql(shop, "select count(*) as n from events"),
        lambda: run_loop(shop, LATER),
        lambda: load(shop, 1),
        lambda: backup(shop, w.parent / "b.tar.gz"),
    ):
        with pytest.raises(LakeDamaged) as refusal:
            use()
        assert "patron restore" in refusal.value.todo
        assert "events" in str(refusal.value)
    shop.close()
    assert before == sorted(path for path in w.rglob("*") if path.is_file() and path.suffix in {".json", ".parquet"})
    assert not (w.parent / "b.tar.gz").exists()


def test_no_flipped_bit_gives_another_answer(w):
    rng = np.random.default_rng(7)
    for number in range(FLIPS):
        table = (EVENTS, SCORES)[number % 2]
        files = sorted((w / "lake" / table.name).rglob("part-*.parquet"))
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        flip(file, rng)
        shop = Shop.open(w)
        with pytest.raises(LakeDamaged, match="has changed since it was written"):
            sql(shop, f"select * from {table.name}")
        if number % 5 == 0:
            found = {finding.check: finding for finding in check_lake(shop) if finding.level != "ok"}
            assert file.name in found.pop(f"lake/{table.name}").what
            assert not found
        shop.close()
        file.write_bytes(whole)


def test_a_file_that_changes_is_found_by_a_process_that_has_read_it(w):
    shop = Shop.open(w)
    assert models(shop)
    path = one_file(w / "lake" / "scores")
    scores = pq.read_table(path)
    number = scores.column_names.index("value")
    pq.write_table(scores.set_column(number, scores.field(number), pc.multiply(scores["value"], 2.0)), path)
    with pytest.raises(LakeDamaged):
        models(shop)
    shop.close()


def test_an_older_store_does_not_fit_a_newer_lake(w):
    shutil.copy(w / "store.db", w.parent / "old.db")
    shop = Shop.open(w)
    load(shop, 1)
    load(shop, 2)
    shop.close()
    for path in w.glob("store.db*"):
        path.unlink()
    shutil.copy(w.parent / "old.db", w / "store.db")
    assert "commits" in problems(w)["workspace"].what
    doctor(w, accept_loss_at=datetime.now(UTC))  # why: it takes the store as it is, and the lake does not fit it
    assert "the store does not know" in problems(w)["lake/events"].what
    shop = Shop.open(w)
    with pytest.raises(LakeDamaged, match="the store does not know"):
        load(shop, 3)
    shop.close()


def test_a_table_that_every_run_replaces_is_whole_again_after_a_run(w):
    flip(one_file(w / "lake" / "orders"), np.random.default_rng(2))
    assert "Run the last run again" in problems(w)["lake/orders"].todo
    shop = Shop.open(w)
    with pytest.raises(LakeDamaged):
        sql(shop, "select * from orders")
    build_facts(stage_view(shop, understand, run=Run.at(AS_OF), pinned={EVENTS.name: shop.lake.version(EVENTS)}))
    assert shop.lake.read(ORDERS).num_rows == 120
    shop.close()


MODEL_ATTACKS: dict[str, Callable[[Path], object]] = {
    "a bit flipped": lambda model: flip(max((model / "model").rglob("*.json")), np.random.default_rng(4)),
    "card changed": lambda model: (model / "card.json").write_text('{"learner": "another"}'),
    "manifest changed": lambda model: flip(model / "manifest.json", np.random.default_rng(5)),
    "folder deleted": shutil.rmtree,
    "another model in its place": lambda model: shutil.copytree(
        model.parents[1] / "churn" / model.name, model, dirs_exist_ok=True
    ),
}


@pytest.mark.parametrize("attack", MODEL_ATTACKS)
def test_a_damaged_model_is_found_and_not_loaded(w, attack):
    model = w / "models" / "purchase" / "2024-06-01"
    MODEL_ATTACKS[attack](model)
    assert "Run its run again" in problems(w)["models/purchase/2024-06-01"].todo
    shop = Shop.open(w)
    with pytest.raises(LakeDamaged):
        model_registry.load(w / "models", shop.store, "purchase", model.name, ())
    with pytest.raises(WorkspaceError):
        backup(shop, w.parent / "b.tar.gz")
    shop.close()
