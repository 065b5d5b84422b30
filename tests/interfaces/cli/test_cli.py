"""The command line as a person or a program meets it: every command on one small workspace."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer

from patron.answers.customers.prospects import Prospect, Prospects
from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.interfaces.cli.app import GROUPS, app
from patron.interfaces.cli.data.run_commands import parse_time
from patron.interfaces.cli.data.run_summary import show_run
from patron.interfaces.cli.render import show_prospects
from patron.run import run_loop
from patron.schema.models.questions import QUESTION_BY_NAME
from patron.storage.shop import Shop

pytestmark = pytest.mark.xdist_group("cli")  # one workspace for all of them
NAMES = sorted(command.name for command in app.registered_commands)
AS_OF = "2024-05-30"
BACKTEST_KEYS = [
    "question",
    "origin",
    "learner",
    "champion",
    "metric",
    "value",
    "low",
    "high",
    "baseline",
    "baseline_value",
]


@pytest.fixture(scope="module")
def home(patron, tmp_path_factory):
    """A folder with a simulated shop's events, imported into the workspace `w` and run once, by commands only.

    What the run printed is in `run.txt`.
    """
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        w, simulated = folder / "w", folder / "simulated"
        for command in (
            ("init", w, "--name", "Corner"),
            ("simulate", "--out", simulated, "--customers", 250, "--days", 150, "--seed", 3),
            ("import", "--workspace", w, "--mapping", "patron", simulated / "events.parquet"),
            ("run", "--workspace", w, "--as-of", AS_OF),
        ):
            ran = patron(*command)
            assert (ran.code, ran.err) == (0, ""), ran
        (folder / "run.txt").write_text(ran.out, "utf-8")
        yield folder


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_every_command_shows_an_example(patron, name):
    ran = patron(name, "--help")
    assert ran.code == 0
    assert f"Example: patron {name} " in ran.out


def test_the_help_groups_commands_by_what_people_do(patron):
    shown = patron("--help").out
    places = [shown.index(f"─ {heading} ─") for heading in GROUPS]
    assert places == sorted(places)
    assert list(GROUPS) == ["Start", "Data", "Run", "Look", "Models", "People", "Operate", "Campaigns"]


def test_the_commands_that_programs_rely_on_are_there():
    named = "demo init import run backtest prospects report scores serve simulate sql trace export forget backup"
    assert {*named.split(), "restore", "doctor"} <= set(NAMES)


def test_wrong_usage_is_exit_code_2_and_a_version_is_known(patron):
    assert patron("nonsense").code == 2
    assert patron("run", "--as-of", "yesterday", "--workspace", ".").code in {1, 2}
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev0)?\n", patron("--version").out)


def test_an_invalid_date_is_wrong_usage(patron, home):
    ran = patron("run", "--workspace", home / "w", "--as-of", "yesterday")
    assert ran.code == 2
    assert "is not a date such as 2024-03-01 or a time such as 2024-03-01T14:30" in ran.message
    assert patron("run", "--workspace", home / "w", "--as-of", "9999-12-31").code == 2


def test_init_says_what_to_do_next_and_refuses_a_second_time(patron, home):
    init_result = patron("init", home / "other", "--currency", "EUR", "--time-zone", "Europe/Berlin", "--json")
    assert init_result.json["settings"] == {"currency": "EUR", "time_zone": "Europe/Berlin"}
    assert Path(init_result.json["master_key"]).is_file()
    assert f"Its master key is outside the folder: {home}/config/patron/keys/" in patron("init", home / "third").out
    again = patron("init", home / "other")
    assert (again.code, again.out) == (1, "")
    assert "is a workspace already" in again.err
    assert patron("init", home / "bad", "--currency", "euro").code == 1
    assert not (home / "bad").exists()
    assert patron("init", home / "odd", "--name", 'Ann\'s "best" \\ shop').code == 0
    assert 'Ann\'s "best" \\ shop' in patron("doctor", "--workspace", home / "odd").out


def test_import_prints_a_sum_and_a_repeat_stores_nothing(patron, home):
    bring = ("import", "--workspace", home / "w", "--mapping", "patron", home / "simulated" / "events.parquet")
    again = patron(*bring, "--json").json
    assert again["read"] == again["duplicate"] > 0
    assert (again["stored"], again["rejected"], again["rejected_by_reason"]) == (0, 0, {})
    assert re.search(r"= 0 stored \+ [\d,]+ duplicate \+ 0 rejected", patron(*bring).out)


def test_run_ends_with_money_people_decisions_where_the_outbox_is_and_what_to_do_next(home, capsys):
    w = home / "w"
    shown = (home / "run.txt").read_text("utf-8")
    assert re.search(r"recommend .* ndcg_at_10 ", shown.replace("│", " "))
    words = ["Net revenue of the last 90 days is", "customers ordered", "may be contacted, so no offer can be made"]
    todo = [f"Outbox: {w}/outbox/{AS_OF} has offers_file.csv and recommendations_file.csv: offers for 0 people"]
    places = [shown.index(one) for one in (*words, *todo, "Read the results: patron report --workspace")]
    assert places == sorted(places)
    assert "control group" not in shown
    allow(w)
    with closing(Shop.open(w)) as shop:
        finished = run_loop(shop, parse_time(AS_OF, shop.settings.shop.time_zone, now=datetime.now(UTC)))
        show_run(shop, finished, w, json=False)
        shown = capsys.readouterr().out
        show_run(shop, finished, w, json=True)
        summary = json.loads(capsys.readouterr().out)
    assert re.search(r"offers? (was|were) decided, at an expected cost of", shown)
    assert "Next: send the offers with your mail system" in shown
    assert summary["run_id"] == AS_OF
    assert summary["customer_count"] > 100
    assert {answer["question"] for answer in summary["forecasts"]["answered"]} >= {"value", "purchase"}
    assert {row["question"] for row in summary["rankings"]} == {"recommend", "category_purchase", "session_conversion"}
    assert summary["outbox"]["offer_count"] > 0
    assert QUESTION_BY_NAME.keys() >= set(summary["left_out"])


def allow(workspace: Path) -> None:
    policy = workspace / "policy.toml"
    policy.write_text(policy.read_text("utf-8").replace('unknown = "refuse"', 'unknown = "allow"'), "utf-8")


def test_backtest_prints_objects_of_ten_keys(patron, home):
    rows = patron("backtest", "--workspace", home / "w", "--json").json
    assert rows
    assert {tuple(row) for row in rows} == {tuple(BACKTEST_KEYS)}
    only = patron("backtest", "--workspace", home / "w", "--question", "value", "--json").json
    assert only == [row for row in rows if row["question"] == "value"]
    assert "champion" in patron("backtest", "--workspace", home / "w").out
    refused = patron("backtest", "--workspace", home / "w", "--question", "love")
    assert refused.code == 1
    assert "value" in refused.err


def test_money_is_shown_in_the_shops_currency_and_not_in_cents(patron, home):
    rows = json.loads(patron("backtest", "--workspace", home / "w", "--question", "value", "--json").out)
    shown = patron("backtest", "--workspace", home / "w", "--question", "value").out
    best = min(row["value"] for row in rows if row["metric"] == "rmse_winsorised" and row["origin"] == "all")
    assert best > 1000
    assert "money in USD" in shown
    assert f" {best / 100:.4g} " in shown.replace("│", " ").replace("[", " ")
    assert f"{best:,.0f}" not in shown


def test_prospects_are_refused_where_there_are_none(patron, home):
    ran = patron("prospects", "--workspace", home / "w")
    assert (ran.code, ran.out) == (1, "")
    assert "there are no prospects" in ran.err


def test_prospects_are_listed_with_how_well_they_were_ranked(capsys):
    person = Prospect("c1", 4250.0, 3.25, "ads", ("+cart_add_count_7_days",))
    backtest_counts = {"evaluated_count": 400, "gini": 0.41, "gini_low": 0.35, "gini_high": 0.47}
    ranked = Prospects(
        "2024-05-30",
        datetime(2024, 5, 30, tzinfo=UTC),
        "prospects",
        "Best of three.",
        people_count=9,
        expected_cents=12300.0,
        people=(person,),
        **backtest_counts,
    )
    show_prospects(ranked, "EUR", json=False)
    shown = capsys.readouterr().out
    assert "9 people without an order: EUR 123.00 expected in 90 days" in shown
    assert "normalised Gini 0.41 [0.35, 0.47]" in shown
    assert re.search(r"c1 .* ads .* \+cart_add_count_7_days .* 3.2 .* 42.50", shown)
    show_prospects(ranked, "EUR", json=True)
    assert json.loads(capsys.readouterr().out)["people"][0]["customer_id"] == "c1"


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_report_writes_one_file(patron, home, locale):
    ran = patron("report", "--workspace", home / "w", "--out", home / f"{locale}.html", "--locale", locale)
    assert ran.out.strip() == str(home / f"{locale}.html")
    assert (home / f"{locale}.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_report_in_a_language_it_does_not_have_is_refused(patron, home):
    ran = patron("report", "--workspace", home / "w", "--locale", "tlh")
    assert ran.code in {1, 2}
    assert "zh_CN" in ran.err


def test_sql_gives_rows_as_table_and_as_json(patron, home):
    query = "select question, count(*) as n from scores group by 1 order by 1"
    rows = patron("sql", "--workspace", home / "w", query, "--json").json
    assert [row["question"] for row in rows][-1] == "value"
    assert "question" in patron("sql", "--workspace", home / "w", query).out
    refused = patron("sql", "--workspace", home / "w", "drop table scores")
    assert (refused.code, refused.out) == (1, "")


def test_export_reveals_one_customer_and_the_file_is_private(patron, home):
    user_id = next(iter(exported_ids(home)))
    ran = patron("export", "--workspace", home / "w", "--user-id", user_id)
    known = ran.json
    assert user_id in known["identifiers"].values()
    assert known["tables"]["events"]
    by_token = patron("export", "--workspace", home / "w", "--customer-id", known["customer_id"])
    assert by_token.json == known
    patron("export", "--workspace", home / "w", "--user-id", user_id, "--out", home / "one.json")
    assert (home / "one.json").stat().st_mode & 0o777 == 0o600


def test_scores_have_the_shops_own_ids_and_add_up_to_the_total(patron, home):
    import pyarrow.parquet as pq  # noqa: PLC0415 - only here

    path = home / "scores.parquet"
    written = patron("scores", "--workspace", home / "w", "--out", path, "--json").json
    rows = pq.read_table(path)
    assert written["customer_count"] == rows.num_rows > 100
    assert set(rows["user_id"].to_pylist()) <= set(exported_ids(home))
    total = patron("scores", "--workspace", home / "w", "--total", "--json").json
    assert total["value"] == pytest.approx(sum(rows["value"].to_pylist()), rel=1e-4)
    assert f"{total['value']:,.2f} expected" in patron("scores", "--workspace", home / "w", "--total").out
    assert str(path) in patron("scores", "--workspace", home / "w", "--out", path, "--as-of", AS_OF).out
    earlier = patron("scores", "--workspace", home / "w", "--out", path, "--as-of", "1999-01-01")
    assert (earlier.code, earlier.out) == (1, "")
    assert patron("scores", "--workspace", home / "w").code == 2


def exported_ids(home: Path) -> list[str]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - only here

    events = pq.read_table(home / "simulated" / "events.parquet", columns=["user_id", "name"])
    return [row["user_id"] for row in events.to_pylist() if row["name"] == "Order Completed"]


def test_export_of_nobody_is_refused_and_of_no_one_is_wrong_usage(patron, home):
    ran = patron("export", "--workspace", home / "w", "--user-id", "nobody at all")
    assert (ran.code, ran.out) == (1, "")
    assert "no customer with user id 'nobody at all'" in ran.err
    assert patron("export", "--workspace", home / "w").code == 2
    assert patron("export", "--workspace", home / "w", "--user-id", "x", "--out", home).code == 2


def test_a_backup_is_restored_elsewhere_with_the_same_run(patron, home):
    backup_result = patron("backup", "--workspace", home / "w", home / "b.tar.gz", "--json").json
    assert backup_result["table_count"] > 10
    assert patron("backup", "--workspace", home / "w", home / "b.tar.gz").code == 1
    assert (
        patron("restore", home / "b.tar.gz", home / "again", "--json").json["table_count"]
        == backup_result["table_count"]
    )
    query = "select run_id, count(*) as n, sum(value) as total from scores group by 1"
    one, other = (patron("sql", "--workspace", home / name, query, "--json").json for name in ("w", "again"))
    assert one == other
    assert patron("restore", home / "b.tar.gz", home / "again").code == 1


def test_doctor_finds_a_sound_workspace_sound_and_a_missing_one_wrong(patron, home):
    found = patron("doctor", "--workspace", home / "w", "--json")
    assert found.code == 0
    assert {finding["level"] for finding in found.json} <= {"ok", "warning"}
    assert patron("doctor", "--workspace", home / "w").out.startswith("ok settings")
    missing = patron("doctor", "--workspace", home / "nowhere", "--json")
    assert missing.code == 1
    assert missing.json[0]["level"] == "problem"


def test_every_reading_command_says_so_before_any_run(patron, home):
    patron("init", home / "new")
    for command in (("backtest",), ("prospects",), ("report",)):
        ran = patron(*command, "--workspace", home / "new")
        assert (ran.code, ran.out) == (1, "")
        assert "patron run" in ran.err


def test_nobody_is_exported_from_an_empty_workspace(patron, home):
    patron("init", home / "empty")
    ran = patron("export", "--workspace", home / "empty", "--user-id", "x")
    assert (ran.code, ran.out) == (1, "")
    assert "no customer with user id 'x'" in ran.err


def test_a_path_that_cannot_be_written_is_refused_in_a_sentence(patron, home):
    ran = patron("export", "--workspace", home / "w", "--user-id", exported_ids(home)[0], "--out", "/proc/x/y.json")
    assert ran.code == 1
    assert "/proc/x" in ran.err


def test_serve_refuses_another_host_before_anybody_can_sign_in(patron, home):
    ran = patron("serve", "--workspace", home / "w", "--host", "0.0.0.0")  # noqa: S104 - that it is refused is the test
    assert ran.code == 1
    assert "there is no user yet" in ran.err


def test_only_a_demo_is_served_without_a_sign_in(patron, home):
    ran = patron("serve", "--workspace", home / "w", "--demo")
    assert ran.code == 1
    assert "is not a demo" in ran.err


def test_a_date_that_no_calendar_has_is_one_rejected_row(home, patron, tmp_path):
    orders = tmp_path / "orders.csv"
    orders.write_text("order,who,day,paid\n1,a,2024-05-01,3\n2,b,99999-01-01,3\n")
    mapping = tmp_path / "mapping.toml"
    columns = 'order_id = "order"\nuser_id = "who"\noccurred_at = "day"\nrevenue = "paid"\n'
    part = 'name = "orders"\nevent = "Order Completed"\nid = ["order"]\n'
    mapping.write_text(f'name = "far"\n[[part]]\n{part}[part.columns]\n{columns}')
    for more in (("--dry-run",), ()):
        ran = patron("import", "--mapping", mapping, *more, orders, "--workspace", home / "w")
        assert ran.code in {0, 3}, ran.err


def test_settings_that_nest_too_deep_are_no_error_of_ours(patron, tmp_path):
    assert patron("init", tmp_path / "w").code == 0
    deep = tmp_path / "policy.toml"
    deep.write_text("x = " + "[" * 900)
    ran = patron("policy", "check", deep, "--workspace", tmp_path / "w")
    assert ran.code not in {0, 70}
    assert "nested too deep" in ran.err + ran.out


def test_times_of_a_hold_are_said_in_the_zone_that_is_named(patron, tmp_path):
    shop = tmp_path / "berlin"
    assert patron("init", shop, "--time-zone", "Europe/Berlin").code == 0
    said = patron("sending", "hold", "--since", "2026-12-02", "--workspace", shop).out
    assert "sent after 2026-12-01 23:00 UTC" in said
    assert patron("sending", "show", "--workspace", shop).out == said


SERVERS = """
import os, signal, sys
import patron.interfaces.http.server.server
from patron.__main__ import main
# why: a shell that runs the tests in the background makes its children ignore an interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
for line in sys.stdin:
    out, err = line.split()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        for number, place in ((1, out), (2, err)):
            os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT), number)
        signal.alarm(120)  # why: who waits for a server that does not stop must not wait for ever
        main()
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""Starts what its arguments say, once for each line: what a server imports is imported once for all of them."""


@pytest.fixture(scope="module")
def servers(home):
    command = [sys.executable, "-c", SERVERS, "serve", "--port", "0", "--workspace", str(home / "w")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = subprocess.Popen(command, env=dict(os.environ), **pipes)
    yield started
    started.stdin.close()
    started.wait(60)
    started.stdout.close()


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_serve_answers_on_a_free_port_until_it_is_stopped(home, servers, tmp_path, how, code):
    with closing(Shop.open(home / "w")) as shop:
        key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "crm", "read").key
    out, err = tmp_path / "out", tmp_path / "err"
    servers.stdin.write(f"{out} {err}\n")
    servers.stdin.flush()
    pid = int(servers.stdout.readline())
    try:
        address = announced(out)
        answers = {path: fetched(address + path, key) for path in ("/health", "/api/overview")}
    finally:
        os.killpg(pid, how)  # as a terminal does
        stopped = int(servers.stdout.readline())
    assert answers["/health"]["run_id"] == AS_OF
    assert answers["/api/overview"]["run_id"] == AS_OF
    assert "Traceback" not in err.read_text()
    assert stopped == code, err.read_text()


def announced(out: Path) -> str:
    """The address that a server prints when it has started."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if out.exists() and (said := re.search(r"http://127\.0\.0\.1:\d+(?=/)", out.read_text())):
            return said[0]
        time.sleep(0.05)
    raise TimeoutError(out)


def fetched(address: str, key: str):
    request = urllib.request.Request(address, headers={"authorization": f"Bearer {key}"})  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own loopback address
        return json.loads(answer.read())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", datetime(2024, 3, 1, 23, 30, 15, tzinfo=UTC)),
        ("today", datetime(2024, 3, 2, tzinfo=ZoneInfo("Europe/Berlin"))),
        ("2024-03-01", datetime(2024, 3, 1, tzinfo=ZoneInfo("Europe/Berlin"))),
    ],
)
def test_a_cutoff_may_be_named_by_the_clock_of_the_shop(text, expected):
    clock = datetime(2024, 3, 1, 23, 30, 15, 999_999, tzinfo=UTC)
    assert parse_time(text, "Europe/Berlin", now=clock) == expected


def test_now_is_no_time_where_no_clock_is_read():
    with pytest.raises(typer.BadParameter):
        parse_time("now", "UTC")
