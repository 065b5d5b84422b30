"""An amended table has the rows of an earlier version but those that go, and the added ones; other files stay."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lake_records import record_next_to
from patron.schema.errors import InvalidTable
from patron.schema.tables import REFERRALS
from patron.storage.duck_engine import DuckEngine
from patron.storage.lake.lake_amendment import Amender

NOW = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    return Amender(tmp_path / "lake", record_next_to(tmp_path / "lake"))


def referrals(*referred: str, by: str | None = "a") -> pa.Table:
    rows = [{"customer_id": by, "referred_customer_id": one, "occurred_at": NOW, "known_at": NOW} for one in referred]
    return pa.Table.from_pylist(rows, schema=REFERRALS.schema())


def amend(lake: Amender, version: int, gone: pa.Table, added: pa.Table) -> list[str]:
    lake.amend(REFERRALS, DuckEngine(), version=version, gone=gone, added=added)
    return sorted(lake.read(REFERRALS)["referred_customer_id"].to_pylist())


def test_only_files_with_rows_that_go_are_written_again(lake):
    lake.append(REFERRALS, referrals("x", "y"))
    [touched] = lake.files(REFERRALS)
    version = lake.append(REFERRALS, referrals("z", by="b"))
    [other] = set(lake.files(REFERRALS)) - {touched}
    assert amend(lake, version, referrals("x"), referrals("w")) == ["w", "y", "z"]
    assert other in lake.files(REFERRALS)
    assert touched not in lake.files(REFERRALS)


def test_what_was_written_since_the_earlier_version_goes(lake):
    version = lake.append(REFERRALS, referrals("x"))
    lake.replace(REFERRALS, referrals("y"))
    assert amend(lake, version, referrals(), referrals("z")) == ["x", "z"]


def test_a_version_stays_readable_when_nothing_changes(lake):
    version = lake.append(REFERRALS, referrals("x"))
    assert amend(lake, version, referrals(), referrals()) == ["x"]


def test_rows_that_break_the_declaration_are_refused_and_leave_no_file(lake):
    version = lake.append(REFERRALS, referrals("x"))
    with pytest.raises(InvalidTable, match="customer_id"):
        amend(lake, version, referrals(), referrals("y", by=None))
    assert lake.version(REFERRALS) == version
    assert len(list(lake.path(REFERRALS).glob("*.parquet"))) == 1
