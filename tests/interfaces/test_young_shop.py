"""A shop with too little history is told from when on there is a forecast, and is never shown a forecast of nothing."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pyarrow as pa
import pytest
import sqlalchemy as sa
from tests.support.shops.workspace_copies import copy_workspace

from patron import understand
from patron.answers.customers.customer_list import CustomerQuery, find_customers
from patron.answers.customers.customer_profile import customer_card
from patron.answers.insight.overview import overview
from patron.collect.loader import load_events
from patron.commands.models.export_scores import export_scores, shop_total
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.models.missing_forecast_texts import missing_sentences
from patron.interfaces.console.screenshots import served
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.html_report import write_report
from patron.interfaces.report.summary_sentences import summary_sentences
from patron.run import run_loop, stage_view
from patron.schema.errors import NotEnoughData
from patron.schema.tables import BACKTESTS, SCORES
from patron.storage.models.missing_forecasts import MISSING, MissingForecast, find_missing_forecasts, missing_forecasts
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from patron.understand.facts import build_facts

pytestmark = pytest.mark.xdist_group("young shop")  # its workspace takes long to make

OPENED = datetime(2024, 5, 1, 12, tzinfo=UTC)
AS_OF = datetime(2024, 5, 8, tzinfo=UTC)
FROM = datetime(2024, 8, 30, tzinfo=UTC)
"""30 days of history and the 90 days that a forecast is checked by, at the next midnight."""


def load(shop, *orders):
    """Orders as (customer, days after the opening)."""
    columns = {
        "event_id": [f"o{n}" for n in range(len(orders))],
        "name": ["Order Completed"] * len(orders),
        "occurred_at": [OPENED + timedelta(days=days) for _, days in orders],
        "user_id": [who for who, _ in orders],
        "revenue_cents": [1_000 + n for n in range(len(orders))],
    }
    load_events(shop, pa.table(columns), source="web", known="occurred", received_at=AS_OF)


def load_contract(shop, who):
    """A contract that ends 20 days after the opening."""
    columns = {
        "event_id": ["c"],
        "name": ["Contract Started"],
        "occurred_at": [OPENED],
        "user_id": [who],
        "properties": ['{"contract_id": "CLUB", "ends_at": "2024-05-21"}'],
    }
    load_events(shop, pa.table(columns), source="web", known="occurred", received_at=AS_OF)


@pytest.fixture(scope="module")
def young(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", "ab" * 32)
        shop = Shop.create(tmp_path_factory.mktemp("young") / "w")
        load(shop, *((f"u{n}", n % 6) for n in range(20)))
        load_contract(shop, "u3")
        finished = run_loop(shop, AS_OF)
        with served(shop) as address, httpx.Client(base_url=address, timeout=60) as client:
            yield SimpleNamespace(shop=shop, finished=finished, client=client)
        shop.close()


def test_the_run_says_from_when_on_each_forecast_is_known(young):
    ready = {one.question: one.ready_at for one in young.finished.missing_forecasts}
    assert ready == {
        "value": FROM,
        "churn": FROM,
        "purchase": FROM - timedelta(days=60),
        "purchase_7_days": FROM - timedelta(days=83),
    }
    assert str(young.finished.missing_forecasts[0]) == "not enough history yet: value from 2024-08-30"


def test_stages_go_by_rhythm_and_say_overdue_not_at_risk(young):
    found = overview(young.shop)
    assert set(last_run(young.shop).read("segments")["stage_basis"].to_pylist()) == {"rhythm"}
    sentences = summary_sentences(found, None, words("en"), Formats("en", "EUR", "UTC"))
    assert [sentence for sentence in sentences if "overdue: silent" in sentence]
    assert [sentence for sentence in sentences if "at risk" in sentence] == []
    assert found.watch_list == ()


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_pages_say_what_a_forecast_of_responses_needs(young, locale):
    somebody = find_customers(young.shop, CustomerQuery()).rows[0].customer_id
    text = words(locale)("responses.missing", messages="300", responses="50")
    for path in (f"/customers/{somebody}?view=forecasts", "/models?"):
        assert text in young.client.get(f"{path}&lang={locale}").text


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_pages_say_what_a_forecast_of_renewals_needs(young, locale):
    cards = [customer_card(young.shop, row.customer_id) for row in find_customers(young.shop, CustomerQuery()).rows]
    [card] = [one for one in cards if one.contracts]
    assert [(contract.contract_id, contract.ends_soon, contract.probability) for contract in card.contracts] == [
        ("CLUB", True, None)
    ]
    text = words(locale)("contracts.missing", ended="100", lost="20")
    for path in (f"/customers/{card.customer_id}?view=forecasts", "/models?"):
        assert text in young.client.get(f"{path}&lang={locale}").text


def test_no_answer_gives_a_value(young):
    found, shop = overview(young.shop), young.shop
    assert found.missing_forecasts == young.finished.missing_forecasts
    assert (found.value.bins, found.value.total_cents) == ((), None)
    assert {stage.expected_cents for stage in found.lifecycle_stages} == {None}
    figure = next(one for one in found.key_figures if one.code == "expected_value")
    assert (figure.value, figure.previous, figure.trend) == (None, None, ())
    listing = find_customers(shop, CustomerQuery())
    assert (listing.expected_cents, {row.value_cents for row in listing.rows}) == (None, {None})
    card = customer_card(shop, listing.rows[0].customer_id)
    assert (card.scores, card.value_parts) == ((), None)
    assert card.missing_forecasts == young.finished.missing_forecasts


def test_exports_leave_the_columns_empty_and_there_is_no_total(young):
    export = export_scores(RequestContext.from_name(young.shop, now=datetime.now(UTC)))
    assert set(export.rows["value"].to_pylist()) == {None}
    assert export.missing_forecasts == young.finished.missing_forecasts
    with pytest.raises(NotEnoughData, match="not enough history yet: value from 2024-08-30"):
        shop_total(young.shop)


def test_pages_and_their_twins_say_it_in_both_languages(young):
    somebody = find_customers(young.shop, CustomerQuery()).rows[0].customer_id
    for path in ("/overview", "/models", f"/customers/{somebody}"):
        assert "Not enough history yet: value from 30 Aug 2024" in young.client.get(path, params={"lang": "en"}).text
        assert "价值自 2024年8月30日 起" in young.client.get(path, params={"lang": "zh_CN"}).text
    for path in ("/api/overview", "/api/models", f"/api/customers/{somebody}"):
        twin = young.client.get(path).json()["missing_forecasts"]
        assert (twin[0]["question"], twin[0]["ready_at"]) == ("value", "2024-08-30T00:00:00Z")


def test_the_report_says_it(young, tmp_path):
    path = write_report(young.shop, tmp_path / "report.html", "en").path
    assert "Not enough history yet: value from 30 Aug 2024" in path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def later(young, patron, tmp_path_factory):
    """A copy of the shop in which the command line ran again a day later, and what it printed."""
    folder = copy_workspace(young.shop.folder, tmp_path_factory.mktemp("later") / "w")
    ran = patron("run", "--as-of", "2024-05-09", "--workspace", folder)
    shop = Shop.open(folder)
    yield SimpleNamespace(shop=shop, ran=ran)
    shop.close()


def test_the_command_line_says_it(young, later, patron):
    total = patron("scores", "--total", "--workspace", young.shop.folder)
    assert total.code == 1
    assert "not enough history yet: value from 2024-08-30" in total.message
    assert "not enough history yet: churn from 2024-08-30" in later.ran.out
    assert "customers whose outcome is known" not in later.ran.out
    assert "last_90_days" not in later.ran.out


def test_the_overview_of_a_shop_where_nobody_is_at_risk_at_two_runs(later):
    counts = last_run(later.shop).query(
        "select run_id, count(*) filter (lifecycle_stage = 'at_risk') as at_risk from segments group by 1 order by 1"
    )
    assert counts.to_pydict() == {"run_id": ["2024-05-08", "2024-05-09"], "at_risk": [0, 0]}
    with served(later.shop) as address:
        for path in ("/", "/overview"):
            assert httpx.get(address + path, timeout=30).status_code == 200


@pytest.fixture(scope="module")
def shop_of_two(tmp_path_factory):
    """A shop with facts of two customers who ordered in its first week."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", "ab" * 32)
        shop = Shop.create(tmp_path_factory.mktemp("two") / "w")
        load(shop, ("a", 0), ("b", (AS_OF - OPENED).days))
        build_facts(stage_view(shop, understand, run=Run.at(AS_OF)))
        yield shop
        shop.close()


@pytest.fixture
def view_of(shop_of_two):
    """A stage view of a run of customers who ordered at some time, with these scores of value."""

    def view(as_of, values, *, is_checked=False):
        shop, run = shop_of_two, Run.at(as_of)
        base = {"run_id": run.run_id, "as_of": as_of, "question": "value", "model_version": "m"}
        rows = [base | {"customer_id": f"c{n}", "value": value} for n, value in enumerate(values)]
        shop.lake.replace(SCORES, pa.Table.from_pylist(rows, SCORES.schema()), part=run.run_id)
        if is_checked:
            texts = dict.fromkeys(("origin", "learner", "champion", "metric", "baseline"), "x")
            row = {"run_id": run.run_id, "question": "value", "customer_count": 1} | texts
            shop.lake.replace(BACKTESTS, pa.Table.from_pylist([row], BACKTESTS.schema()), part=run.run_id)
        return shop.view(["scores", "backtests", "trainings", "orders", "model_manifests"], [], run=run)

    return view


def value_of(view):
    return next((one for one in find_missing_forecasts(view) if one.question == "value"), None)


def test_a_forecast_of_nothing_after_months_of_silence_says_so(view_of):
    at = OPENED + timedelta(days=400)
    assert value_of(view_of(at, [0.0, 0.0], is_checked=True)) == MissingForecast("value", "no_recent_order")


@pytest.mark.parametrize(("locale", "lately"), [("en", "ordered recently"), ("zh_CN", "近期无人下单")])
def test_nobody_has_ordered_recently_holds_for_forecasts_of_30_and_of_90_days(locale, lately):
    silent_for = [MissingForecast(name, "no_recent_order") for name in ("value", "purchase")]
    (said,) = missing_sentences(silent_for, words(locale), Formats(locale, "EUR", "UTC"))
    assert lately in said
    assert not re.search(r"\d", said)


def test_a_forecast_that_is_not_nothing_is_shown(view_of):
    assert value_of(view_of(AS_OF + timedelta(days=1), [0.0, 500.0])) is None


def test_less_than_one_unit_of_all_customers_is_a_forecast_of_nothing(view_of):
    at = OPENED + timedelta(days=400)
    assert value_of(view_of(at, [4.0, 30.0], is_checked=True)) == MissingForecast("value", "no_recent_order")


def test_what_a_run_lacked_an_earlier_or_later_run_need_not_lack(young):
    with young.shop.store.begin() as connection:
        summary = connection.scalar(sa.select(RUNS.c.summary))
    assert [one["question"] for one in summary[MISSING]] == ["value", "churn", "purchase", "purchase_7_days"]
    other = replace(young.shop.snapshot(), run=Run.at(AS_OF + timedelta(days=200)))
    assert overview(young.shop).missing_forecasts
    assert missing_forecasts(other) == ()
