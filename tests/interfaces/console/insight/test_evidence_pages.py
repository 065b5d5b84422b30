"""Retention, payback and experiments as people see them."""

import httpx
import pytest

from patron.govern.access import audit_log
from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user

ADA = Actor("Ada", rights_of_user([Role.MARKETER], [Grant.EXPORT]))
VIEWER = Actor("Vic", rights_of_user([Role.VIEWER]))


@pytest.fixture(scope="module")
def address(made_shop):
    with served(made_shop, ADA) as opened:
        yield opened


def test_a_page_and_its_twin_say_the_same(address):
    with httpx.Client(base_url=address, timeout=30) as client:
        page = client.get("/retention?measure=revenue&by=category").text
        twin = client.get("/api/retention?measure=revenue&by=category").json()
        assert f"${twin['mean']['so_far_cents'] / 100:,.2f}" in page
        assert all(f"${row['expected_cents'] / 100:,.2f}" in page for row in twin["rows"])
        listing = client.get("/api/experiments").json()
        offers = next(row for row in listing["rows"] if row["kind"] == "offers")
        detail = client.get(f"/api/experiments/offers/{offers['name']}").json()["detail"]
        assert detail["line"] in listing["rows"]
        assert client.get("/experiments/offers/pricing").status_code == 404
        assert client.get("/experiments/tests/pricing").status_code == 404
        assert client.get("/retention?by=town&months=7").status_code == 200


def test_only_who_may_export_gets_a_file_and_it_is_recorded(address, made_shop):
    csv = httpx.get(f"{address}/retention?by=category&format=csv", timeout=30)
    assert csv.text.splitlines()[0].startswith('"category","customers"')
    newest = audit_log.entries(made_shop.store)[-1]
    assert (newest.action, '"list": "retention"' in newest.details) == ("list exported", True)
    assert len(httpx.get(f"{address}/experiments?format=csv", timeout=30).text.splitlines()) >= 2
    with served(made_shop, VIEWER) as other:
        assert httpx.get(f"{other}/retention?format=csv", timeout=30).status_code == 403
        refused = httpx.post(f"{other}/retention/costs", data={"costs": "store,2017-01,1"}, timeout=30)
        assert refused.status_code == 401, "a visitor without the right is asked to sign in"
        assert "/retention/costs" not in httpx.get(f"{other}/retention/payback", timeout=30).text


def test_somebody_enters_costs_and_reads_the_payback(address, chromium):
    axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    with chromium.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN") as context:
        page = context.new_page()
        page.goto(f"{address}/retention?lang=zh_CN&theme=dark")
        page.get_by_role("link", name="获客成本回收").click()
        costs = page.get_by_label("每行一个渠道和月份")
        costs.fill("store,2017-01,300\nshop,2017-02,9")
        page.get_by_role("button", name="保存成本").click()
        assert "line 2" in page.get_by_role("alert").inner_text()
        costs.fill(costs.input_value().replace("shop,2017-02,9", "store,2017-02,100"))
        page.get_by_role("button", name="保存成本").click()
        assert "录入 2 条" in page.get_by_role("status").first.inner_text()
        assert page.get_by_role("row", name="门店").get_by_text("第 0 月").first.is_visible()
        page.wait_for_load_state()
        assert axe_playwright.Axe().run(page).response["violations"] == []
        costs.fill("store,2017-01,\nstore,2017-02,")
        page.get_by_role("button", name="保存成本").click()
        assert "尚未录入获客成本" in page.inner_text("main")


def test_backtests_of_two_runs_are_beside_nothing_as_their_names_need_the_width(address):
    page = httpx.get(f"{address}/runs/compare?before=2017-07-01&now=2017-10-01", timeout=30).text
    grid, found, _ = page.partition('<div class="columns">')[2].partition('id="of-metric"')
    assert found
    assert 'id="of-total"' in grid
    assert grid.count("</div>") == grid.count("<div") + 1
