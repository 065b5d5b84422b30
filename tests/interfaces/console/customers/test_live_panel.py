"""The live panel of a customer says what it counts to, and where there may be more than it counts."""

from datetime import UTC, datetime, timedelta

import httpx
import pyarrow as pa
import pytest
from made_visits import finish_run_with_model

from patron.answers.customers.customer_list import CustomerQuery, find_customers
from patron.collect.loader import load_events
from patron.interfaces.console.screenshots import served
from patron.run import run_loop
from patron.service.compaction_worker import CompactionWorker
from patron.service.customer_lookup import lookup_customer

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
    assert "The data of the last run end on 30 Jun 2024," in pages["en"]
    assert "Live profile" in pages["en"]
    assert "Right now</h2>" not in pages["en"]
    assert "最近一次运行的数据截至 2024年6月30日" in pages["zh_CN"]
    for page in pages.values():
        assert "<dd>210</dd>" in page, "what the run counted"
        assert "<dd>200+</dd>" in page, "what the panel can tell apart"
    assert "Days from last order to 30 Jun 2024" in pages["en"]
    assert "Days from last order to today" in pages["en"]


LABELS = (("en", "Probability of an order in this visit"), ("zh_CN", "本次访问下单概率"))


@pytest.mark.parametrize("is_open", [True, False])
def test_the_panel_of_an_open_visit_has_the_probability_of_an_order(shop, is_open):
    now = datetime.now(UTC)
    finish_run_with_model(shop, now - timedelta(days=1))
    at = now - timedelta(minutes=1 if is_open else 40)
    views = {"event_id": ["a"], "name": ["Product Added"], "occurred_at": [at], "user_id": ["u1"], "product_id": ["p"]}
    load_events(shop, pa.table(views), source="shop", known="occurred", received_at=now)
    CompactionWorker(shop).run_once()
    live = lookup_customer(shop, "u1", now=now).live
    with served(shop) as address:
        at_page = f"{address}/customers/{live.customer_id}"
        pages = {locale: httpx.get(f"{at_page}?lang={locale}", timeout=60).text for locale, _ in LABELS}
        twin = httpx.get(f"{address}/api/customers/{live.customer_id}", timeout=60).json()
    for locale, label in LABELS:
        assert (label in pages[locale]) == is_open
    probability = twin["live"]["visit"]["order_probability"]
    assert (probability is not None) == is_open
    if is_open:
        assert f"<dd>{probability:.1%}</dd>" in pages["en"]
