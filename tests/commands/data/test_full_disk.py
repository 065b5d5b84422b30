"""Every writer meets a disk that is really full: it refuses, leaves nothing half-written, and works once there is room.

The disk is a small file system of a mount namespace, which Linux lets everybody make; where it does not, it is skipped.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WITHOUT_CONTENT = ("lock", "run lock")
"""Locks hold nothing that must be on disk: whoever makes room can take them."""
MAY_STAY = ("w/locks/", "w/inbox.db")
"""Files that are empty or whole at any time: locks, and a database with its log."""
WRITERS = """
import contextlib, io, json, subprocess, sys
from pathlib import Path

import pyarrow as pa
from tests.support.shops.campaign_shop import (
    AT, NAME, Person, add_people, answer_event, approve, load, messages as message_states, with_policy
)

from patron.collect.inbox.compaction import compact_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.commands.data.backup import backup, restore
from patron.commands.data.doctor import doctor
from patron.commands.data.simulate import simulate
from patron.commands.models.export_scores import ScoresExport, write_scores
from patron.commands.outreach.messages.preview_message import MessagePreview, write_preview
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.commands.privacy.export import write_private
from patron.commands.privacy.forget import forget
from patron.commands.segments.save_segment import save_segment
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import NoSpace, PatronError
from patron.service.collector import Collector
from patron.schema.table_definition import TIME
from patron.schema.tables import CUTOFFS
from patron.storage.models import model_registry
from patron.storage.models.model_registry import Manifest, ModelRecord
from patron.storage.data.sealed_uploads import clear_upload, seal_upload
from patron.storage.safe_csv import write_csv
from patron.storage.shop import Shop
from patron.storage.workspace.work_lock import hold_work_lock

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
shop = with_policy(Shop.create(disk / "w"))
people = [Person(f"p{n:03d}") for n in range(40)]
add_people(shop, people)
approve(shop, people)
backup(shop, disk / "first.tar.gz")
context = RequestContext.from_name(shop, "Ann", now=AT)
RULES = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=True)
LARGE = "x" * 300_000
numbers = iter(range(10_000))


def batch(number):
    row = {"type": "track", "event": "Product Viewed", "userId": "u", "timestamp": "2024-02-29T11:00:00Z"}
    rows = [row | {"messageId": f"{number}-{n}", "properties": {"product_id": "p" * 200}} for n in range(500)]
    return validate_batch(json.dumps({"batch": rows}).encode(), "web", AT, RULES)


def collect():
    collector = Collector(shop)
    collector.start()
    try:
        collector.accept(batch(next(numbers))).result(20)
    finally:
        collector.stop()


def compact():
    with contextlib.closing(open_inbox(shop)) as inbox:
        if not inbox.pending_count():
            inbox.append([batch(next(numbers))])
    compact_inbox(shop)


def import_events():
    n = next(numbers)
    load(shop, [answer_event(person, f"purpose {n}", is_granted=True, at=AT) for person in people])


def upload():
    seal_upload(shop, "rows.csv", io.BytesIO(LARGE.encode()))


kept = seal_upload(shop, "kept.csv", io.BytesIO(LARGE.encode()))


def open_upload():
    with clear_upload(shop, kept) as path:
        assert path.read_text() == LARGE


def restore_backup():
    restore(disk / "first.tar.gz", disk / "again", now=AT)


def send():
    send_campaign(context, NAME)


def lock():
    with hold_work_lock(shop.folder, "trying", str(next(numbers)), NoSpace("busy")):
        pass


def run_lock():
    with shop.run_lock():
        pass


def simulated():
    simulate(disk / "simulated", customers=300, days=60, seed=1, progress=lambda *_: None)


def append_audit():
    with shop.store.begin() as connection:
        for _ in range(200):
            context.record(connection, AuditAction.EXPORTED, {"note": "y" * 500})


table = pa.table({"customer_id": [str(n) * 40 for n in range(20_000)], "value": list(range(20_000))})
lake_rows = pa.table({"run_id": ["a"] * 50_000, "customer_id": [str(n) * 9 for n in range(50_000)]})
lake_rows = lake_rows.append_column("as_of", pa.array([0] * 50_000, pa.int64()).cast(TIME))


class Fitted:
    def save(self, folder):
        (folder / "model.json").write_text(LARGE)


def save_model():
    manifest = Manifest("value", "v1", "mean", {}, "2024-01-01", 1, "f", {}, 1, "h")
    model_registry.save(shop.folder / "models", shop.store, Fitted(), ModelRecord(manifest, {}, {}, "card"))


writers = {
    "lake": lambda: shop.lake.append(CUTOFFS, lake_rows),
    "model": save_model,
    "collector": collect,
    "compaction": compact,
    "import": import_events,
    "store": lambda: [save_segment(context, {"name": f"s {next(numbers)}", "rule": {"all": []}}) for _ in range(50)],
    "audit log": append_audit,
    "vault": lambda: Vault.open(shop).store_tokens("user_id", pa.array([f"v{next(numbers)}" for _ in range(500)]), AT),
    "lock": lock,
    "run lock": run_lock,
    "upload": upload,
    "opened upload": open_upload,
    "backup": lambda: backup(shop, disk / "second.tar.gz"),
    "restore": restore_backup,
    "scores": lambda: write_scores(export, disk / "scores.csv"),
    "export of a person": lambda: write_private({"a": LARGE}, disk / "person.json"),
    "list": lambda: write_csv(disk / "list.csv", ["a"], [[LARGE]]),
    "preview": lambda: write_preview(preview, disk / "preview.html"),
    "simulation": simulated,
    "send": send,
    "erasure": lambda: forget(context, user_id="p039"),
}
preview = object.__new__(MessagePreview)
object.__setattr__(preview, "html", LARGE)
export = object.__new__(ScoresExport)
object.__setattr__(export, "rows", table)


def fill():
    with open(disk / "filler", "wb", buffering=0) as filler:
        for size in (1 << 20, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while filler.write(b"0" * size) == size:
                    pass


def listing():
    return sorted(str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file())


def attempt(writer):
    try:
        writer()
    except PatronError as refused:
        return [type(refused).__name__, str(refused)]
    except BaseException as error:
        return ["fault", f"{type(error).__name__}: {error}"]
    return ["done", ""]


report = {}
for name, writer in writers.items():
    before = listing()
    fill()
    refused = attempt(writer)
    left = sorted(set(listing()) - set(before) - {"filler"})
    (disk / "filler").unlink()
    again = attempt(writer)
    if again[0] == "done" and name == "send":
        assert set(message_states(shop).values()) == {("sent", "")}, message_states(shop)
    report[name] = [refused, left, again]
    for made in ("second.tar.gz", "scores.csv"):
        (disk / made).unlink(missing_ok=True)
shop.close()
fill()
report["opening"] = [attempt(lambda: Shop.open(disk / "w").close()), [], ["done", ""]]
found = [one for one in doctor(disk / "w") if one.level == "problem"]
report["doctor on it"] = sorted({str(one.todo) for one in found})
(disk / "filler").unlink()
shop = Shop.open(disk / "w")
report["doctor"] = [[one.check, str(one.what)] for one in doctor(shop.folder) if one.level == "problem"]
report["audit"] = audit_log.log_problem(shop)
print(json.dumps(report))
"""


def can_mount() -> bool:
    try:
        tried = ["unshare", "-r", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_mount(), reason="this machine lets nobody mount a small disk of his own")
def test_every_writer_refuses_a_full_disk_leaves_nothing_half_written_and_goes_on_once_there_is_room(tmp_path):
    (tmp_path / "disk").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    command = ["unshare", "-r", "-m", sys.executable, "-c", WRITERS, str(tmp_path / "disk")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.pop("doctor") == []
    assert report.pop("audit") == ""
    assert report.pop("doctor on it") == ["Free some space and run the same command again."]
    refusals = {name: refused[0] for name, (refused, _, _) in report.items()}
    assert refusals == dict.fromkeys(refusals, "NoSpace") | dict.fromkeys(WITHOUT_CONTENT, "done"), report
    assert all("the disk is full" in text for (kind, text), _, _ in report.values() if kind == "NoSpace")
    left = {name: [one for one in left if not one.startswith(MAY_STAY)] for name, (_, left, _) in report.items()}
    assert left == {name: [] for name in report}
    assert {name: again for name, (_, _, again) in report.items()} == {name: ["done", ""] for name in report}
