"""Last month's forecast was wrong: by how much, and what has changed since."""

import pyarrow as pa
import pytest
import sqlalchemy as sa
from tests.support.shops.made_shop import LAST
from tests.support.shops.team_shop import colleague

from patron.schema.access.access_rights import Role
from patron.schema.tables import BY_NAME
from patron.storage.store.store import RUNS

ANN = colleague("Ann", Role.ANALYST)
CHECKS = BY_NAME["forecast_checks"]


@pytest.fixture(scope="module")
def address(team, serve):
    """A console in whose last run the value of customers turned out to be a third too high."""
    shop = team[0]
    rows = shop.lake.read(CHECKS).to_pylist()
    missed = {"bias_share": 0.333, "bias_low": 0.271, "bias_high": 0.395}
    rows = [row | (missed if (row["question"], row["decile"]) == ("value", 0) else {}) for row in rows]
    version = shop.lake.replace(CHECKS, pa.Table.from_pylist(rows, schema=CHECKS.schema()), part=LAST.run_id)
    with shop.store.begin() as connection:
        one = RUNS.c.run_id == LAST.run_id
        versions = connection.scalar(sa.select(RUNS.c.table_versions).where(one))
        connection.execute(sa.update(RUNS).where(one).values(table_versions={**versions, CHECKS.name: version}))
    return serve(ANN)


def test_a_forecast_that_missed_is_found_with_what_changed_since(walk, address):
    walk.say("Ann")
    walk.open(address)
    walk.navigate("models")
    turn_to(walk, "models.tab.ledger")
    ledger = walk.section("ledger.title")
    row = ledger.get_by_role("row").filter(has=walk.page.get_by_role("rowheader", name=walk.t("question.value"))).first
    assert "33.3%" in row.inner_text(), "how far it was off"
    assert "27.1%" in row.inner_text(), "and that this is more than chance"
    turn_to(walk, "models.tab.drift")
    changed = walk.page.get_by_role("figure").filter(has_text=walk.t("chart.drift.title"))
    assert walk.t.feature("days_since_last_order") in changed.first.inner_text() + changed.first.inner_html()


def turn_to(walk, tab: str) -> None:
    """Open a tab of the pages about models; where these are one page, everything is on it."""
    if tab in walk.t.texts:
        walk.follow(tab)
