"""The first import of a new workspace: it takes the mapping's currency and time zone, and a run follows."""

import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from patron.collect.files.mapping import load_mapping
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.commands.data.import_files import import_files, replay
from patron.commands.data.init_workspace import create, write_missing_settings
from patron.commands.data.simulate import simulate
from patron.commands.data.trace import trace
from patron.run import run_loop
from patron.schema.errors import NotFound
from patron.schema.progress import silent
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    create(tmp_path / "w")
    return tmp_path / "w"


def invoices(customers: int) -> str:
    """Invoice lines of a year: each customer buys every few weeks, a few give something back."""
    lines = [HEADER]
    for customer in range(customers):
        every = 20 + 7 * (customer % 9)
        for number, day in enumerate(range(customer % every, 330, every)):
            at = f"2011-{day // 28 % 12 + 1:02}-{day % 28 + 1:02} 10:{customer % 60:02}:00"
            invoice, code = f"5{customer:03}{number:02}", 22_000 + (customer + number) % 30
            lines.append(f"{invoice},{code},MUG,{1 + number % 4},{at},2.55,{13_000 + customer}.0,United Kingdom")
            if customer % 10 == 3 and number == 2:
                lines.append(f"C{invoice},{code},MUG,-1,{at},2.55,{13_000 + customer}.0,United Kingdom")
    return "\n".join(lines) + "\n"


def test_online_retail_is_in_pounds_and_london_from_the_first_import_to_a_run(folder, tmp_path):
    (tmp_path / "lines.csv").write_text(invoices(60))
    done = import_files(
        Shop.open(folder), [str(tmp_path / "lines.csv")], "online-retail", progress=silent, now=datetime.now(UTC)
    )
    warning = "First import: shop.currency = GBP, shop.time_zone = Europe/London written to patron.toml."
    assert (done.rejected, done.warnings) == (0, (warning,))
    shop = Shop.open(folder)
    assert (shop.settings.shop.currency, shop.settings.shop.time_zone) == ("GBP", "Europe/London")
    again = import_files(shop, [str(tmp_path / "lines.csv")], "online-retail", progress=silent, now=datetime.now(UTC))
    assert (again.stored, again.warnings) == (0, ())
    finished = run_loop(shop, shop.lake.read(EVENTS)["occurred_at"][0].as_py().replace(month=9, day=1))
    assert finished.customer_count == 60
    assert {answer.question for answer in finished.forecasts.answered} >= {"value"}
    refunds = shop.snapshot().query("select count(*) as n from order_lines where is_refund")["n"][0].as_py()
    assert refunds > 0
    shop.close()


@pytest.mark.parametrize(
    ("mapping", "currency", "time_zone"),
    [("completejourney", "USD", "America/New_York"), ("online-retail", "GBP", "Europe/London"), ("cdnow", None, None)],
)
def test_a_mapping_states_what_its_source_states(mapping, currency, time_zone):
    source_mapping = load_mapping(mapping)
    assert (source_mapping.currency, source_mapping.time_zone) == (currency, time_zone)


def test_what_a_person_has_set_is_not_overwritten(folder, tmp_path):
    write_missing_settings(folder, {"currency": "EUR"})
    (tmp_path / "lines.csv").write_text(invoices(2))
    done = import_files(
        Shop.open(folder), [str(tmp_path / "lines.csv")], "online-retail", progress=silent, now=datetime.now(UTC)
    )
    assert done.rejected_by_reason == {"unknown_currency": done.read}
    assert "time_zone" in done.warnings[0]
    assert "currency" not in done.warnings[0]
    settings = Shop.open(folder).settings.shop
    assert (settings.currency, settings.time_zone) == ("EUR", "Europe/London")


def test_what_waits_in_the_inbox_is_moved_with_the_currency_of_the_first_import(folder, tmp_path):
    shop = Shop.open(folder)
    rules = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)
    order = {"order_id": "o1", "revenue": 20, "currency": "GBP", "products": [{"product_id": "p", "price": 20}]}
    message = {"type": "track", "messageId": "m1", "event": "Order Completed", "userId": "u1", "properties": order}
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(json.dumps({"batch": [message]}).encode(), "web", datetime.now(UTC), rules)])
    (tmp_path / "lines.csv").write_text(invoices(2))
    import_files(shop, [str(tmp_path / "lines.csv")], "online-retail", progress=silent, now=datetime.now(UTC))
    assert [step.place for step in trace(shop, "m1").steps] == ["seen", "events"]
    shop.close()


def test_a_simulated_shop_is_imported_with_its_own_ids_once(folder, tmp_path):
    simulation = simulate(tmp_path / "simulated", customers=150, days=75, seed=3, progress=silent)
    shop = Shop.open(folder)
    done = import_files(shop, [str(simulation.events)], "patron", progress=silent, now=datetime.now(UTC))
    assert (done.read, done.stored) == (simulation.event_count, simulation.event_count)
    events = shop.lake.read(EVENTS, None)
    simulated = pq.read_table(simulation.events)
    assert sorted(events["event_id"].to_pylist()) == sorted(simulated["event_id"].to_pylist())
    assert events["known_at"].equals(events["occurred_at"])
    again = import_files(shop, [str(simulation.events)], "patron", progress=silent, now=datetime.now(UTC))
    assert (again.stored, again.duplicate) == (0, simulation.event_count)
    assert run_loop(shop, simulated["occurred_at"].to_pylist()[-1]).customer_count > 100
    shop.close()


def test_an_import_nobody_made_cannot_be_replayed(folder):
    with pytest.raises(NotFound, match="No import has rejected rows"):
        replay(Shop.open(folder), "nothing", mapping=None, progress=silent, now=datetime.now(UTC))
