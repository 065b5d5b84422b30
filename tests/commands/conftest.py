"""A workspace in which one run has finished, made once, and copies of it to break."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from tests.support.made_once import made_once
from tests.support.shops.campaign_shop import POLICY, Person, add_people

from patron.collect.loader import load_events
from patron.commands.data.init_workspace import create
from patron.run import run_loop
from patron.storage.shop import POLICY_FILE, Shop

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A home with a configuration folder and a workspace in which one run has finished."""
    return made_once(tmp_path_factory, "finished", make_finished)


@pytest.fixture(scope="session")
def finished_with_addresses(tmp_path_factory) -> Path:
    """The same with e-mail addresses of all twenty customers."""
    return made_once(tmp_path_factory, "finished_with_addresses", partial(make_finished, has_addresses=True))


def make_finished(home: Path, *, has_addresses: bool = False) -> None:
    """Load orders of twenty customers in two parts, and run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        create(home / "w")
        shop = Shop.open(home / "w")
        days = [datetime(2024, month, day, tzinfo=UTC) for month in range(1, 6) for day in range(1, 25)]
        columns = {
            "event_id": [f"o{n}" for n in range(len(days))],
            "name": ["Order Completed"] * len(days),
            "occurred_at": days,
            "user_id": [f"u{n % 20}" for n in range(len(days))],
            "revenue_cents": [1000 + n for n in range(len(days))],
        }
        if has_addresses:
            columns["personal"] = [json.dumps({"email": f"u{n % 20}@customers.example"}) for n in range(len(days))]
        orders = pa.table(columns)
        for part in (orders[:60], orders[60:]):
            load_events(shop, part, source="web", known="occurred", received_at=AS_OF)
        run_loop(shop, AS_OF)
        shop.close()


@pytest.fixture(scope="session")
def home_of_two(new_home, tmp_path_factory) -> Path:
    """A home with a workspace that knows ann and ben, and whose policy lets everything be sent."""
    home = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        shutil.copytree(new_home, home, dirs_exist_ok=True)
        (home / "w" / POLICY_FILE).write_text(POLICY, encoding="utf-8")
        shop = Shop.open(home / "w")
        add_people(shop, [Person("ann"), Person("ben")])
        shop.close()
    return home


@pytest.fixture
def message_events():
    """Rounds in the `open_shop` of a test with this store events of messages after a minute, as they do in a shop."""


@pytest.fixture
def open_shop(home_of_two, tmp_path, monkeypatch, request):
    """A copy of that workspace, opened; events of messages are stored in the first round only, as that takes long."""
    if "message_events" not in request.fixturenames:
        monkeypatch.setattr(
            "patron.commands.outreach.journeys.advance_journeys.STORE_EVENTS_AFTER", timedelta(days=365)
        )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    shutil.copytree(home_of_two, tmp_path, dirs_exist_ok=True)
    shop = Shop.open(tmp_path / "w")
    yield shop
    shop.close()


@pytest.fixture
def w(finished, tmp_path, monkeypatch) -> Path:
    """A copy of that workspace to break, with its key."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "w"
