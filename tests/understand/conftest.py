from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest

from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME, EVENTS
from patron.storage.duck_engine import DuckEngine
from patron.storage.engine import Engine
from patron.storage.settings import EngineSettings
from patron.understand.cutoffs import CUTOFFS_SQL, cutoff_rows
from patron.understand.facts import FACTS, lookups
from patron.understand.facts.customer_consents import LEDGER
from patron.understand.facts.usable_events import Scope
from patron.understand.features import EVERY_FAMILY, wide_sql
from patron.understand.features.feature_family import CUTOFFS, windows


class OneConnection:
    """The embedded engine with one connection for many small queries: tests run hundreds of them."""

    def __init__(self) -> None:
        self._open = DuckEngine(EngineSettings(threads=1)).connect()
        self._con = self._open.__enter__()

    def query(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        for name, rows in (tables or {}).items():
            self._con.register(name, rows)
        return self._con.sql(sql).to_arrow_table()


DUCK = OneConnection()
START = datetime(2024, 1, 1, tzinfo=UTC)
RATES = {"EUR": 1.1}
TINY = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}
"""For tables of a few rows compiling a query costs more than running it."""
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a process of a minute the best machine code costs twice as much processor time as it saves."""


def day(number: float) -> datetime:
    """A time by days since the first day of 2024 (a Monday)."""
    return START + timedelta(days=number)


def event(event_id: str, name: str, at: float, *, known: float | None = None, **more: object) -> dict[str, object]:
    """An event of user u on a day, known at once by default."""
    occurred, known_at = day(at), day(at if known is None else known)
    who = {} if more.keys() & {"user_token", "anonymous_token"} else {"user_token": "u"}
    times = {"occurred_at": occurred, "received_at": known_at, "known_at": known_at, "month": f"{occurred:%Y-%m}"}
    return {"source": "s", "event_id": event_id, "name": name, **times, **who, **more}


def events_table(rows: Sequence[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=EVENTS.schema())


def consent_ledger() -> pa.Table:
    """A few entries of the ledger of consents."""
    words = {"basis": "consent", "wording_version": "1", "policy_version": None}
    rows = [
        ("e1", "u", "marketing", True, 3),
        ("e2", "u", "marketing", False, 8),
        ("e3", "u", "analytics", True, 8),
        ("e4", "w", "marketing", True, 9),
        ("e5", "w", "marketing", False, 9),
        ("e6", "b", "marketing", True, 9),
        ("e7", "nobody", "marketing", True, 9),
        ("e8", "w", "marketing", True, 2000),
    ]
    names = ("event", "token", "purpose", "is_granted")
    entries = [
        dict(zip(names, row[:4], strict=True)) | words | {"occurred_at": day(row[4]), "known_at": day(row[4])}
        for row in rows
    ]
    return pa.Table.from_pylist(entries, schema=LEDGER)


def facts(
    rows: Sequence[dict[str, object]], as_of: float = 1000, *, zone: str = "UTC", names: Sequence[str] = ()
) -> dict[str, pa.Table]:
    """The fact tables of some events, all of them and validated, or only those named."""
    scope = Scope(day(as_of), zone)
    tables = {"events": events_table(rows)}
    tables |= lookups(scope, RATES, lambda sql: DUCK.query(sql, {"events": tables["events"]}), consent_ledger())
    for name in ("token_pairs", *names) if names else FACTS:
        table = DUCK.query(FACTS[name](scope), tables)
        if name == "cleaning":
            table = table.append_column("run_id", pa.array(["t"] * table.num_rows))
        tables[name] = validated(BY_NAME[name], table) if not names else table
    return tables


def windowed(tables: dict[str, pa.Table], as_ofs: Sequence[float], zone: str = "UTC") -> pa.Table:
    """Cutoffs with their windows."""
    times = [day(as_of) for as_of in as_ofs]
    cutoffs = DUCK.query(CUTOFFS_SQL, {**tables, "cutoff_rows": cutoff_rows(times)})
    sql = "select m.customer_id, w.* from cutoffs m join windows w on w.as_of = m.as_of order by 1, 2"
    return DUCK.query(sql, {"cutoffs": cutoffs, "windows": windows(times, zone)})


def features(tables: dict[str, pa.Table], as_ofs: Sequence[float], zone: str = "UTC") -> list[dict[str, object]]:
    """One dict per cutoff with all features."""
    cutoffs = windowed(tables, as_ofs, zone)
    results = {CUTOFFS: cutoffs}
    for family in EVERY_FAMILY:
        results[f"family_{family.name}"] = DUCK.query(family.sql(f"'{zone}'"), {**tables, CUTOFFS: cutoffs})
    return DUCK.query(wide_sql(EVERY_FAMILY), results).to_pylist()


@pytest.fixture(scope="session")
def pipeline() -> SimpleNamespace:
    """Build small histories of events and compute their facts, cutoffs and features."""
    return SimpleNamespace(
        day=day, event=event, duck=DUCK, events_table=events_table, facts=facts, windowed=windowed, features=features
    )


@pytest.fixture(scope="session")
def spark() -> Iterator[Engine]:
    """One Spark session for all tests of this folder."""
    pytest.importorskip("pyspark", reason="the spark extra is not installed")
    from patron.storage.spark_engine import SparkEngine  # noqa: PLC0415 - an optional extra

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_SUBMIT_OPTS", JAVA_OPTIONS)
        engine = SparkEngine("local[2]")
    for name, value in TINY.items():
        engine.session.conf.set(name, value)
    yield engine
    engine.close()
