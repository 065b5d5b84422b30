"""`patron campaign`: from the example's file to an approved plan, and what is refused."""

import json
from datetime import UTC, datetime

import pytest

from patron.segments.segment_parser import parse_rule
from patron.storage.segments.segment_definitions import save_definition
from patron.storage.shop import POLICY_FILE
from patron_command import run_patron


@pytest.fixture(scope="module")
def workspace(made_shop):
    """The made shop, which may write to everybody, with the example's segment."""
    path = made_shop.folder / POLICY_FILE
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace('unknown = "refuse"', 'unknown = "allow"', 1), encoding="utf-8")
    with made_shop.store.begin() as connection:
        now = datetime(2024, 1, 1, tzinfo=UTC)
        save_definition(connection, "every customer", parse_rule({"all": []}), saved_by="Ann", at=now)
    yield made_shop.folder
    path.write_text(before, encoding="utf-8")


@pytest.fixture(scope="module")
def run(workspace):
    return lambda *words: run_patron("campaign", *words, "--workspace", workspace)


def write_example(run, folder, name="hello"):
    """The example's file by a channel for which everybody in the made shop has an address."""
    assert run("save", "--example", "--out", folder).code == 0
    file = folder / "campaign.toml"
    text = file.read_text("utf-8").replace('channel = "email"', 'channel = "webhook"', 1)
    file.write_text(text.replace('"hello"', f'"{name}"', 1), encoding="utf-8")
    return file


def test_the_example_is_saved_planned_and_approved_by_another_person(run, tmp_path):
    file = write_example(run, tmp_path)
    saved = run("save", file, "--as", "Ann", "--json")
    assert json.loads(saved.out) == {"name": "hello", "version": 1, "state": "draft"}
    plan = json.loads(run("plan", "hello", "--json").out)
    assert plan["message_count"] + plan["holdout_count"] == plan["assigned_count"]
    refused = run("approve", "hello", "--as", "Ann")
    assert refused.code == 1
    assert "Ann wrote version 1" in refused.err
    assert "is approved" in run("approve", "hello", "--as", "Bo").out
    listed = json.loads(run("list", "--json").out)
    assert [(one["name"], one["state"]) for one in listed if one["name"] == "hello"] == [("hello", "approved")]
    shown = run("show", "hello")
    assert "approved" in shown.out
    assert "Bo" in shown.out
    assert "knows facts only until" in run("result", "hello").err
    assert "paused" in run("pause", "hello", "--reason", "typo").out
    text = run("plan", "hello").out
    assert "message alone" in text
    assert "held out" in text
    assert "withdrawn" in run("withdraw", "hello").out
    again = run("resume", "hello", "--json")
    assert again.code == 1
    assert json.loads(again.out)["error"] == "BadCampaign"


def test_without_a_file_save_says_what_to_do(run):
    ran = run("save")
    assert ran.code == 2
    assert "--example" in ran.message


def test_a_campaign_that_does_not_exist_is_refused(run):
    for words in (("show", "x"), ("plan", "x"), ("approve", "x"), ("result", "x")):
        ran = run(*words)
        assert ran.code == 1
        assert "no campaign 'x'" in ran.err


def test_a_missing_or_broken_file_is_refused_with_what_to_do(run, tmp_path):
    missing = run("save", tmp_path / "none.toml")
    assert missing.code == 1
    assert "Check the path" in missing.err
    (tmp_path / "broken.toml").write_text("name = hello", encoding="utf-8")
    broken = run("save", tmp_path / "broken.toml")
    assert "is not valid TOML" in broken.err
    assert "backup" not in missing.err + broken.err


def test_each_step_names_the_next_one(run, tmp_path):
    file = write_example(run, tmp_path, "next steps")
    assert 'patron campaign plan "next steps"' in run("save", file, "--as", "Ann").out
    assert "Nothing goes out before it is planned and approved" in run("send", "next steps", "--dry-run").out
    assert 'patron campaign approve "next steps"' in run("plan", "next steps").out
    assert 'patron campaign send "next steps"' in run("approve", "next steps", "--as", "Bo").out
