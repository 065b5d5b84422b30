import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.console_walk import violations

from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.interfaces.console.mount import PAGES, VISITOR_PAGES
from patron.interfaces.console.screenshots import served
from patron.interfaces.report.html_report import write_report
from patron.schema.access.access_rights import Actor, Role, rights_of_user
from patron.service.compaction_worker import CompactionWorker

ADMIN = Actor("Ada", rights_of_user([Role.ADMIN]))


@pytest.fixture(scope="module")
def address(made_shop):
    with served(made_shop, ADMIN) as url:
        yield url


@pytest.fixture
def page(chromium):
    opened = chromium.new_page(viewport={"width": 1280, "height": 900})
    opened.complaints = []
    opened.on("console", lambda message: opened.complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    yield opened
    opened.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_every_component_is_accessible_in_every_language_and_theme(page, address, locale, theme):
    page.goto(f"{address}/styleguide?lang={locale}&theme={theme}")
    assert violations(page) == []
    assert page.complaints == []


def test_keys_open_pages_find_customers_and_list_themselves_until_they_are_switched_off(page, address):
    page.goto(f"{address}/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.locator("h1").click()
    page.keyboard.press("?")
    page.locator("#keys [data-keys]").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") != "find"
    page.evaluate("localStorage.clear()")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/customers")
    page.locator("#results tbody a").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/*")
    assert page.complaints == []


def test_rows_are_picked_counted_and_acted_on_only_after_the_question_was_answered(page, address):
    page.goto(f"{address}/styleguide")
    bar = page.locator(".bulk-bar")
    assert not bar.is_visible()
    page.locator("[data-pick-all]").check()
    assert bar.locator("output").inner_text() == "3 selected"
    page.locator("[data-pick]").first.uncheck()
    assert bar.locator("output").inner_text() == "2 selected"
    assert page.evaluate("document.querySelector('[data-pick-all]').indeterminate")
    posted = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    erase = page.locator("form:has([data-confirm]) button").first
    erase.click()
    page.locator("#confirm button").first.click()
    assert posted == []
    erase.click()
    with page.expect_request(lambda request: request.method == "POST"):
        page.locator("#confirm button[value=yes]").click()


def test_every_page_is_reached_from_the_menu_of_a_phone_without_scripts(chromium, address):
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"{address}/")
    links = page.locator("#nav a")
    assert not links.first.is_visible()
    page.locator("[popovertarget=nav]").click()
    assert {link.get_attribute("href") for link in links.all() if link.is_visible()} == {*PAGES.values()}
    page.locator("#nav a[href='/models']").click()
    page.wait_for_url("**/models")
    page.locator(".languages summary").click()
    page.locator(".languages a[lang=zh-CN]").click()
    page.wait_for_url("**/models?lang=zh_CN")
    context.close()


def test_a_customers_page_is_accessible_and_reached_by_a_click(page, address):
    page.goto(f"{address}/customers")
    page.locator("#results tbody a").first.click()
    page.wait_for_url("**/customers/*")
    assert violations(page) == []
    assert page.complaints == []


def test_filters_swap_the_results_and_the_address_and_back_undoes_it(page, address):
    page.goto(f"{address}/customers")
    before = page.locator("#results .count").inner_text()
    page.select_option("select[name=lifecycle_stage]", "lapsed")
    page.wait_for_url("**/customers?*lifecycle_stage=lapsed*")
    page.wait_for_function("before => document.querySelector('#results .count').innerText !== before", arg=before)
    assert set(page.locator("#results tbody .pill").all_inner_texts()) == {"Lapsed"}
    page.go_back()
    page.wait_for_function("before => document.querySelector('#results .count').innerText === before", arg=before)
    assert page.complaints == []


def test_the_list_works_without_scripts(chromium, address):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/customers")
    page.select_option("select[name=lifecycle_stage]", "at_risk")
    page.locator(".filters button").click()
    page.wait_for_url("**/customers?*lifecycle_stage=at_risk*")
    assert set(page.locator("#results tbody .pill").all_inner_texts()) == {"At risk"}
    context.close()


SQUEEZED = """() => { const lines = e => { const all = document.createRange(); all.selectNodeContents(e);
  return all.getClientRects().length; };
  return [...document.querySelectorAll('main *')].filter(e => {
  const own = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const room = box.width - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return own.length > 2 && box.width > 2 && !e.closest('svg') && style.display !== 'inline'
    && room < 2 * parseFloat(style.fontSize) && lines(e) > 2;
}).map(e => e.outerHTML.slice(0, 120)); }"""
"""Elements whose text stands in a column of one character."""
HIDDEN = """() => [...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1
  && getComputedStyle(e).overflowX === 'auto' && !getComputedStyle(e).backgroundImage.includes('gradient')
  && e.tagName !== 'PRE').map(e => e.outerHTML.slice(0, 120))"""
"""Elements with something to scroll to, and no sign of it."""
DRAWN = """() => [...document.querySelectorAll('svg.chart')].map(e => e.getBoundingClientRect()).filter(b => b.width)
  .map(b => Math.round(b.width))"""
"""Widths of the charts that are seen."""


def test_the_watch_list_and_the_customers_hide_no_column_on_a_phone(chromium, address):
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    for path, column in (("/watch-list", "Value at risk"), ("/customers", "Paid")):
        page.goto(f"{address}{path}")
        cell = page.locator(f"table.cards td[data-label='{column}']").first
        box = cell.bounding_box()
        assert cell.is_visible()
        assert box["x"] + box["width"] <= 390
    page.close()


def test_each_language_takes_its_own_quotation_marks(page, address):
    def fonts(locale):
        page.goto(f"{address}/?lang={locale}")
        return page.evaluate("getComputedStyle(document.body).fontFamily")

    english, chinese = fonts("en"), fonts("zh_CN")
    assert not {name for name in ("CJK", "PingFang", "YaHei", "Noto Sans SC") if name in english}
    assert chinese.startswith('"PingFang SC"')


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_the_report_is_accessible_and_asks_for_nothing(page, made_shop, tmp_path, locale):
    path = write_report(made_shop, Path(tmp_path) / "report.html", locale).path
    urls = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(path.as_uri())
    assert violations(page) == []
    assert page.complaints == []
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []


@pytest.fixture
def shop_with_dead_letter(shop):
    """A shop that rejected one order of a live client: it has no rate for the order's currency."""
    rules = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)
    order = {"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1"}
    body = {"batch": [order | {"properties": {"order_id": "o1", "revenue": 5, "currency": "XXX"}}]}
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(json.dumps(body).encode(), "web", datetime.now(UTC), rules)])
    CompactionWorker(shop).run_once()
    return shop


OPEN_MENUS = "f => { for (let d = f; d; d = d.parentElement) if (d.localName === 'details') d.open = true }"


def test_every_form_of_every_page_is_answered_by_a_click(page, shop_with_dead_letter, made_shop):
    clicked = set()
    for shop in (made_shop, shop_with_dead_letter):
        with served(shop, ADMIN) as url:
            for path in set(VISITOR_PAGES.values()) - {"/", "/runs"}:  # why: their forms start work and dismiss steps
                page.goto(f"{url}{path}")
                for at in range(page.locator("main form:not(.bulk)").count()):
                    page.goto(f"{url}{path}")
                    form = page.locator("main form:not(.bulk)").nth(at)
                    form.evaluate(OPEN_MENUS)
                    for field in form.locator("input[required]").all():
                        is_day = field.get_attribute("type") == "date"
                        field.fill("2017-07-01" if is_day else "nobody at all")
                    action = form.get_attribute("action")
                    with page.expect_response(lambda one, action=action: action in one.url) as answered:
                        form.locator("button").click()
                    assert answered.value.status in {200, 303}, action
                    clicked.add(action)
    lists = {"/customers", "/decisions", "/experiments", "/overview", "/recommendations", "/retention", "/watch-list"}
    assert clicked >= {*lists, "/ingestion/replay"}


def test_who_is_not_known_is_said_on_the_list(page, address):
    page.goto(f"{address}/customers")
    page.locator("#find").fill("nobody at all")
    page.keyboard.press("Enter")
    page.locator("main [role=alert]").wait_for(timeout=10_000)
    assert page.url.endswith("/customers/lookup")


def test_dead_letters_are_tried_again_by_a_click(page, shop_with_dead_letter):
    with served(shop_with_dead_letter, ADMIN) as url:
        page.goto(f"{url}/ingestion")
        page.locator("form[action='/ingestion/replay'] button").click()
        page.wait_for_url("**/ingestion?replayed=*", timeout=10_000)
        assert page.locator("[role=status]").is_visible()


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_values_of_a_chart_are_those_of_its_table_at_the_pointer_a_finger_and_by_keys(page, address, locale):
    page.goto(f"{address}/overview?lang={locale}")
    figure = page.locator("figure:has([data-values])").first
    cells = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    rows = figure.locator("tbody tr").evaluate_all(cells)
    picture, tip = figure.locator("[data-values]:visible"), figure.locator(".value-tip:visible")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    assert tip.locator("b").all_inner_texts() == rows[-1]
    page.mouse.move(1, 1)
    assert tip.count() == 0
    picture.focus()
    for key, row in (("ArrowRight", 1), ("End", -1), ("Home", 0)):
        page.keyboard.press(key)
        assert tip.locator("b").all_inner_texts() == rows[row], key
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert tip.count() == 0
    picture.dispatch_event("pointerdown", {"clientX": box["x"] + box["width"] / 2, "clientY": box["y"] + 20})
    assert tip.locator("b").all_inner_texts() in rows
    assert page.complaints == []


def test_a_chart_is_drawn_for_the_screen_that_its_reader_has(chromium, address):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/overview")
    assert page.locator(".drawn-wide").count() == page.locator(".drawn-narrow").count() > 0
    wide = page.locator(".drawn-wide").count()
    for width, drawn, other in ((1280, ".drawn-wide", ".drawn-narrow"), (390, ".drawn-narrow", ".drawn-wide")):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(
            "screen => document.cookie.includes(screen)", arg=f"screen={drawn.removeprefix('.drawn-')}"
        )
        page.goto(f"{address}/overview")
        assert (page.locator(f"{drawn}:visible").count(), page.locator(other).count()) == (wide, 0), width
    page.set_viewport_size({"width": 1280, "height": 900})
    assert page.locator(".drawn-narrow:visible").count() == wide
    context.close()
