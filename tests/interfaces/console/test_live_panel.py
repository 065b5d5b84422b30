"""The live panel of a customer says what it counts to, and where there may be more than it counts."""

from datetime import UTC, datetime, timedelta

import httpx
import pyarrow as pa

from patron.answers.customer_list import CustomerQuery, find_customers
from patron.collect.loader import load_events
from patron.interfaces.console.screenshots import served
from patron.run import run_loop
from patron.service.compaction_worker import CompactionWorker

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_the_panel_of_an_old_workspace_says_how_old_it_is_and_a_cut_off_count_that_there_is_more(shop):
    lines = {
        "event_id": [f"l{n}" for n in range(210)],
        "name": ["Order Line Completed"] * 210,
        "occurred_at": [START + timedelta(hours=6 * n) for n in range(210)],
        "user_id": ["u1"] * 210,
        "order_id": [f"o{n}" for n in range(210)],
        "price_cents": [1_000] * 210,
        "quantity": [1] * 210,
    }
    load_events(shop, pa.table(lines), source="shop", known="occurred", received_at=START + timedelta(days=60))
    run_loop(shop, START + timedelta(days=60))
    CompactionWorker(shop).run_once()
    (row,) = find_customers(shop, CustomerQuery()).rows
    with served(shop) as address:
        pages = {
            locale: httpx.get(f"{address}/customers/{row.customer_id}?lang={locale}", timeout=60).text
            for locale in ("en", "zh_CN")
        }
    assert "The data of the last run end on Jun 30, 2024," in pages["en"]
    assert "Live profile" in pages["en"]
    assert "Right now</h2>" not in pages["en"]
    assert "最近一次运行的数据截至 2024年6月30日" in pages["zh_CN"]
    for page in pages.values():
        assert "<dd>210</dd>" in page, "what the run counted"
        assert "<dd>200+</dd>" in page, "what the panel can tell apart"
    assert "Days from last order to Jun 30, 2024" in pages["en"]
    assert "Days from last order to today" in pages["en"]
