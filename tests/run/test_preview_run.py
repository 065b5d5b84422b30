"""A previewed run decides what the run would, and leaves every byte of the workspace as it was."""

import hashlib
from contextlib import closing
from datetime import timedelta

import pytest
from workspace_copies import copy_workspace

from patron.commands.data.preview_run import preview_run
from patron.run import run_loop
from patron.schema.errors import SettingsError, WorkspaceError
from patron.schema.tables import DECISIONS
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import OFFER_RULES_FILE
from patron_command import run_patron

pytestmark = pytest.mark.xdist_group("one run")  # with others that go on from the same workspace


@pytest.fixture
def second_run(shop_after_one_run, tmp_path, monkeypatch):
    """A shop whose first run spent part of the month's budget, and the cutoff of the next run."""
    monkeypatch.setenv("PATRON_MASTER_KEY", shop_after_one_run.key)
    folder = copy_workspace(shop_after_one_run.folder, tmp_path / "w")
    with closing(Shop.open(folder)) as shop:
        yield shop, shop_after_one_run.world.now + timedelta(days=1)


def content(shop):
    """Digest of each file, but for locks and empty write-ahead logs."""
    shop.store.close()
    files = (path for path in shop.folder.rglob("*") if path.is_file() and path.suffix not in {".lock", ".db-shm"})
    files = (path for path in files if path.stat().st_size)
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def decisions(shop, run_id):
    rows = shop.lake.read(DECISIONS).to_pylist()
    return sorted((row for row in rows if row["run_id"] == run_id), key=lambda row: row["decision_id"])


def test_a_preview_decides_what_the_run_decides_and_changes_no_byte(second_run):
    shop, as_of = second_run
    rules = shop.folder / OFFER_RULES_FILE
    rules.write_text(rules.read_text() + "\n[one_order]\ndiscount = 3.0\n")
    before = content(shop)
    with preview_run(shop, as_of, now=as_of) as (copy, previewed):
        assert (copy.folder / OFFER_RULES_FILE).read_text() == rules.read_text()
        expected = decisions(copy, previewed.run_id)
        assert list(copy.folder.glob("outbox/*/offers_*.csv"))
    assert content(shop) == before
    assert expected
    finished = run_loop(shop, as_of)
    assert decisions(shop, finished.run_id) == expected
    assert finished.outbox.offer_count == previewed.outbox.offer_count


def start(shop, as_of, **options):
    with preview_run(shop, as_of, now=as_of, **options):
        pass


def test_a_preview_with_another_budget_is_a_what_if(second_run):
    shop, as_of = second_run
    before = content(shop)
    command = ("run", "--preview", "--json", "--as-of", as_of.isoformat(), "-w", shop.folder)
    shown = run_patron(*command, "--budget", 0).json
    assert shown["run_id"]
    assert (shown["decisions"]["cost_cents"], shown["decisions"]["amount_cents"]) == (0, 0)
    assert shown["list"]["total_count"] == shown["decisions"]["customer_count"] > 0
    assert content(shop) == before
    assert "is for --preview" in run_patron("run", "--budget", 5, "-w", shop.folder).message


def test_an_interrupted_preview_leaves_nothing_and_a_killed_one_is_cleared_by_the_next_command(second_run):
    shop, as_of = second_run
    before = content(shop)

    def interrupt(*_):
        assert list((shop.folder / "tmp").glob("preview-*"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(shop, as_of, progress=interrupt)
    for amount in (-1, float("inf")):
        with pytest.raises(SettingsError, match="amount must be"):
            start(shop, as_of, budget=amount)
    assert content(shop) == before
    left = shop.folder / "tmp" / "preview-killed"
    left.mkdir()
    (left / "store.db").write_bytes(b"x")
    with shop.run_lock(), closing(Shop.open(shop.folder)):
        assert left.exists(), "a preview may be at work"
    with closing(Shop.open(shop.folder)):
        assert not left.exists()


def test_a_server_cannot_be_previewed(second_run):
    shop, as_of = second_run
    shop.settings = shop.settings.model_copy(update={"inbox_url": "postgresql://somewhere/inbox"})
    with pytest.raises(WorkspaceError, match="is on a server"):
        start(shop, as_of)
