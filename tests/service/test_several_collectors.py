"""Several collectors share an inbox on PostgreSQL: nothing is lost, nothing comes twice, whoever dies."""

import json
import multiprocessing
import os
import signal
import threading
import time
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from tests.support.accept_until_killed import NOW, OPEN, accept_until_killed, messages

from patron.collect.inbox.workspace_inbox import collector_state, open_inbox
from patron.collect.loader import load_events
from patron.collect.request import validate_batch
from patron.commands.access.manage_keys import create_key
from patron.commands.privacy.export import export_customer
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.interfaces.http.server.listening import Place, claim_place
from patron.schema.errors import NotFound, PatronError, SettingsError, WorkspaceError
from patron.schema.tables import EVENTS
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionWorker
from patron.service.customer_lookup import lookup_customer
from patron.storage.shop import Shop


def place(tmp_path, name, postgres_url):
    """A folder whose store and inbox are the server's: a machine next to others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_STORE_URL", postgres_url)
        Shop.create(tmp_path / name).close()
    settings = tmp_path / name / "patron.toml"
    text = f'store_url = "{postgres_url}"\ninbox_url = "{postgres_url}"\n'
    settings.write_text(text + settings.read_text(encoding="utf-8"), encoding="utf-8")
    return Shop.open(tmp_path / name)


@pytest.fixture
def places(tmp_path, monkeypatch, postgres_url):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shops = [place(tmp_path, name, postgres_url) for name in ("main", "edge")]
    yield shops
    for shop in shops:
        shop.close()


def run_once(shop):
    worker = CompactionWorker(shop)
    worker.run_once()
    assert worker.trouble is None


def test_what_any_of_them_accepts_is_in_the_lake_once_and_in_the_profile_at_once(places):
    main, _ = places
    collectors = [Collector(one) for one in places]
    for collector in collectors:
        collector.start()
    arrivals = [(n % 2, f"m{n % 40}") for n in range(120)]
    threads = [
        threading.Thread(
            target=lambda of=of: [collectors[of].accept(messages(i)).result(10) for to, i in arrivals if to == of]
        )
        for of in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lookup_customer(main, "u1", now=NOW).live.event_count == 40
    [counted] = collector_state(main).counters
    assert (counted.stored, counted.duplicate) == (40, 80)
    run_once(main)
    for collector in collectors:
        collector.stop()
    assert sorted(main.lake.read(EVENTS)["event_id"].to_pylist()) == sorted(f"m{n}" for n in range(40))
    assert lookup_customer(main, "u1", now=NOW).live.event_count == 40
    with open_inbox(main) as inbox:
        assert inbox.pending_requests(after=0) == []


def test_killed_at_any_time_what_a_collector_acknowledged_is_in_the_lake_once(places):
    main, edge = places
    acknowledged = []
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([accept_until_killed.__module__])
    for run in range(4):
        children = []
        for shop in (main, edge):
            here, there = context.Pipe(duplex=False)
            named = f"{shop.folder.name}{run}"
            child = context.Process(target=accept_until_killed, args=(shop.folder, named, dict(os.environ), there))
            child.start()
            there.close()
            children.append((child, here))
        while not all(here.poll() for _, here in children):
            run_once(main)
        until = time.monotonic() + 0.2 * run
        while time.monotonic() < until:
            run_once(main)
        for child, here in children:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            while here.poll():
                try:
                    acknowledged += here.recv()
                except EOFError:
                    break
    run_once(main)
    found = main.lake.read(EVENTS)["event_id"].to_pylist()
    assert len(acknowledged) > 50
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)


def test_who_is_forgotten_leaves_the_shared_inbox_too(places):
    main, edge = places
    with open_inbox(edge) as inbox:
        inbox.append([messages("a"), messages("b", user="u2")])
    forget(RequestContext.from_name(main, now=datetime.now(UTC)), user_id="u1")
    with open_inbox(edge) as inbox:
        inbox.append([messages("c")])
        assert len(inbox.pending_requests(after=0)) == 1
    with pytest.raises(NotFound):
        lookup_customer(main, "u1", now=NOW)
    run_once(main)
    assert main.lake.read(EVENTS)["event_id"].to_pylist() == ["b"]


def test_a_server_that_goes_away_is_trouble_that_passes(places):
    collector = Collector(places[0])
    collector.start()
    collector.accept(messages("a")).result(10)
    pid = collector.writer._inbox.backend.execute("select pg_backend_pid()").fetchone()[0]
    with open_inbox(places[1]) as other:
        other.backend.execute("select pg_terminate_backend(%s)", (pid,))
    with pytest.raises(PatronError, match="the server refused"):
        collector.accept(messages("b")).result(10)
    until = time.monotonic() + 10
    verdicts = None
    while verdicts is None and time.monotonic() < until:
        try:
            verdicts = collector.accept(messages("b")).result(10)
        except PatronError:
            time.sleep(0.05)
    collector.stop()
    assert verdicts.stored == 1


def test_only_the_workspace_whose_lake_it_is_moves_the_inbox(places):
    main, edge = places
    with open_inbox(edge) as inbox:
        inbox.append([messages("a")])
    run_once(main)
    with open_inbox(edge) as inbox:
        inbox.append([messages("b")])
    for ask in (
        lambda: export_customer(RequestContext.from_name(edge, now=datetime.now(UTC)), user_id="u1"),
        lambda: forget(RequestContext.from_name(edge, now=datetime.now(UTC)), user_id="u1"),
    ):
        with pytest.raises(WorkspaceError, match="lake of another workspace"):
            ask()
    worker = CompactionWorker(edge)
    worker.run_once()
    assert "lake of another workspace" in str(worker.trouble)
    run_once(main)
    assert sorted(main.lake.read(EVENTS)["event_id"].to_pylist()) == ["a", "b"]


def test_a_shop_that_comes_to_a_shared_inbox_late_stores_nothing_twice(places):
    main, edge = places
    create_key(RequestContext.from_name(main, now=datetime.now(UTC)), "web")
    rows = [{"event_id": "a", "name": "Product Viewed", "occurred_at": NOW, "user_id": "u1", "product_id": "p1"}]
    load_events(main, pa.Table.from_pylist(rows), source="web", known="occurred", received_at=NOW)
    with open_inbox(edge) as inbox:
        assert inbox.append([messages("a", "b")])[0].stored == 2
    run_once(main)
    assert sorted(main.lake.read(EVENTS)["event_id"].to_pylist()) == ["a", "b"]
    [counted] = collector_state(main).counters
    assert (counted.stored, counted.duplicate) == (1, 1)
    assert lookup_customer(main, "u1", now=NOW).live.event_count == 2
    with open_inbox(edge) as inbox:
        assert inbox.append([messages("a")])[0].duplicate == 1


def test_a_value_that_would_break_an_index_of_the_server_is_rejected_before(places):
    main, _ = places
    consent = {"type": "track", "event": "Consent Given", "messageId": "c", "anonymousId": "v1"}
    body = {"batch": [consent | {"timestamp": NOW.isoformat(), "properties": {"purpose": "p" * 9_000}}]}
    with open_inbox(main) as inbox:
        verdict, _ = inbox.append([validate_batch(json.dumps(body).encode(), "web", NOW, OPEN), messages("a")])
    assert verdict.rejected == 1
    rows = [{"event_id": "f", "name": "Consent Given", "occurred_at": NOW, "user_id": "u1", "properties": None}]
    rows[0]["properties"] = json.dumps({"purpose": "q" * 9_000})
    load_events(main, pa.Table.from_pylist(rows), source="file", known="occurred", received_at=NOW)
    run_once(main)
    assert sorted(main.lake.read(EVENTS)["event_id"].to_pylist()) == ["a", "f"]


def test_what_waits_in_the_file_is_not_left_behind(places):
    main, _ = places
    settings = main.folder / "patron.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("inbox_url", "# inbox_url"), encoding="utf-8")
    alone = Shop.open(main.folder)
    with open_inbox(alone) as inbox:
        inbox.append([messages("a")])
    with pytest.raises(WorkspaceError, match="still holds 1 requests"):
        open_inbox(main, is_checked=True)
    run_once(alone)
    alone.close()
    open_inbox(main, is_checked=True).close()


def test_to_accept_only_makes_sense_with_a_shared_inbox(shop):
    with pytest.raises(SettingsError, match="inbox_url"), claim_place(shop, Place(port=0, accept_only=True)):
        pass
