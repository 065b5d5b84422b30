import gc
import gzip
import importlib
import pkgutil
import re
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import httpx
import pyarrow as pa
import pytest
import sqlalchemy as sa
from fastapi import APIRouter
from markupsafe import escape

from patron.answers.customers.customer_list import CustomerQuery, find_customers
from patron.answers.customers.customer_profile import customer_card
from patron.answers.models.repeat_purchase import repeat_purchase
from patron.govern.vault import Vault
from patron.interfaces import http
from patron.interfaces.charts.chart import WIDE
from patron.interfaces.charts.chart_sets import repeat_purchase_charts
from patron.interfaces.console.mount import VISITOR_PAGES
from patron.interfaces.console.screenshots import EVERYBODY, served
from patron.interfaces.http.error_status import STATUS, status_of
from patron.interfaces.http.server.collector_protocol import BODY_KIND_BY_PATH, SETTINGS_PATH
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.schema import errors
from patron.schema.access.access_rights import Actor, Role, rights_of_user
from patron.schema.tables import IDENTITIES, REPEAT_PURCHASE_MODELS, SHOP_FORECASTS
from patron.storage.runs.answer_cache import MAX_RECENT, AnswerCache
from patron.storage.runs.last_run import last_run
from patron.storage.runs.snapshot_cache import reader_of
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS


@contextmanager
def pinned_to(shop, table, rows):
    """Let the last run read other rows of one table for a while."""
    with shop.store.begin() as connection:
        pinned = dict(connection.execute(sa.select(RUNS).order_by(RUNS.c.as_of.desc())).mappings().first())
    change = sa.update(RUNS).where(RUNS.c.run_id == pinned["run_id"])
    other = {**pinned["table_versions"], table.name: shop.lake.replace(table, rows)}
    try:
        with shop.store.begin() as connection:
            connection.execute(change.values(table_versions=other))
        yield
    finally:
        with shop.store.begin() as connection:
            connection.execute(change.values(table_versions=pinned["table_versions"]))


ADMIN = Actor("Ada", rights_of_user([Role.ADMIN]))
PATHS = tuple(VISITOR_PAGES.values())
DOCUMENTED = {
    "/api/overview",
    "/api/customers",
    "/api/customers/lookup",
    "/api/customers/{customer_id}",
    "/api/models",
    "/api/data-quality",
    "/api/decisions",
    "/api/decisions/lookup",
    "/api/decisions/{decision_id}",
    "/api/collector",
    "/api/ingestion",
    "/api/people/forget",
    "/api/people/export",
    "/health",
    "/metrics",
    "/version",
}
"""Paths that programs rely on; new ones need not be named here."""


@pytest.fixture(scope="module")
def connected(made_shop):
    with served(made_shop, ADMIN) as address, httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


@pytest.fixture
def client(connected):
    connected.cookies.clear()  # why: a language that another test chose is not this one's
    return connected


@pytest.fixture(scope="module")
def somebody(made_shop):
    return find_customers(made_shop, CustomerQuery()).rows[0].customer_id


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("page", VISITOR_PAGES)
def test_every_page_renders_in_every_language(client, page, locale):
    answer = client.get(VISITOR_PAGES[page], params={"lang": locale})
    assert answer.status_code == 200
    assert f'<html lang="{locale.replace("_", "-")}">' in answer.text
    title = words(locale)(f"nav.{page}")
    assert f"<h1>{title}</h1>" in answer.text
    current = re.search(r'<a href="([^"]+)"[^>]* aria-current="page">.*?<span>([^<]+)</span>', answer.text)
    assert current
    assert current.groups() == (VISITOR_PAGES[page], title)


def test_the_language_chosen_once_stays(client):
    client.get("/?lang=zh_CN")
    assert '<html lang="zh-CN">' in client.get("/data-quality").text
    client.get("/?lang=en")
    assert '<html lang="en">' in client.get("/data-quality").text


@pytest.mark.parametrize("path", [*PATHS, "/customers?lifecycle_stage=at_risk&sort=churn_probability&page=2"])
def test_every_page_names_its_json_twin_and_the_twin_answers(client, path):
    twin = re.search(r'type="application/json" href="([^"]+)"', client.get(path).text)
    assert twin
    assert client.get(twin[1].replace("&amp;", "&")).status_code == 200


def test_the_list_and_its_twin_show_the_same_customers(client):
    query = "lifecycle_stage=at_risk&sort=churn_probability"
    shown = re.findall(r'href="/customers/([0-9a-f]{32})"', client.get(f"/customers?{query}").text)
    customer_ids = [row["customer_id"] for row in client.get(f"/api/customers?{query}").json()["rows"]]
    assert shown == customer_ids
    assert len(customer_ids) > 10


def test_a_card_and_its_twin_say_the_same(client, somebody):
    card = client.get(f"/api/customers/{somebody}").json()
    summary, forecasts = (client.get(f"/customers/{somebody}{view}").text for view in ("", "?view=forecasts"))
    assert f"${card['paid_cents'] / 100:,.2f}" in summary
    timeline = client.get(f"/customers/{somebody}?view=timeline").text
    assert len(re.findall(r"<time ", timeline)) == len(card["timeline"])
    lines = [line for entry in card["timeline"] for line in entry["lines"]]
    assert sum(line["paid_cents"] for line in lines) == sum(one["paid_cents"] or 0 for one in card["timeline"])
    assert len(card["recommendations"]) == 10
    for score in card["scores"]:
        assert score["model_version"] in forecasts
    parts = card["value_parts"]
    assert parts["total_cents"] == sum(value for name, value in parts.items() if name != "total_cents")
    assert f"${parts['total_cents'] / 100:,.2f}" in summary
    assert parts["first_order_cents"] + parts["repeat_cents"] == card["paid_cents"] + card["refunded_cents"]


def test_a_number_is_the_same_on_the_list_the_watch_list_the_page_and_their_twins(client):
    [watched, *_] = client.get("/api/watch-list").json()["rows"]
    who = watched["customer"]["customer_id"]
    row = client.get("/api/customers", params={"search": who}).json()["rows"][0]
    scores = {score["question"]: score for score in client.get(f"/api/customers/{who}").json()["scores"]}
    assert row["value_at_risk_cents"] == watched["customer"]["value_at_risk_cents"]
    assert row["churn_probability"] == watched["customer"]["churn_probability"] == scores["churn"]["value"]
    assert (row["value_cents"], row["value_low_cents"]) == (scores["value"]["value"], scores["value"]["low"])
    formats = Formats("en", "USD", "UTC")
    page = client.get(f"/customers/{who}").text
    assert formats.money(row["value_cents"]) in page
    assert formats.money(row["value_at_risk_cents"]) in page
    columns = "value,churn_probability,value_at_risk"
    assert formats.whole_money(row["value_at_risk_cents"]) in client.get("/watch-list").text
    listed = client.get("/customers", params={"search": who, "columns": columns}).text
    for shown in (formats.whole_money(row["value_at_risk_cents"]), formats.share(row["churn_probability"], 0)):
        assert shown in listed


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("en", ("Likely needs", "every 17 days", "later than 90 days", "60%")),
        ("zh_CN", ("近期可能购买的品类", "每 17 天")),
    ],
)
def test_the_customer_page_shows_likely_needs_and_the_overview_where_revenue_is_expected(
    client, somebody, locale, texts
):
    card = client.get(f"/api/customers/{somebody}").json()
    assert [need["rank"] for need in card["needs"]] == [1, 2]
    page = client.get(f"/customers/{somebody}?view=forecasts&lang={locale}").text
    for text in texts:
        assert text in page
    assert escape(card["needs"][0]["category"]) in page
    title = {"en": "Categories: the next 90 days", "zh_CN": "各品类未来 90 天预测"}[locale]
    assert title in client.get(f"/overview?view=people&lang={locale}").text
    assert len(client.get("/api/overview").json()["category_forecasts"]) == 5


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("en", ("Response to the next message", "Type A", "27.1%", "12.3%", "1 of 3", "Any message", "not uplift")),
        ("zh_CN", ("对下一条消息的响应", "3 条中响应 1 条", "不区分类型", "不等于增量效果")),
    ],
)
def test_the_customer_page_shows_how_likely_a_response_is_and_that_this_is_no_uplift(client, somebody, locale, texts):
    card = client.get(f"/api/customers/{somebody}").json()
    assert [response["probability"] for response in card["responses"]] == [0.271, 0.052]
    page = client.get(f"/customers/{somebody}?view=forecasts&lang={locale}").text
    assert [text for text in texts if text not in page] == []


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("en", ("Contract COFFEE ends on", "the chance that it is not renewed is 23%", "Contract CLUB ends on")),
        ("zh_CN", ("合约 COFFEE 将于", "不续约概率 23%", "合约 CLUB 将于")),
    ],
)
def test_the_customer_page_says_when_contracts_end_and_how_likely_they_are_not_renewed(client, somebody, locale, texts):
    card = client.get(f"/api/customers/{somebody}").json()
    assert [(contract["contract_id"], contract["probability"]) for contract in card["contracts"]] == [
        ("COFFEE", 0.23),
        ("CLUB", None),
    ]
    page = client.get(f"/customers/{somebody}?view=forecasts&lang={locale}").text
    assert [text for text in texts if text not in page] == []


def test_of_what_is_made_for_single_customers_the_newest_stay_until_another_run(made_shop):
    answers = AnswerCache(made_shop)
    made = []

    def make(name):
        return answers.cached_per_customer(name, lambda: made.append(name) or name)

    assert [make(name) for name in ("a", "a", *range(MAX_RECENT - 1), "a", "new", "a", 0)][-1] == 0
    assert made == ["a", *range(MAX_RECENT - 1), "new", 0], "0 had to go for new, and a, asked for meanwhile, stayed"
    with pinned_to(made_shop, REPEAT_PURCHASE_MODELS, REPEAT_PURCHASE_MODELS.empty()):
        make("a")
    assert made[-1] == "a"


def test_repeat_purchases_are_shown_with_the_held_out_weeks(client):
    found = client.get("/api/models").json()["repeat_purchase"]
    page = client.get("/models/repeat-purchase").text
    assert sum(week["is_held_out"] for week in found["weeks"]) == 13
    known, came, expected = (
        f"{found[name]:,.0f}" for name in ("checked_customer_count", "held_out_count", "held_out_expected")
    )
    assert f"{known} earlier customers placed {came} repeat orders; the model expected {expected}." in page
    assert words("en")("chart.matrix.alive") in page


def test_where_those_taken_for_gone_come_back_no_page_shows_a_probability(client, made_shop):
    row = last_run(made_shop).read("repeat_purchase_models").to_pylist()[-1]
    with pinned_to(
        made_shop,
        REPEAT_PURCHASE_MODELS,
        pa.Table.from_pylist([{**row, "dropout_check": "inactive_returned"}], REPEAT_PURCHASE_MODELS.schema()),
    ):
        models = client.get("/models/repeat-purchase").text
    assert escape(words("en")("dropout_check.inactive_returned")) in models
    before, shown_alone, _ = models.partition(words("en")("chart.tracking.weekly"))
    assert shown_alone
    assert '<div class="columns">' not in before
    (alone,) = repeat_purchase_charts(
        repeat_purchase(last_run(made_shop)), None, words("en"), Formats("en", "USD", "UTC")
    )
    assert alone.spec["width"] == WIDE, "alone it has the whole width; half of it would be blown up"
    assert words("en")("chart.matrix.alive") not in models


def test_before_there_is_a_model_of_order_days_the_page_does_without(client, made_shop):
    with pinned_to(made_shop, REPEAT_PURCHASE_MODELS, REPEAT_PURCHASE_MODELS.empty()):
        assert words("en")("repeat_purchase.too_little_data") in client.get("/models/repeat-purchase").text


def test_the_overview_and_its_json_twin_agree(client):
    figures = client.get("/api/overview").json()
    page = client.get("/overview?view=decisions").text
    assert [f["code"] for f in figures["key_figures"]][:2] == ["revenue", "buyers"]
    assert all(row["customer_id"][:8] in page for row in figures["watch_list"])
    assert (
        sum(stage["customer_count"] for stage in figures["lifecycle_stages"])
        == client.get("/api/customers").json()["total_count"]
    )


def test_the_total_forecast_comes_with_its_interval(client, made_shop):
    assert "(80% interval $16K to $25K)" in client.get("/overview?lang=en").text
    assert "US$1.6万 至 US$2.5万" in client.get("/overview?lang=zh_CN").text
    assert client.get("/api/overview").json()["value"]["low_cents"] == 1.6e6
    with pinned_to(made_shop, SHOP_FORECASTS, SHOP_FORECASTS.empty()):
        assert "80% interval" not in client.get("/overview?lang=en").text


def test_filters_search_sort_and_paging_keep_their_word(client):
    everyone = client.get("/api/customers").json()
    values = [row["value_cents"] for row in everyone["rows"]]
    assert values == sorted(values, reverse=True)
    second = client.get("/api/customers?page=2").json()
    assert not {row["customer_id"] for row in everyone["rows"]} & {row["customer_id"] for row in second["rows"]}
    lapsed = client.get("/api/customers?lifecycle_stage=lapsed").json()
    assert {row["lifecycle_stage"] for row in lapsed["rows"]} == {"lapsed"}
    wanted = everyone["rows"][0]["customer_id"]
    found = client.get("/api/customers", params={"search": wanted[:6]}).json()
    assert all(row["customer_id"].startswith(wanted[:6]) for row in found["rows"])


@pytest.mark.parametrize("text", ["' or 1=1 --", '"><script>', "%", "\\"])
def test_what_people_type_is_data_never_sql_or_html(client, text):
    answer = client.get("/customers", params={"search": text})
    assert answer.status_code == 200
    assert words("en")("customers.empty") in answer.text
    refused = client.get("/customers", params={"lifecycle_stage": text})
    assert refused.status_code == 422
    assert "<script>" not in (answer.text + refused.text).replace("<script src", "")


def test_the_script_gets_only_the_part_it_asks_for(client):
    part = client.get("/customers?lifecycle_stage=new", headers={"X-Part": "results"}).text
    assert part.lstrip().startswith('<section id="results"')
    assert "<html" not in part


def test_an_unknown_customer_is_a_page_that_says_so(client):
    answer = client.get("/customers/nobody")
    assert answer.status_code == 404
    assert words("en").code("error", 404) in answer.text
    answer_json = client.get("/api/customers/nobody")
    assert answer_json.status_code == 404
    assert answer_json.json()["error"] == "NotFound"


def test_a_run_from_which_nothing_can_be_recommended_says_what_to_do(client, somebody):
    assert words("en")("preview.no_products") in client.get(f"/recommendations?customer={somebody}").text


def test_an_unknown_address_is_a_page_or_json(client):
    assert "<h1>" in client.get("/nothing").text
    assert client.get("/api/nothing").json()["error"] == "NotFound"


def test_hostile_names_from_the_shop_are_escaped(client, made_shop):
    customers = find_customers(made_shop, CustomerQuery()).rows[:6]
    pages = [client.get(f"/customers/{row.customer_id}").text for row in customers]
    assert any("&lt;script&gt;alert" in page for page in pages)
    assert not any("<script>alert" in page for page in pages)


def test_a_shops_own_id_leads_to_its_customer(made_shop, client, somebody):
    token = Vault.open(made_shop).store_tokens("user_id", pa.array(["K-1"]), made_shop.snapshot().run.as_of)[0].as_py()
    identity = {"token": token, "customer_id": somebody, "is_user": True, "known_at": made_shop.snapshot().run.as_of}
    rows = pa.concat_tables([made_shop.lake.read(IDENTITIES), pa.Table.from_pylist([identity], IDENTITIES.schema())])
    with pinned_to(made_shop, IDENTITIES, rows):
        assert client.post("/api/customers/lookup", json={"shop_id": " K-1 "}).json()["customer_id"] == somebody
        for written in ("K-1", " k-1 "):
            answer = client.post("/customers/lookup", data={"who": written})
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/customers/{somebody}"


def test_the_beginning_of_an_opaque_id_leads_to_the_customer_or_to_the_list(client, somebody):
    answer = client.post("/customers/lookup", data={"who": somebody.upper()})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/customers/{somebody}")
    answer = client.post("/customers/lookup", data={"who": "000"})
    assert answer.status_code in {303, 404}
    assert "Customer id begins with 3fa" in client.get("/customers?search=3fa").text


def test_what_people_look_up_is_in_no_address_and_no_page(client):
    answer = client.post("/customers/lookup", data={"who": "ann@example.com"})
    assert answer.status_code == 404
    assert "ann@example.com" not in answer.text


def test_looking_an_unknown_id_up_says_so_and_stores_nothing(made_shop, client):
    answer = client.post("/customers/lookup", data={"who": "never-seen"})
    assert answer.status_code == 404
    assert words("en")("customers.lookup_failed") in answer.text
    assert client.post("/api/customers/lookup", json={"shop_id": "never-seen"}).status_code == 404
    assert Vault.open(made_shop).find("user_id", "never-seen") is None


WITHOUT_A_RUN = {
    "/ingestion": "Create a key under Settings",
    "/": words("en")("today.no_run"),
    "/runs": words("en")("runs.none"),
    **dict.fromkeys(("/segments", "/campaigns", "/journeys", "/offers"), "<h1"),
}
"""What pages say before any run, which some need not; the others say how to make one."""


def test_an_empty_workspace_says_what_to_do_next(shop):
    with served(shop) as address, httpx.Client(base_url=address) as client:
        for path in PATHS:
            answer = client.get(path)
            assert answer.status_code == 200
            assert WITHOUT_A_RUN.get(path, "patron import --workspace") in answer.text
        answer_json = client.get("/api/overview")
        assert answer_json.status_code == 404
        assert "patron run" in answer_json.json()["todo"]
        assert client.get("/health").json() == {"status": "ok", "run_id": None, "trouble": "", "is_accepting": False}


def test_another_name_for_this_machine_is_refused(client):
    elsewhere = {"Host": "evil.example"}
    assert client.get("/", headers=elsewhere).status_code == 400
    assert client.get("/api/overview", headers=elsewhere).status_code == 400


def test_pages_are_kept_by_nobody_and_run_no_foreign_code(client, somebody):
    headers = client.get(f"/customers/{somebody}").headers
    assert headers["cache-control"] == "no-store"
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_learners_are_ranked_by_what_decides_and_the_rest_is_folded_away(client):
    for question in client.get("/api/models").json()["questions"]:
        assert len({row["metric"] for row in question["board"]}) == 1
        gains = [row["gain"] for row in question["board"]]
        assert gains == sorted(gains, reverse=True)
        assert "<details open" not in client.get(f"/models/questions/{question['question']}").text


def test_a_shop_that_is_let_go_takes_its_open_database_with_it(made_shop):
    other = Shop.open(made_shop.folder)
    reader = weakref.ref(reader_of(last_run(other)))
    assert reader() is reader_of(last_run(other))
    other.close()
    del other
    gc.collect()
    assert reader() is None


def test_many_readers_at_once_get_the_same_card(made_shop, somebody):
    with ThreadPoolExecutor(6) as readers:
        cards = list(readers.map(lambda _: customer_card(made_shop, somebody), range(18)))
    assert all(card == cards[0] for card in cards)


def test_a_theme_chosen_once_stays_and_follows_the_system_again(client):
    assert "data-theme" not in client.get("/data-quality").text
    assert '<html lang="en" data-theme="dark">' in client.get("/data-quality?theme=dark").text
    assert 'data-theme="dark"' in client.get("/customers?sort=paid").text
    assert 'href="/customers?sort=paid&amp;theme=light"' in client.get("/customers?sort=paid&theme=dark").text
    assert "data-theme" not in client.get("/data-quality?theme=system").text
    assert "data-theme" not in client.get("/data-quality?theme=pink").text


@pytest.fixture(scope="module")
def frame_bytes(connected):
    """Compressed bytes of what every page needs once: look, script and icons."""
    page = connected.get("/brief").text
    links = {*re.findall(r'(?:href|src)="(/static/[^"#]+)', page)}
    assert {link.partition("?")[0] for link in links} == {
        "/static/patron.css",
        "/static/patron.js",
        "/static/icons.svg",
    }
    return sum(len(gzip.compress(connected.get(link).content)) for link in links)


@pytest.mark.parametrize("path", PATHS)
def test_pages_keep_to_their_budget_and_the_security_policy(client, path, frame_bytes):
    content = client.get(path).text
    values = client.get("/static/chart-values.js").content if "chart-values.js" in content else b""
    assert len(gzip.compress(content.encode())) + len(gzip.compress(values)) + frame_bytes < 60_000
    assert " style=" not in content
    assert "onclick" not in content


def test_the_script_and_the_look_stay_small(client):
    assert len(client.get("/static/patron.js").content) <= 8_192
    assert len(gzip.compress(client.get("/static/patron.css").content)) <= 10_240


def subclasses(kind):
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_refusal_has_a_status():
    declared = {kind for kind in subclasses(errors.PatronError) if kind.__module__ == errors.__name__}
    assert declared - STATUS.keys() == set()
    assert status_of(errors.NotFound("nobody")) == 404


def endpoints() -> set[str]:
    """Paths of every router that a module of the API holds."""
    names = [found.name for found in pkgutil.walk_packages(http.__path__, f"{http.__name__}.")]
    held = [var for name in names for var in vars(importlib.import_module(name)).values()]
    return {route.path for one in held if isinstance(one, APIRouter) for route in one.routes}


def test_the_schema_describes_every_endpoint(client):
    described = set(client.get("/openapi.json").json()["paths"])
    collector = {*BODY_KIND_BY_PATH, "{write_key}".join(SETTINGS_PATH)}
    pages_of_letters = {"/u/{token}", "/p/{token}", "/digest/{token}"}
    assert described == (endpoints() - pages_of_letters) | collector
    assert described >= DOCUMENTED


def test_dead_letters_are_tried_again_from_the_page_and_only_from_ours(made_shop):
    form = {"import_id": "never"}
    with served(made_shop) as address, httpx.Client(base_url=address, timeout=30) as visitor:
        refused = visitor.post("/ingestion/replay", data=form)
    assert (refused.status_code, "no such import" in refused.text) == (401, False), "a visitor changes nothing"
    with served(made_shop, ADMIN) as address, httpx.Client(base_url=address, timeout=30) as admin:
        replay_from_the_page(admin, form)


def replay_from_the_page(client, form):
    elsewhere = {"origin": "https://elsewhere.example"}
    assert client.post("/ingestion/replay", data=form, headers=elsewhere).status_code == 403
    ours = {"origin": f"http://{client.base_url.netloc.decode()}"}
    refused = client.post("/ingestion/replay", data=form, headers=ours)
    assert refused.status_code == 404
    assert "no such import" in refused.text
    replayed = client.post("/ingestion/replay", data={"import_id": "live"}, headers=ours)
    assert (replayed.status_code, replayed.headers["location"]) == (303, "/ingestion?replayed=0-0-0-0")
    assert "0 rejected again" in client.get(replayed.headers["location"]).text
    assert client.get("/ingestion?replayed=1-<b>-3-4").status_code == 200
    assert client.post("/ingestion/replay", data={"import_id": "x" * 70_000}, headers=ours).status_code == 413


def test_a_list_of_a_new_shop_with_nothing_in_it_skips_no_level_of_headings(shop):
    with served(shop, EVERYBODY) as address, httpx.Client(base_url=address, timeout=30) as one:
        for path in ("/settings/teams", "/settings/keys", "/settings/webhooks"):
            levels = [int(level) for level in re.findall(r"<h([1-6])\b", one.get(path).text)]
            assert 1 in levels, path
            assert all(below <= above + 1 for above, below in pairwise([1, *levels])), path


@pytest.mark.parametrize("locale", LOCALES)
def test_the_models_page_shows_how_the_value_expected_is_spread(client, locale):
    spread = {question["question"]: question["spread"] for question in client.get("/api/models").json()["questions"]}
    assert {question for question, curve in spread.items() if curve} == {"value"}
    assert 0 < spread["value"]["gini"] < 1
    assert spread["value"]["shares_held"] == sorted(spread["value"]["shares_held"])
    assert (spread["value"]["shares_held"][0], round(spread["value"]["shares_held"][-1], 9)) == (0, 1)
    page = client.get("/models/questions/value", params={"lang": locale}).text
    assert page.count(f'<h3 class="figure-title">{words(locale)("chart.lorenz.expected_title")}</h3>') == 1


def test_reasons_for_churn_are_sentences_with_what_might_help_in_both_languages(client):
    english, chinese = (client.get(f"/overview?view=decisions&lang={locale}").text for locale in ("en", "zh_CN"))
    assert "No order for 93 days, usually every 11" in english
    assert "2 returns in the last 30 days" in english
    assert "Write now: remind them of what they usually buy." in english
    assert "已 93 天未下单，平时每 11 天一单" in chinese  # noqa: RUF001 - a Chinese comma
    assert "Why customers leave" in client.get("/models/drivers?lang=en").text
    assert "客户为何流失" in client.get("/models/drivers?lang=zh_CN").text


@pytest.mark.parametrize("locale", LOCALES)
def test_the_page_of_a_decision_shows_what_else_was_possible_and_the_price_of_the_budget(client, locale):
    texts = words(locale)
    listed = client.get("/api/decisions", params={"reason": "holdout"}).json()
    row = listed["rows"][0]
    page = client.get(f"/decisions/{row['decision_id']}", params={"lang": locale}).text
    assert "1.40" in page
    assert texts("offer.twenty_percent") in page
    assert texts("decision.holdout") in page
    assert f"/decisions/{row['decision_id']}" in client.get("/decisions", params={"reason": "holdout"}).text
    of_customer = client.get(f"/api/decisions/{row['customer_id']}").json()
    assert of_customer["decision_id"] == row["decision_id"]
    assert [alternative["forbidden_by"] for alternative in of_customer["alternatives"]] == ["holdout", "holdout"]
    assert f"/decisions/{row['decision_id']}" in client.get(f"/customers/{row['customer_id']}?view=forecasts").text


def test_a_run_or_reason_or_decision_that_there_is_not_is_refused(client):
    for path in ("/api/decisions?run=2011-01-01", "/api/decisions/nobody", "/api/decisions/x?run=2011-01-01"):
        assert client.get(path).status_code == 404
    assert client.get("/api/decisions?reason=hold").status_code == 422
    assert client.get("/decisions?run=2011-01-01").status_code == 404
    assert client.post("/api/decisions/lookup", json={"shop_id": "nobody"}).status_code == 404
