"""The quality of the data: what was checked, imported and rejected, without the places files lay in."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from patron.answers.data.data_quality import data_quality, data_quality_of
from patron.storage.store.store import DEAD_LETTERS, IMPORTS

AT = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def quality(snapshot_of):
    """A shop with three imports and five rejected rows."""
    view = snapshot_of()
    counts = {"read_count": 10, "stored_count": 7, "duplicate_count": 1, "rejected_count": 2}
    files = (
        ["/home/someone/orders.csv", "C:\\Users\\someone\\lines.csv"],
        [{"name": "/srv/in/customers.csv", "rows": 3}],
        ["plain.csv"],
    )
    reasons = ("bad_event", "unknown_currency", "bad_event", "a_tie", "bad_event")
    with view.store.begin() as connection:
        for at, paths in enumerate(files):
            import_row = {
                "import_id": f"i{at}",
                "mapping": f"/etc/mappings/m{at}.toml",
                "source": "web",
                "files": paths,
            }
            connection.execute(sa.insert(IMPORTS).values(**import_row, started_at=AT - timedelta(days=at), **counts))
        for at, reason in enumerate(reasons):
            dead_letter = {
                "dead_letter_id": f"d{at}",
                "import_id": "i0",
                "source": "web",
                "file": "f",
                "row_number": at,
            }
            what = {"reason": reason, "message": f"message {at}", "payload": b"", "created_at": AT}
            connection.execute(sa.insert(DEAD_LETTERS).values(**dead_letter, **what))
    return data_quality_of(view)


def test_imports_come_in_order_of_time_and_show_names_without_folders(quality):
    assert [one.files for one in quality.imports] == [("plain.csv",), ("customers.csv",), ("orders.csv", "lines.csv")]
    assert [one.mapping for one in quality.imports] == ["m2.toml", "m1.toml", "m0.toml"]
    assert all(one.started_at.tzinfo is not None for one in quality.imports)


def test_rejected_rows_are_counted_by_reason_the_most_frequent_first(quality):
    assert [(one.reason, one.row_count) for one in quality.rejected] == [
        ("bad_event", 3),
        ("a_tie", 1),
        ("unknown_currency", 1),
    ]
    assert quality.rejected[0].example == "message 0"


def test_checks_and_drift_are_those_of_the_last_run(made_shop, rows_of_last):
    found = data_quality(made_shop)
    counts = [check.row_count for check in found.checks]
    assert counts == sorted((row["row_count"] for row in rows_of_last("cleaning")), reverse=True)
    assert {check.check_code for check in found.checks} == {row["check_code"] for row in rows_of_last("cleaning")}
    assert all(check.row_count <= check.checked_count for check in found.checks)
    assert {one.feature for one in found.drift} == {row["feature"] for row in rows_of_last("drift")}
    (made,) = found.imports
    assert made.read_count == made.stored_count + made.duplicate_count + made.rejected_count
