"""Errors say what, where and what to do; nothing is half-written, nothing lost, no traceback."""

import json
import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from patron.interfaces.cli.app import app
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop

MAPPING = """
name = "mine"
[[part]]
name = "orders"
event = "Order Line Completed"
[part.columns]
user_id = "who"
occurred_at = "at"
quantity = "qty"
price = "price"
currency = "cur"
"""
HEADER = "who,at,qty,price,cur\n"


@pytest.fixture
def w(new_workspace, tmp_path):
    """A new workspace and a mapping next to it."""
    (tmp_path / "mine.toml").write_text(MAPPING)
    return new_workspace


@pytest.fixture
def bring(patron, w, tmp_path):
    """Import a file of this content by the mapping, or by another one."""

    def bring(content: bytes | str, name: str = "f.csv", mapping: str = "", *options: str):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return patron("import", "--workspace", w, "--mapping", mapping or tmp_path / "mine.toml", path, *options)

    return bring


def refused(ran, *words: str) -> None:
    """Check that a command was refused in a sentence that has these words."""
    assert (ran.code, ran.out) == (1, ""), ran
    for word in (*words, "patron: "):
        assert word in ran.err
    assert "Traceback" not in ran.err


def test_a_run_time_in_the_future_is_refused_and_leaves_no_run(w, patron, bring):
    bring(HEADER + "a,2024-01-01,1,1,USD\n")
    refused(patron("run", "--workspace", w, "--as-of", "2099-01-01"), "2099-01-01", "has not come", "--as-of")
    assert Shop.open(w).snapshot() is None


def test_a_column_without_a_name_is_left_out(w, bring):
    for start in (0, 7):  # why: the index of pandas, another one in every export
        ran = bring("," + HEADER + f"{start},a,2024-01-01,1,1,USD\n{start + 1},b,2024-01-01,1,2,USD\n")
        assert ran.code == 0, ran
    assert sorted(Shop.open(w).lake.read(EVENTS)["price_cents"].to_pylist()) == [100, 200]
    assert bring(HEADER.strip() + ",,\na,2024-01-02,1,1,USD,,\n").code == 0
    refused(bring(",\na,2024-01-02\n"), "f.csv", "header has no column names")


@pytest.mark.parametrize(
    ("content", "name", "mapping", "words"),
    [
        ("who,at,qty\na,2024-01-01,1\n", "f.csv", "", ["columns cur, price are missing", "Export the file with them"]),
        ("", "f.csv", "", ["the file is empty", "Export it again"]),
        (HEADER, "f.csv", "", ["has a header but no rows"]),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "f.csv", "", ["is not written in utf-8", "encoding"]),
        ("who,at,qty,price,cur\n", "f.parquet", "", ["cannot be read", "fits its file extension"]),
        ('{"who": "a"}\n', "f.jsonl", "", ["columns at, cur, price, qty are missing"]),
        ('[{"who": "a"}]', "f.jsonl", "", ["does not hold one JSON object per line"]),
        (HEADER + "a,2024-01-01,1,1,\n", "f.csv", "cdnow", ["columns customer_id, date, units, value are missing"]),
        (HEADER + "a,2024-01-01,1,1,\n", "f.csv", "patron", ["is not a Parquet file of raw events", "lacks event_id"]),
        (HEADER + "a,2024-01-01,1,1,\n", "f.csv", "nothing-of-the-kind", ["nothing-of-the-kind", "online-retail"]),
    ],
)
def test_a_file_that_is_not_what_its_mapping_says_is_refused_whole(w, bring, content, name, mapping, words):
    refused(bring(content, name, mapping), *words, *([name] if not mapping.startswith("nothing") else []))
    assert not Shop.open(w).lake.exists(EVENTS)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"price"', '{sql = "no_such_function(price)"}', ["cannot be computed", "no_such_function"]),
        ('"price"', '{sql = "price +"}', ["is not SQL"]),
        ('name = "mine"', 'name = "mine"\ntime_zone = "Mars/Base"', ["Mars/Base is not a valid time zone"]),
        ('name = "mine"', 'name = "mine"\ncurrency = "pounds"', ["pounds is not a valid ISO 4217 code"]),
        ('name = "mine"', 'name = "mine"\nformat = "excel"', ["unknown format excel"]),
        ('name = "mine"', 'name = "mine', ["is not a valid mapping"]),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(bring, tmp_path, old, new, words):
    (tmp_path / "mine.toml").write_text(MAPPING.replace(old, new))
    refused(bring(HEADER + "a,2024-01-01,1,1,\n"), *words)


@pytest.mark.parametrize(
    ("row", "reason", "words"),
    [
        ("b,some day,1,1,", "bad_time", "at is not a time the mapping can read; state its format"),
        ("b,2024-01-01,-2,1,", "negative_quantity", "send refunds as refund events or map them in the mapping file"),
        ("b,2024-01-01,99999999999999999999,1,", "bad_quantity", "qty is not a whole number"),
        ("b,2024-01-01,1,1e300,", "bad_number", "price is not a number"),
        ("b,2024-01-01,1,1,XYZ", "unknown_currency", "no rate for XYZ; add one to [rates] in patron.toml"),
        ("b,2024-01-01,1", "bad_row", "another number of columns than the header"),
    ],
)
def test_a_bad_row_is_rejected_with_file_row_and_what_to_do(patron, w, bring, row, reason, words):
    ran = bring(HEADER + f"a,2024-01-01,1,1,\n{row}\nc,2024-01-01,1,1,\n")
    assert ran.code == 3
    assert "1 of 3 rows (33.3%) are faulty, more than --max-rejected 5%; the good rows are stored" in ran.err
    assert "= 2 stored + 0 duplicate + 1 rejected" in ran.out
    assert f"1 {reason}: f.csv line 3: " in ran.out
    assert words in ran.out
    summary = bring(HEADER + "a,2024-01-01\n" + row + "\n", "f.csv", "", "--json").json
    rows = {row["reason"]: row["line"] for row in summary["rejected_rows"]}
    assert rows == {"bad_row": 2, reason: 2 if reason == "bad_row" else 3}
    assert reason in patron("doctor", "--workspace", w).out


def test_an_encoding_and_a_delimiter_can_be_given_where_the_mapping_has_none(bring):
    text = HEADER.replace(",", "~") + "Jürgen~2024-01-01~1~1~\n"
    refused(bring(text.encode("cp1252")), "--encoding")
    assert "1 stored" in bring(text.encode("cp1252"), "f.csv", "", "--encoding", "cp1252", "--delimiter", "~").out


def test_rejected_rows_are_replayed_after_a_fix(patron, w, bring, tmp_path):
    summary = bring(
        HEADER + "a,2024-01-01,1,1,EUR\nb,2024-01-01,1,1,XYZ\nc,2 January 2024,1,1,\n", "f.csv", "", "--json"
    ).json
    assert summary["rejected_by_reason"] == {"bad_time": 1, "unknown_currency": 2}
    replay = ("import", "--workspace", w, "--replay", summary["import_id"], "--json")
    assert f"--replay {summary['import_id']}" in patron("doctor", "--workspace", w).out
    assert patron(*replay).json["rejected_by_reason"] == summary["rejected_by_reason"]
    settings = w / "patron.toml"
    settings.write_text(settings.read_text().replace("# EUR = 1.08", "EUR = 1.08"))
    once = patron(*replay).json
    assert (once["read"], once["stored"], once["rejected"]) == (3, 1, 2)
    fixed = MAPPING.replace('occurred_at = "at"', 'occurred_at = {column = "at", format = ["%Y-%m-%d", "%d %B %Y"]}')
    (tmp_path / "mine.toml").write_text(fixed)
    assert patron(*replay).json["rejected_by_reason"] == {"unknown_currency": 1}
    refused(patron(*replay[:-2], "nothing"), f"Imports with rejected rows: {summary['import_id']} (1)")


def test_rejected_raw_events_are_replayed_too(patron, w, bring):
    rows = pa.table(
        {
            "event_id": ["1", "2"],
            "name": ["Product Viewed"] * 2,
            "occurred_at": pa.array([1_700_000_000_000_000] * 2, pa.timestamp("us", "UTC")),
            "user_id": ["u1", None],
            "anonymous_id": pa.array([None, "v"]),
            "currency": ["EUR", None],
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    summary = bring(sink.getvalue().to_pybytes(), "e.parquet", "patron", "--json").json
    assert (summary["stored"], summary["rejected_by_reason"]) == (1, {"unknown_currency": 1})
    settings = w / "patron.toml"
    settings.write_text(settings.read_text().replace("# EUR = 1.08", "EUR = 1.08"))
    again = patron("import", "--workspace", w, "--replay", summary["import_id"], "--json").json
    assert (again["stored"], again["rejected"]) == (1, 0)
    [one] = [event for event in Shop.open(w).lake.read(EVENTS).to_pylist() if event["currency"]]
    assert one["occurred_at"].timestamp() == 1_700_000_000


@pytest.mark.parametrize("command", [("run", "--as-of", "2024-05-01"), ("import", "--mapping", "cdnow", "x.csv")])
@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("patron.toml", "[shop\n", "is not valid TOML"),
        ("patron.toml", '[shop]\ncurrency = "dollars"\n', "got 'dollars'"),
        ("policy.toml", "[holdout]\nshare = 7\n", "holdout.share"),
    ],
)
def test_broken_settings_are_refused_by_every_command(patron, w, command, file, content, words):
    (w / file).write_text(content)
    refused(patron(*command, "--workspace", w), words, file)
    assert words in patron("doctor", "--workspace", w).out


def test_a_second_process_at_work_is_named(patron, w, bring):
    with Shop.open(w).lock():
        soon = ("--wait", "0.2")
        refused(
            bring(HEADER + "a,2024-01-01,1,1,\n", *soon), f"another process ({os.getpid()}) is at work here", "Wait"
        )
        refused(patron("run", "--workspace", w, "--as-of", "2024-05-01", *soon), "another process")
        refused(patron("backup", "--workspace", w, w.parent / "b.tar.gz", *soon), "another process")
    assert not (w.parent / "b.tar.gz").exists()
    assert bring(HEADER + "a,2024-01-01,1,1,\n").code == 0


def test_a_run_without_orders_is_refused(patron, w, bring):
    refused(
        patron("run", "--workspace", w, "--as-of", "2024-05-01"), "no order of an identified customer", "Import orders"
    )
    bring(HEADER + "a,2024-06-01,1,1,\n")
    refused(patron("run", "--workspace", w, "--as-of", "2024-05-01"), "no order of an identified customer")


HOLD = """
import sys, time
from pathlib import Path
from patron.storage.shop import Shop
with Shop.open(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_command_waits_for_another_process_as_long_as_it_is_told(bring, w):
    rows = HEADER + "a,2024-01-01,1,1,\n"
    command = [sys.executable, "-c", HOLD, str(w), "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        since = time.monotonic()
        refused = bring(rows, "f.csv", "", "--wait", "0")
        assert (refused.code, time.monotonic() - since < 2) == (1, True)
        assert f"another process ({holder.pid}) is at work here" in refused.err
        assert "--wait SECONDS" in refused.err
        assert bring(rows, "f.csv", "", "--wait", "60").code == 0


NOWHERE = [
    ("run",),
    ("import", "--mapping", "cdnow", "x.csv"),
    ("trace", "x"),
    ("sql", "select 1"),
    ("backtest",),
    ("prospects",),
    ("scores", "--total"),
    ("forget", "--user-id", "x", "--yes"),
    ("backup", "x.tar.gz"),
    ("keys", "list"),
]


@pytest.mark.parametrize("command", NOWHERE, ids=lambda command: command[0])
def test_a_refusal_under_json_is_an_object_on_stdout_and_a_sentence_on_stderr(patron, tmp_path, command):
    ran = patron(*command, "--workspace", tmp_path / "nowhere", "--json")
    assert ran.code == 1, ran
    names = {"error", "what", "where", "todo", "code", "values", "todo_code", "todo_values"}
    assert set(ran.json) == names
    assert (ran.json["error"], ran.json["what"]) == ("WorkspaceError", "is not a workspace")
    assert "is not a workspace" in ran.err


@pytest.mark.parametrize("name", sorted(command.callback.__name__.rstrip("_") for command in app.registered_commands))
def test_wrong_usage_under_json_is_an_object_for_every_command(patron, name):
    ran = patron(name, "--json", "--no-such-option")
    assert (ran.code, ran.json["error"]) == (2, "WrongUsage"), ran
    assert "--" in ran.json["what"]


def test_a_path_that_cannot_be_used_is_an_object_under_json(patron, w):
    ran = patron("scores", "--workspace", w, "--out", w / "no" / "s.csv", "--json")
    assert (ran.code, ran.json["where"]) == (1, str(w / "no"))


FULL_DISK = """
import contextlib, io, json, subprocess, sys
from pathlib import Path
from patron.interfaces.cli import main
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)

def patron(*args):
    out, code = io.StringIO(), 0
    sys.argv = ["patron", *map(str, args)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    return code, out.getvalue()

here = Path(sys.argv[1]).parent
bring = ("import", "--workspace", disk / "w", "--mapping", here / "mine.toml", here / "big.csv", "--json")
patron("init", disk / "w")
first = patron(*bring)
subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
print(json.dumps([first, patron(*bring), patron("doctor", "--workspace", disk / "w")]))
"""


def can_mount() -> bool:
    try:
        tried = ["unshare", "-r", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_mount(), reason="this machine lets nobody mount a small disk of his own")
def test_a_full_disk_is_reported_and_the_import_is_completed_when_there_is_room(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "mine.toml").write_text(MAPPING)
    (tmp_path / "disk").mkdir()
    rows = "".join(f"customer {n},2024-01-{n % 28 + 1:02},1,1,\n" for n in range(8_000))
    (tmp_path / "big.csv").write_text(HEADER + rows)
    command = ["unshare", "-r", "-m", sys.executable, "-c", FULL_DISK, str(tmp_path / "disk")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, looked = json.loads(done.stdout)
    assert first[0] == 1, first
    assert "the disk is full" in first[1]
    assert "Free some space" in first[1]
    assert second[0] == 0, second
    summary = json.loads(second[1])
    assert (summary["read"], summary["rejected"]) == (8_000, 0)
    assert summary["stored"] + summary["duplicate"] == 8_000
    assert looked[0] == 0, looked
