"""The operational store on PostgreSQL: PATRON_TEST_POSTGRES names a database; a schema of our own is made in it."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from patron.commands.data.doctor import doctor
from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.commands.privacy.forget import forget
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.run import run_loop
from patron.schema.errors import WorkspaceError
from patron.schema.progress import silent
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS, EXPERIMENT_ARMS, IMPORTS, METADATA, RUNS, Store

VARIABLE = "PATRON_TEST_POSTGRES"
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_an_upgrade_makes_exactly_the_declared_tables_and_may_be_repeated(postgres_url):
    for _ in range(2):
        store = Store(postgres_url)
        store.upgrade()
        inspector = sa.inspect(store.engine)
        for table in METADATA.tables.values():
            assert [c["name"] for c in inspector.get_columns(table.name)] == [c.name for c in table.columns]
        store.close()


def test_a_store_of_a_newer_patron_is_refused(postgres_url):
    store = Store(postgres_url)
    store.upgrade()
    with store.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(WorkspaceError, match="newer Patron"):
        store.upgrade()
    store.close()


def replace_all(store: Store, assigned: dict) -> None:
    with store.begin() as connection:
        connection.execute(sa.delete(RUNS))
        connection.execute(sa.insert(EXPERIMENT_ARMS).values(assigned))


def test_rows_come_back_as_they_were_written_and_a_transaction_is_all_or_nothing(postgres_url):
    store = Store(postgres_url)
    store.upgrade()
    run = {
        "run_id": "2024-06-01",
        "as_of": NOW,
        "finished_at": NOW,
        "seconds": 1.5,
        "seed": 7,
        "policy_version": "p",
        "table_versions": {"scores": 3, "events": None},
        "summary": {},
    }
    assigned = {"experiment": "retention", "customer_id": "c", "arm": "holdout", "assigned_at": NOW}
    with store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(run))
        connection.execute(sa.insert(EXPERIMENT_ARMS).values(assigned))
    with pytest.raises(sa.exc.IntegrityError):
        replace_all(store, assigned)
    with store.begin() as connection:
        assert dict(connection.execute(sa.select(RUNS)).mappings().one()) == run
        assert dict(connection.execute(sa.select(EXPERIMENT_ARMS)).mappings().one()) == assigned
    store.close()


def test_the_vault_keeps_tokens_and_texts_there(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATRON_STORE_URL", postgres_url)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    create(tmp_path / "w")
    shop = Shop.open(tmp_path / "w")
    vault = Vault.open(shop)
    tokens = vault.store_tokens("user_id", pa.array(["anna", None, "bert", "anna"]), NOW).to_pylist()
    assert Vault.open(shop).reveal(tokens[2:]) == ["bert", "anna"]
    vault.store_texts("web", [("e1", "texts", tokens[0], "a gift")] * 2)
    assert [text["text"] for text in vault.texts(tokens[:1])] == ["a gift"]
    assert vault.shred(tokens[:1]) == 1
    assert Vault.open(shop).reveal(tokens[:1]) == [None]
    shop.close()


def test_an_import_and_a_run_use_it_like_the_file(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATRON_STORE_URL", postgres_url)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    create(tmp_path / "w")
    rows = [f"c{n % 25},1997-0{1 + n % 6}-{1 + n % 28:02},1,{10 + n % 7}" for n in range(150)]
    (tmp_path / "f.csv").write_text("customer_id,date,units,value\n" + "\n".join([*rows, "c1,never,1,1"]) + "\n")
    shop = Shop.open(tmp_path / "w")
    for stored in (150, 0):
        done = import_files(shop, [str(tmp_path / "f.csv")], "cdnow", progress=silent, now=datetime.now(UTC))
        assert (done.stored, done.rejected_by_reason) == (stored, {"bad_time": 1})
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(DEAD_LETTERS)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(IMPORTS)) == 2
    run_loop(shop, NOW.replace(year=1997, month=7, day=1, hour=0))
    assert shop.snapshot().run.run_id == "1997-07-01"
    assert shop.snapshot().run.as_of == NOW.replace(year=1997, month=7, day=1, hour=0)
    assert not (tmp_path / "w" / "store.db").exists()
    findings = {finding.check: finding for finding in doctor(tmp_path / "w")}
    assert findings["store"].level == "ok"
    assert make_url(postgres_url).password not in findings["store"].what
    shop.close()


def test_a_person_is_forgotten_there_and_the_audit_log_is_whole(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATRON_STORE_URL", postgres_url)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    create(tmp_path / "w")
    (tmp_path / "f.csv").write_text(
        "customer_id,date,units,value\nann-1,1997-01-01,1,1\nann-1,never,1,1\nbea,1997-01-01,1,1"
    )
    shop = Shop.open(tmp_path / "w")
    import_files(shop, [str(tmp_path / "f.csv")], "cdnow", progress=silent, now=datetime.now(UTC))
    done = forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="ann-1")
    assert done.erased == {"rows of events": 1, "dead letters emptied": 1, "keys of identifiers": 1}
    again = import_files(shop, [str(tmp_path / "f.csv")], "cdnow", progress=silent, now=datetime.now(UTC))
    assert (again.duplicate, again.rejected_by_reason) == (1, {"forgotten": 2})
    assert audit_log.log_problem(shop) == ""
    shop.close()
