"""Looking back at a run shows, to the byte, what was shown while it was the last one."""

import copy
from contextlib import closing
from datetime import timedelta

import pytest
import sqlalchemy as sa
from workspace_copies import copy_workspace

from direct_client import DirectClient
from patron.commands.data.simulated_loop import ingest_events
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.run import run_loop
from patron.schema.access.access_rights import Action, Actor, Area, Right
from patron.storage.runs.last_run import last_run
from patron.storage.runs.past_shop import PastShop, past_shop
from patron.storage.runs.snapshot import Past
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from patron.storage.store.store_metadata import METADATA

pytestmark = pytest.mark.xdist_group("one run")  # with others that go on from the same workspace
RIGHTS = frozenset(Right(action, area) for action in Action for area in Area)
ANALYST = Actor("Ann (user a1)", RIGHTS, user_id="a1", email="ann@example.org")
OF_TODAY = (
    "/api/ingestion",  # counts the last 30 days
    "/api/audit",
    "/api/today",  # the set-up list
    "/api/recommendations",  # lists are made as shoppers request them
    "/api/recommendations/preview",
    "/api/questions/ask",
)
"""Answers that no run keeps."""


@pytest.fixture(scope="module")
def two_runs(shop_after_one_run, tmp_path_factory):
    """A shop as its first run left it, and the same shop twenty days and a run later."""
    folder = tmp_path_factory.mktemp("two_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", shop_after_one_run.key)
        before = Shop.open(copy_workspace(shop_after_one_run.folder, folder / "before"))
        now = Shop.open(copy_workspace(shop_after_one_run.folder, folder / "now"))
        world = copy.deepcopy(shop_after_one_run.world)
        ingest_events(now, world.advance(world.now + timedelta(days=20)), received_at=world.now)
        run_loop(now, world.now)
        with closing(before), closing(now):
            yield before, now


def addresses(client, shop):
    """Addresses of every list, and of some of what is in them."""
    view = last_run(shop)
    ids = view.query("select customer_id from segments order by lifecycle_stage, customer_id limit 3")
    decided = view.query("select decision_id from decisions order by decision_id limit 1")["decision_id"].to_pylist()
    lists = [r.path for r in client.routes if "GET" in r.methods and r.path.startswith("/api/") and "{" not in r.path]
    details = [
        f"/api/customers/{customer_id}{part}"
        for customer_id in ids["customer_id"].to_pylist()
        for part in ("", "/timeline")
    ]
    details += [f"/api/decisions/{one}" for one in decided] + [f"/api/runs/{view.run.run_id}"]
    details += ["/api/customers?stage=at_risk", "/api/retention?by=channel&measure=net"]
    return [list_ for list_ in lists if list_ not in OF_TODAY] + details


def different(before, now, run_id):
    """Addresses that do not show what they showed."""
    then, client = DirectClient(before, ANALYST), DirectClient(now, ANALYST)
    listed = addresses(then, before)
    assert len(listed) > 40
    as_of = {one: f"{one}{'&' if '?' in one else '?'}as_of={run_id}" for one in listed}
    return [one for one in listed if then.get(one).content != client.get(as_of[one]).content]


def test_every_answer_is_what_it_was_while_the_run_was_the_last_one(two_runs):
    before, now = two_runs
    run = last_run(before).run
    assert last_run(now).run.as_of > run.as_of
    assert past_shop(now, run.run_id).newest_snapshot().past is Past.EXACT
    assert different(before, now, run.run_id) == []


def test_so_it_is_once_the_runs_own_facts_are_gone(two_runs, monkeypatch):
    before, now = two_runs
    monkeypatch.setattr(PastShop, "_facts", lambda *_: {})
    run = last_run(before).run
    assert past_shop(now, run.run_id).newest_snapshot().past is Past.REBUILT
    assert different(before, now, run.run_id) == []


def test_nothing_that_became_known_later_is_read(two_runs):
    before, now = two_runs
    run = last_run(before).run
    view = last_run(past_shop(now, run.run_id))
    later = "known_at >= $as_of"
    for name in ("events", "orders", "interactions", "identities"):
        assert now.newest_snapshot().query(f"select 1 from {name} where {later}", {"as_of": run.as_of}).num_rows
        assert view.query(f"select 1 from {name} where {later}", {"as_of": run.as_of}).num_rows == 0
    assert view.query("select distinct run_id from scores")["run_id"].to_pylist() == [run.run_id]


def test_an_erased_customer_is_in_no_past_run(two_runs, tmp_path, monkeypatch, shop_after_one_run):
    before, now = two_runs
    monkeypatch.setenv("PATRON_MASTER_KEY", shop_after_one_run.key)
    run = last_run(before).run
    with closing(Shop.open(copy_workspace(now.folder, tmp_path / "w"))) as shop:
        someone = last_run(shop).query("select min(customer_id) as id from segments")["id"][0].as_py()
        client = DirectClient(shop, ANALYST)
        address = f"/api/customers/{someone}?as_of={run.run_id}"
        assert client.get(address).status_code == 200
        forget(RequestContext.from_name(shop, "Ann", now=last_run(shop).run.as_of), customer_id=someone)
        assert past_shop(shop, run.run_id).newest_snapshot().past is Past.REBUILT
        assert client.get(address).status_code == 404
        assert client.get(f"/api/overview?as_of={run.run_id}").status_code == 200


def test_looking_back_writes_no_table(two_runs):
    _, now = two_runs
    client, run_id = DirectClient(now, ANALYST), last_run(two_runs[0]).run.run_id
    with now.store.begin() as connection:
        counts = {
            name: connection.scalar(sa.select(sa.func.count()).select_from(table))
            for name, table in METADATA.tables.items()
        }
    for page in ("/", "/overview", "/customers", "/watch-list", "/retention"):
        assert client.get(f"{page}?as_of={run_id}").status_code == 200
    with now.store.begin() as connection:
        again = {
            name: connection.scalar(sa.select(sa.func.count()).select_from(table))
            for name, table in METADATA.tables.items()
        }
    assert counts == again
    assert RUNS.name in counts
