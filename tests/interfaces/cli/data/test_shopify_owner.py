"""A shop owner with a Shopify export: every message of import, run, report and doctor is true and says what to do."""

import re
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime

import pytest
from shopify_export import export

from patron import understand
from patron.commands.data.init_workspace import write_missing_settings
from patron.interfaces.cli.data.run_commands import parse_time
from patron.run import stage_view
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts

FIRST = datetime(2023, 6, 1, 8, tzinfo=UTC)
CUSTOMERS, DAYS = 60, 300
AS_OF = "2024-04-01"


@pytest.fixture(scope="module")
def text():
    return export(CUSTOMERS, FIRST, DAYS)[0]


@pytest.fixture(scope="module")
def orders():
    """First rows of the orders, which show what the whole order is."""
    return [row for row in export(CUSTOMERS, FIRST, DAYS)[1] if "Total" in row]


@pytest.fixture
def w(new_workspace):
    write_missing_settings(new_workspace, {"currency": "EUR", "time_zone": "Europe/Berlin"})
    return new_workspace


@pytest.fixture
def bring(patron, w, tmp_path):
    def bring(content: str, *options: object, name: str = "orders_export.csv"):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return patron("import", "--workspace", w, "--mapping", "shopify", tmp_path / name, *options)

    return bring


def files_of(folder) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and "store.db-" not in str(path)
    }


def counted(orders) -> dict[str, int]:
    """What the owner counts in the export."""
    unpaid = [row for row in orders if row["Financial Status"] == "pending"]
    cancelled = [row for row in orders if row["Cancelled at"]]
    refunded = [row for row in orders if float(row["Refunded Amount"]) > 0 and not row["Cancelled at"]]
    return {"orders": len(orders), "unpaid": len(unpaid), "cancelled": len(cancelled), "refunds": len(refunded)}


def test_an_import_counts_lines_orders_and_refunds_as_the_owner_does(bring, patron, w, text, orders):
    owner = counted(orders)
    ran = bring(text)
    assert (ran.code, ran.err) == (0, "")
    stored = owner["orders"] - owner["unpaid"] + owner["cancelled"] + owner["refunds"]
    # each order says whether its customer accepts marketing
    stored += sum(int(count) for count in re.findall(r"(\d+) (?:withdrawn )?consents", ran.out.partition("=")[0]))
    kinds = f"{owner['orders']} orders, {owner['cancelled']} cancelled orders, {owner['refunds']} refunds"
    assert f"{text.count(chr(10))} lines read: " in ran.out
    assert all(kind in ran.out for kind in kinds.split(", "))
    assert f"= {stored} stored + 0 duplicate + {owner['unpaid']} rejected" in ran.out
    assert f"{owner['refunds']} refunds have no date in these files and count from now on" in ran.out
    assert "--refunds-known-at order" in ran.out
    assert "Left out on purpose:" in ran.out
    assert "--replay" not in ran.out
    [line, number] = re.findall(r"orders_export.csv line (\d+): order (#\d+): the order is not paid", ran.out)[0]
    assert text.split("\n")[int(line) - 1].startswith(f"{number},")
    checked = patron("doctor", "--workspace", w).out
    assert f"ok dead letters: {owner['unpaid']} left out on purpose: not_paid" in checked
    assert "warning dead letters" not in checked


def test_a_run_of_a_past_day_says_what_it_does_not_know_yet(bring, patron, w, text, orders):
    bring(text)
    refunded = [row for row in orders if float(row["Refunded Amount"]) > 0]
    ran = patron("run", "--workspace", w, "--as-of", AS_OF)
    [said] = re.findall(
        r"(\d+) refunds \(€([\d,]+)\) became known .*, after this run's as-of, and do not count\.", ran.out
    )
    assert ran.out.index("do not count.") > ran.out.index("recommend"), "among the last lines, in words"
    assert int(said[0]) <= len(refunded)
    assert patron("report", "--workspace", w).code == 0
    report = (w / "report.html").read_text(encoding="utf-8")
    assert f"{said[0]} refunds (€{said[1]}) became known" in report
    assert "No refunds: if there were any" not in report
    sql = "select count(*) as n from order_lines where is_refund"
    assert patron("sql", "--workspace", w, sql, "--json").json[0]["n"] < 20
    above = "select max(row_count) as n from cleaning where check_code = 'refund_above_what_was_paid'"
    assert patron("sql", "--workspace", w, above, "--json").json == [{"n": 0}]
    assert patron("run", "--workspace", w, "--as-of", "now").out.count("became known") == 0
    assert patron("sql", "--workspace", w, above, "--json").json == [{"n": 0}]
    assert patron("sql", "--workspace", w, sql, "--json").json[0]["n"] > 20


def test_refunds_counted_from_their_order_are_in_a_run_of_a_past_day(bring, w, text):
    ran = bring(text, "--refunds-known-at", "order")
    assert "count from the time of their order: forecasts of the past know them before they happened" in ran.out
    with closing(Shop.open(w)) as shop:
        view = stage_view(shop, understand, run=Run.at(parse_time(AS_OF, "Europe/Berlin", now=FIRST)))
        build_facts(view)
        known = view.query("select count(*) as n from order_lines where is_refund")
    assert known["n"][0].as_py() > 20
    assert bring(text, "--refunds-known-at", "yesterday").code == 2


def test_a_dry_run_shows_what_an_import_would_do_and_writes_nothing(bring, w, text, orders):
    before = files_of(w)
    ran = bring(text, "--dry-run")
    assert (ran.code, files_of(w)) == (0, before)
    assert "Nothing was written." in ran.out
    owner = counted(orders)
    kinds = {"Order Refunded": "refunds", "Order Cancelled": "cancelled", "rejected: not_paid": "unpaid"}
    for name, kind in kinds.items():
        assert Counter(name in line for line in ran.out.split("\n"))[True] == min(owner[kind], 3)
    shown = bring(text, "--dry-run", "--json").json["preview"]
    done = bring(text, "--json").json
    assert shown["counts"] == {name: done[name] for name in ("stored", "duplicate", "rejected")}
    assert (shown["by_event"], shown["line_count"]) == (done["by_event"], done["line_count"])
    assert shown["rejected_by_reason"] == done["rejected_by_reason"]
    assert bring(text, "--dry-run", "--json").json["preview"]["counts"]["stored"] == 0


def test_the_first_dry_run_says_which_settings_the_import_would_write(patron, tmp_path, monkeypatch):
    (tmp_path / "lines.csv").write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "1,2,MUG,1,2011-07-01 08:26:00,2.55,17850,United Kingdom\n"
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    patron("init", tmp_path / "new")
    ran = patron("import", "--workspace", tmp_path / "new", "-m", "auto", "--dry-run", tmp_path / "lines.csv")
    assert "Recognised by its columns: --mapping online-retail." in ran.out
    assert "shop.currency = GBP, shop.time_zone = Europe/London will be written to patron.toml" in ran.out
    assert "= 1 stored + 0 duplicate + 0 rejected" in ran.out
    assert 'currency = "GBP"' not in (tmp_path / "new" / "patron.toml").read_text()


def test_an_import_that_loses_too_much_stores_the_good_rows_and_exits_with_3(bring, text):
    bad = text.replace(" +0000", " o'clock", 200)
    ran = bring(bad, "--json")
    assert ran.code == 3
    assert "are faulty, more than --max-rejected 5%; the good rows are stored" in ran.err
    assert ran.json["stored"] > 0
    assert ran.json["failure"] in ran.err
    assert bring(bad, "--max-rejected", "90%").code == 0
    assert bring(text.replace(",paid,", ",pending,")).code == 0, "what is left out on purpose does not count"
    for wrong in ("5", "-1%", "many"):
        assert bring(text, "--max-rejected", wrong).code == 2


def test_a_file_that_was_cut_off_in_the_download_is_named(bring, text):
    ran = bring(text[: len(text) // 2])
    last = text[: len(text) // 2].count("\n") + 1
    assert f"1 cut_off: orders_export.csv line {last}: the last line is cut off" in ran.out
    assert "After repairing the file, import it again; nothing is stored twice." in ran.out


def test_mappings_are_listed_with_the_columns_they_need(patron):
    listed = patron("mappings").out
    assert all(name in listed for name in ("shopify", "woocommerce", "--mapping auto", "Lineitem"))
    assert {"name", "description", "columns_by_file"} == set(patron("mappings", "--json").json[0])
    assert patron("import", "--workspace", "nowhere").code == 1
