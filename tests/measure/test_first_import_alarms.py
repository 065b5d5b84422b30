"""A first import of history: what becomes known all at once is no change of the shop."""

from datetime import UTC, datetime, timedelta

import pytest
from shopify_export import export

from patron import understand
from patron.collect.files.file_import import import_files
from patron.measure.model_alarms import data_alarms
from patron.run import build_run_cutoffs, stage_view
from patron.storage.runs.runs import Run
from patron.storage.shop import SETTINGS_FILE, Shop
from patron.understand.facts import build_facts
from patron.understand.features import build_features

CUSTOMERS, DAYS = 250, 240
FIRST = datetime(2023, 6, 1, 8, tzinfo=UTC)
IMPORTED_AT = FIRST + timedelta(days=DAYS)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop = Shop.create(tmp_path / "w")
    (tmp_path / "w" / SETTINGS_FILE).write_text('[shop]\ncurrency = "EUR"\n')
    shop.reload_settings()
    (tmp_path / "orders.csv").write_text(export(CUSTOMERS, FIRST, DAYS)[0])
    import_files(shop, [str(tmp_path / "orders.csv")], mapping="shopify", received_at=IMPORTED_AT)
    yield shop
    shop.close()


def test_refunds_that_a_first_import_brings_without_their_days_raise_no_alarm(shop):
    view = stage_view(shop, understand, run=Run.at(IMPORTED_AT))
    for build in (build_facts, build_run_cutoffs, build_features):
        build(view)
    counts = view.query("select count(*) as n from order_lines where is_refund and refunded_at is null")
    assert counts["n"][0].as_py() > 50
    assert [(alarm["source"], alarm["subject"]) for alarm in data_alarms(view)] == []
