"""A whole task in a browser: a segment is built, a campaign planned, approved by somebody else, sent, and measured."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from queue import Queue

import pyarrow as pa
import pytest
import sqlalchemy as sa
from tests.conftest import customer_id
from tests.interfaces.console.test_browser import chromium, page, violations  # noqa: F401 - fixtures
from tests.support.campaign_shop import load, with_mail_server
from tests.support.mail_server import mail_server
from tests.support.workspace_copies import copy_workspace

from patron.commands.send_campaign import send_campaign
from patron.govern.vault import Vault
from patron.interfaces.console.screenshots import served
from patron.schema.access_rights import Actor, Role, rights_of_user
from patron.schema.tables import BY_NAME, IDENTITIES
from patron.storage.shop import POLICY_FILE, Shop
from patron.storage.store import RUNS

pytestmark = pytest.mark.browser
PEOPLE = 60
SEEN_AT = datetime(2017, 8, 1, tzinfo=UTC)
POLICY = '[messages]\nquiet_hours = []\ncaps = []\n[consent]\nunknown = "allow"\n[budget]\namount = 100000.00\n'
POLICY += '[[offers]]\nid = "TEN"\ndiscount_share = 0.1\nassumed_purchase_uplift = 0.3\n'


def person(name: str, *roles: Role) -> Actor:
    return Actor(f"{name} (user {name.encode().hex()})", rights_of_user(roles), user_id=name.encode().hex())


ANN, BO = person("Ann", Role.MARKETER), person("Bo", Role.APPROVER)


@pytest.fixture
def shop(made_shop, tmp_path):
    """A copy of the shop whose first customers have addresses, as its last run knows them."""
    with closing(Shop.open(copy_workspace(made_shop.folder, tmp_path / "shop"))) as copied:
        (copied.folder / POLICY_FILE).write_text(POLICY, encoding="utf-8")
        with_addresses(copied)
    return copied.folder


@pytest.fixture
def mail():
    """A mail server in a thread of its own: the browser's driver has a loop in this one."""
    servers, stop = Queue(), threading.Event()

    def serve() -> None:
        with mail_server() as server:
            servers.put(server)
            stop.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    yield servers.get(timeout=20)
    stop.set()
    thread.join()


def send(shop: Shop, name: str) -> None:
    """Send what is due, in a thread, as the server does."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(send_campaign, shop, name, now=datetime.now(UTC) + timedelta(days=1)).result()


def with_addresses(shop: Shop) -> None:
    names = [f"u{number}" for number in range(PEOPLE)]
    base = {"name": "Identify", "occurred_at": SEEN_AT}
    load(
        shop,
        [
            base
            | {"event_id": f"who-{name}", "user_id": name}
            | {"personal": json.dumps({"email": f"{name}@people.example", "first_name": "Nina"})}
            for name in names
        ],
    )
    vault = Vault.open(shop)
    rows = [
        {
            "token": vault.token("user_id", name),
            "customer_id": customer_id(number),
            "is_user": True,
            "known_at": SEEN_AT,
        }
        for number, name in enumerate(names)
    ]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(rows, schema=IDENTITIES.schema()))
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        newest = sa.select(sa.func.max(RUNS.c.run_id)).scalar_subquery()
        connection.execute(sa.update(RUNS).where(RUNS.c.run_id == newest).values(table_versions=versions))


def test_a_segment_becomes_a_campaign_that_somebody_else_approves_and_that_is_measured(shop, page, mail):  # noqa: F811
    page.set_default_timeout(10_000)
    with ExitStack() as stack:
        opened = stack.enter_context(closing(with_mail_server(Shop.open(shop), mail.port)))
        ann, bo = (stack.enter_context(served(opened, one)) for one in (ANN, BO))
        page.goto(f"{ann}/campaigns/new?lang=en")
        page.get_by_label("Name", exact=True).first.fill("autumn hello")
        page.get_by_text("Build a segment here").click()
        page.get_by_role("button", name="Add a condition").click()
        page.get_by_label("What it is about").select_option(label="Expected revenue, 90 days")
        page.get_by_label("Value", exact=True).fill("1")
        counted = page.locator(".rule-count b")
        counted.filter(has_text=re.compile(r"^\d+ customers")).wait_for()
        page.locator("[name=segment_name]").fill("buyers of autumn")
        page.get_by_role("button", name="Save segment").click()
        assert page.get_by_role("status").inner_text() == "The segment “buyers of autumn” is saved and chosen."
        assert page.get_by_label("Name", exact=True).first.input_value() == "autumn hello", "nothing is lost"
        page.locator("[name=offers]").check()
        page.locator("[name=budget]").fill("5000")
        page.locator("[name=holdout]").fill("40")
        page.locator("[name=start]").fill("2017-09-01T09:00")
        page.locator("[name=end]").fill("2099-01-01T09:00")
        page.locator("[name=subject_en]").fill("Autumn, {{ customer.first_name | default: 'you' }}")
        page.frame_locator("iframe").first.get_by_text("Autumn, [first_name]").wait_for()
        page.get_by_role("button", name="Save draft").click()
        page.get_by_role("button", name="Plan it").click()
        assert "Customers written to" in page.inner_text("main")
        page.get_by_role("link", name="Review and approve").click()
        assert page.get_by_role("button", name="Approve version 1").count() == 0, "its author does not approve it"

        page.goto(f"{bo}/campaigns/autumn%20hello/approval?lang=en")
        assert violations(page) == []
        page.frame_locator("iframe").first.get_by_text("Autumn, [first_name]").wait_for()
        page.get_by_role("button", name="Approve version 1").click()
        page.get_by_role("button", name="Continue").click()
        page.get_by_text("Approved: it is sent").wait_for()
        send(opened, "autumn hello")

        page.goto(f"{ann}/campaigns/autumn%20hello?lang=en")
        sent = int(re.match(r"(\d+) of \d+ sent", page.locator("#sending .count").inner_text())[1])
        assert sent == len(mail.messages) > 5
        page.get_by_role("link", name="Result").click()
        page.get_by_role("button", name="Measure now").click()
        assert page.locator("#learned").inner_text().startswith("So far ")
        arms = page.get_by_role("group", name="Arms").inner_text()
        assert "Holdout" in arms
        assert violations(page) == []
        assert page.complaints == []


def test_a_rule_is_built_in_chinese_on_a_phone(made_shop, chromium):  # noqa: F811
    page = chromium.new_page(viewport={"width": 390, "height": 844}, locale="zh-CN")  # noqa: F811
    with served(made_shop, ANN) as address:
        page.goto(f"{address}/segments/new?lang=zh_CN")
        page.get_by_role("button", name="添加条件", exact=True).click()
        page.get_by_label("条件对象").select_option(label="未来 90 天流失概率")
        page.get_by_label("值", exact=True).fill("40")
        page.get_by_role("button", name="添加条件", exact=True).click()
        row = page.locator(".rule-row").nth(1)
        row.get_by_label("满足或排除").select_option(label="排除")
        row.get_by_label("条件对象").select_option(label="购买过")
        row.get_by_label("添加一个值").select_option(label="Bakery")
        page.locator(".rule-count b").filter(has_text="位客户").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert violations(page) == []
        page.get_by_label("名称").fill("流失预警客群")
        page.get_by_role("button", name="保存分群").click()
        assert page.locator("h1").inner_text() == "流失预警客群"
        rule = page.locator(".rule-outline").inner_text()
        assert "未来 90 天流失概率不低于 40%" in rule
        assert re.search("排除.购买过品类 Bakery.近 90 天内", rule)
    page.close()
