"""The page of the expected season: somebody enters one, is refused, begins with a template, and removes it again."""

from datetime import UTC, datetime

import httpx
import pytest
import sqlalchemy as sa

from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Actor, Role, rights_of_user
from patron.storage.models.season_calendars import season_calendars
from patron.storage.models.season_tables import SEASON_CALENDARS

ADA = Actor("Ada", rights_of_user([Role.ADMIN]))
VIEWER = Actor("Vic", rights_of_user([Role.VIEWER]))
NEXT_YEAR = datetime.now(UTC).year + 1


@pytest.fixture(scope="module")
def address(made_shop):
    with served(made_shop, ADA) as opened:
        yield opened
    with made_shop.store.begin() as connection:
        connection.execute(sa.delete(SEASON_CALENDARS))


def test_somebody_enters_a_season_and_removes_it(address, made_shop, chromium):
    axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    with chromium.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN") as context:
        page = context.new_page()
        page.goto(f"{address}/models?lang=zh_CN&theme=dark")
        page.get_by_role("link", name="季节性").click()
        assert "尚未录入淡旺季" in page.inner_text("main")
        lines = page.get_by_label("每行一段连续的周")
        lines.fill(f"{NEXT_YEAR}-W10,{NEXT_YEAR}-W12,1.5,sure\n{NEXT_YEAR}-W12,{NEXT_YEAR}-W13,0")
        page.get_by_role("button", name="保存").click()
        assert "不在 0.05 至 20 之间" in page.get_by_role("alert").inner_text()
        assert season_calendars(made_shop.store) == []
        lines.fill(lines.input_value().replace("W12,1.5", "W11,1.5").replace(",0", ",0.6"))
        page.get_by_role("button", name="保存").click()
        assert "已录入 2 行" in page.get_by_role("status").first.inner_text()
        row = page.get_by_role("row", name=f"{NEXT_YEAR}-W12 至 {NEXT_YEAR}-W13")
        assert "0.60" in row.inner_text()
        assert "较有把握" in row.inner_text()
        assert lines.input_value().splitlines()[1] == f"{NEXT_YEAR}-W12,{NEXT_YEAR}-W13,0.6,likely"
        assert "上次运行的截止时间为" in page.inner_text("main"), "this run was of 2017"
        page.wait_for_load_state()
        assert axe_playwright.Axe().run(page).response["violations"] == []
        lines.fill("")
        page.get_by_role("button", name="保存").click()
        assert "已删除" in page.get_by_role("status").first.inner_text()


def test_a_template_fills_the_form_names_its_source_and_saves_nothing(address, made_shop):
    before = len(season_calendars(made_shop.store))
    page = httpx.get(f"{address}/models/season?template=fashion", timeout=30).text
    lines = page.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0].splitlines()
    assert len(lines) >= 12
    assert all(line.endswith(",guess") for line in lines)
    assert "U.S. Census Bureau" in page
    assert len(season_calendars(made_shop.store)) == before
    unknown = httpx.get(f"{address}/models/season?template=toys", timeout=30)
    assert unknown.status_code == 200
    assert "guess</textarea>" not in unknown.text


def test_who_may_only_read_sees_no_form(made_shop):
    with served(made_shop, VIEWER) as address:
        assert 'name="season"' not in httpx.get(f"{address}/models/season", timeout=30).text
        refused = httpx.post(f"{address}/models/season", data={"season": ""}, timeout=30)
        assert refused.status_code == 401, "a visitor without the right is asked to sign in"


def test_programs_enter_and_read_it(address):
    with httpx.Client(base_url=address, timeout=30) as client:
        first = f"{NEXT_YEAR}-W20"
        entered = client.post("/api/season", json={"season": f"{first},{first},2"})
        assert entered.json() == {"span_count": 1}
        shown = client.get("/api/season").json()
        assert [(one["first_week"], one["factor"], one["confidence"]) for one in shown["weeks"]] == [
            (first, 2, "likely")
        ]
        assert shown["entered_by"] == "Ada"
        refused = client.post("/api/season", json={"season": f"{first},{first},99"})
        assert refused.status_code == 422
        assert "line 1" in refused.text
