"""A stage reads and writes what it declares; everything else is refused, and there is no way around its view."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron.schema.errors import WorkspaceError
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import CAPABILITIES
from patron.storage.shop import Shop
from patron.storage.store.declared_store import mentioned_tables, written_tables
from patron.storage.store.store import CONSENT_LEDGER, EXPERIMENT_ARMS, IMPORTS, METADATA, RUNS, VAULT_TOKENS, WORDINGS

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
RUN = Run.at(AS_OF)
ASSIGNED = {"experiment": "retention", "customer_id": "c", "arm": "holdout", "assigned_at": AS_OF}


@pytest.fixture
def view(shop):
    """A stage that reads orders, the consent ledger and the vault, and writes cutoffs and assignments."""
    return shop.view(
        ("orders", "consent_ledger", "vault"),
        ("cutoffs", "experiment_arms"),
        run=RUN,
        capabilities={"vault": "the vault", "mail": "undeclared"},
    )


def test_names_of_lake_tables_store_tables_and_capabilities_do_not_overlap():
    assert not BY_NAME.keys() & METADATA.tables.keys()
    assert not CAPABILITIES & (BY_NAME.keys() | METADATA.tables.keys())


def test_a_stage_may_not_declare_what_does_not_exist(shop):
    with pytest.raises(WorkspaceError, match="ordres, which is neither a table nor a capability"):
        shop.view(["ordres"], [], run=RUN)


def test_a_view_has_no_shop_and_no_store(view):
    assert not hasattr(view, "shop")
    assert not hasattr(view, "store")
    public = {name: getattr(view, name) for name in dir(view) if not name.startswith("_")}
    assert not [name for name, value in public.items() if isinstance(value, Shop | sa.Engine | type(view._engine))]


def test_an_undeclared_lake_table_is_neither_read_nor_written(view):
    assert view.query("select count(*) as n from orders").to_pylist() == [{"n": 0}]
    assert view.table_version("orders") is None
    for refused in (
        lambda: view.query("select * from scores"),
        lambda: view.query("select * from orders where customer_id in (select customer_id from scores)"),
        lambda: view.read("scores"),
        lambda: view.table_version("scores"),
    ):
        with pytest.raises(WorkspaceError, match="may not read scores"):
            refused()
    rows = pa.table({"run_id": [RUN.run_id], "customer_id": ["c"], "as_of": pa.array([AS_OF], TIME)})
    view.write("cutoffs", rows)
    for refused in (
        lambda: view.write("features", rows),
        lambda: view.write_query("features", "select * from cutoffs"),
        lambda: view.write("orders", rows),
        lambda: view.write("experiment_arms", rows),
    ):
        with pytest.raises(WorkspaceError, match="may not write"):
            refused()
    with pytest.raises(WorkspaceError, match="may not read scores"):
        view.write_query("cutoffs", "select * from scores")


def test_a_declared_store_table_is_read_and_written(view):
    with view.declared_store.begin() as connection:
        connection.execute(sa.insert(EXPERIMENT_ARMS), [ASSIGNED])
        assert connection.scalar(sa.select(sa.func.count()).select_from(EXPERIMENT_ARMS)) == 1
        assert list(connection.scalars(sa.select(EXPERIMENT_ARMS.c.arm))) == ["holdout"]
        connection.execute(sa.update(EXPERIMENT_ARMS).values(arm="reachable"))
        connection.execute(sa.delete(EXPERIMENT_ARMS))
        assert connection.execute(sa.select(CONSENT_LEDGER)).all() == []


UNDECLARED = {
    "a table": sa.select(RUNS),
    "a column": sa.select(RUNS.c.run_id),
    "a count": sa.select(sa.func.count()).select_from(RUNS),
    "a join": sa.select(CONSENT_LEDGER.c.token).join(WORDINGS, WORDINGS.c.wording == CONSENT_LEDGER.c.wording),
    "a subquery": sa.select(EXPERIMENT_ARMS).where(EXPERIMENT_ARMS.c.customer_id.in_(sa.select(VAULT_TOKENS.c.token))),
    "a correlated condition": sa.select(EXPERIMENT_ARMS).where(sa.exists().where(IMPORTS.c.source == "web")),
    "an alias": sa.select(RUNS.alias("experiment_arms")),
    "a CTE": sa.select(sa.select(RUNS.c.run_id).cte("orders").c.run_id),
    "a union": sa.union_all(sa.select(EXPERIMENT_ARMS.c.arm), sa.select(RUNS.c.run_id)),
    "a table by its name": sa.select(sa.column("run_id")).select_from(sa.table("runs")),
    "a source of an insert": sa.insert(EXPERIMENT_ARMS).from_select(["experiment"], sa.select(RUNS.c.run_id)),
    "a value of an update": sa.update(EXPERIMENT_ARMS).values(arm=sa.select(RUNS.c.run_id).scalar_subquery()),
    "a condition of a deletion": sa.delete(EXPERIMENT_ARMS).where(EXPERIMENT_ARMS.c.arm == RUNS.c.run_id),
}


@pytest.mark.parametrize("name", UNDECLARED)
def test_an_undeclared_store_table_is_not_read(view, name):
    with view.declared_store.begin() as connection:
        for run in (connection.execute, connection.scalar, connection.scalars):
            with pytest.raises(WorkspaceError, match="of the store may not read"):
                run(UNDECLARED[name])


WRITES = {
    "an insert": sa.insert(RUNS).values(run_id="x"),
    "an update": sa.update(RUNS).values(seed=1),
    "a deletion": sa.delete(RUNS),
    "a table that is only read": sa.delete(CONSENT_LEDGER),
    "an insert inside a CTE": sa.select(sa.insert(RUNS).values(run_id="x").returning(RUNS.c.run_id).cte("new")),
}


@pytest.mark.parametrize("name", WRITES)
def test_an_undeclared_store_table_is_not_written(view, name):
    with view.declared_store.begin() as connection, pytest.raises(WorkspaceError, match="may not write"):
        connection.execute(WRITES[name])


TEXTS = {
    "SQL as text": sa.text("select * from runs"),
    "text with columns": sa.text("select run_id from runs").columns(RUNS.c.run_id),
    "a literal column": sa.select(sa.literal_column("(select seed from runs)")),
    "a literal condition": sa.select(EXPERIMENT_ARMS).where(sa.text("arm in (select run_id from runs)")),
    "a definition": sa.schema.DropTable(RUNS),
}


@pytest.mark.parametrize("name", TEXTS)
def test_sql_as_text_is_refused_because_its_tables_cannot_be_checked(view, name):
    with view.declared_store.begin() as connection, pytest.raises(WorkspaceError, match="SQL as text"):
        connection.execute(TEXTS[name])


def test_tables_of_a_statement_are_found():
    statement = sa.insert(EXPERIMENT_ARMS).from_select(["experiment"], sa.select(RUNS.c.run_id))
    assert written_tables(statement) == {"experiment_arms"}
    assert mentioned_tables(statement) == {"experiment_arms", "runs"}


def test_an_undeclared_capability_is_refused(shop, view):
    assert view.capability("vault") == "the vault"
    with pytest.raises(WorkspaceError, match="may not use mail"):
        view.capability("mail")
    other = shop.view(["orders"], [], run=RUN, capabilities={"vault": "the vault"})
    with pytest.raises(WorkspaceError, match="may not use vault"):
        other.capability("vault")
