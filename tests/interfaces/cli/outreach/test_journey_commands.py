"""`patron journey`: from a ready-made file to an approved plan, and what is refused."""

import json
from datetime import UTC, datetime

import pytest

from patron.commands.outreach.campaigns.campaign_results import ArmSummary, CampaignSpend, GuardRailResult
from patron.commands.outreach.journeys.journey_examples import EXAMPLES
from patron.commands.outreach.journeys.journey_step_results import StepResult
from patron.commands.outreach.journeys.measure_journey import JourneyResult
from patron.interfaces.cli.outreach.render_journeys import show_result, step_lines
from patron.storage.outreach.journey_file import Journey
from patron.storage.settings import ShopSettings
from patron_command import run_patron


@pytest.fixture(scope="module")
def run(made_shop):
    return lambda *words: run_patron("journey", *words, "--workspace", made_shop.folder)


def test_a_ready_made_journey_is_saved_planned_and_approved_by_another_person(run, tmp_path):
    listed = run_patron("journey", "save", "--example")
    assert [name for name in EXAMPLES if name not in listed.out] == []
    assert list(json.loads(run_patron("journey", "save", "--example", "--json").out)) == list(EXAMPLES)
    assert 'name = "birthday"' in run_patron("journey", "save", "--example", "birthday").out
    written = run_patron("journey", "save", "--example", "after_first_order", "--out", tmp_path)
    assert "Next: patron journey save" in written.out
    assert (
        "Next: patron segment save" in run_patron("journey", "save", "--example", "churn_alarm", "--out", tmp_path).out
    )
    file = tmp_path / "after_first_order.toml"
    saved = run("save", file, "--as", "Ann", "--json")
    assert json.loads(saved.out) == {"name": "after first order", "version": 1, "state": "draft"}
    text = run("plan", "after first order").out
    assert 'patron journey approve "after first order" --as NAME --version 1' in text
    assert "Nothing can be sent yet: email: no SMTP server is configured" in text
    plan = json.loads(run("plan", "after first order", "--json").out)
    assert plan["findings"]
    refused = run("approve", "after first order", "--as", "Ann")
    assert refused.code == 1
    assert "Ann wrote version 1" in refused.err
    assert "is approved" in run("approve", "after first order", "--as", "Bo", "--version", "1").out
    lines = json.loads(run("list", "--json").out)
    assert ("after first order", "approved") in [(line["name"], line["state"]) for line in lines]
    assert "first Order Completed" in run("list").out
    shown = run("show", "after first order", "--texts").out
    for part in ("approved", "Bo", "at most 14 days", "{{ unsubscribe_url }}"):
        assert part in shown
    assert "nobody had entered" in run("result", "after first order").err
    assert "paused" in run("pause", "after first order", "--reason", "typo").out
    assert "approved" in run("resume", "after first order").out
    assert "withdrawn" in run("withdraw", "after first order").out
    again = run("resume", "after first order", "--json")
    assert again.code == 1
    assert json.loads(again.out)["error"] == "BadJourney"


def test_a_birthday_cannot_be_replayed_and_the_plan_says_so(run, tmp_path):
    file = tmp_path / "birthday.toml"
    file.write_text(run_patron("journey", "save", "--example", "birthday").out, encoding="utf-8")
    assert run("save", file).code == 0
    assert "Not replayed" in run("plan", "birthday").out


def test_what_cannot_be_used_is_refused_with_what_to_do(run, tmp_path):
    assert run("save").code == 2
    assert "Check the path" in run("save", tmp_path / "none.toml").err
    (tmp_path / "broken.toml").write_text("name = cart", encoding="utf-8")
    assert "is not valid TOML" in run("save", tmp_path / "broken.toml").err
    (tmp_path / "wrong.toml").write_text('name = "a"\n[trigger]\nevnt = "Page"\n', encoding="utf-8")
    wrong = run("save", tmp_path / "wrong.toml")
    assert "trigger needs one of the keys event, enters, product, date" in wrong.err
    assert "patron journey save --example" in wrong.err
    assert "Did you mean birthday?" in run_patron("journey", "save", "--example", "birtday").err
    for step in ("show", "plan", "approve", "pause", "resume", "withdraw", "result"):
        ran = run(step, "x")
        assert ran.code == 1
        assert "no journey 'x'" in ran.err


def test_a_result_is_shown_with_arms_entries_and_messages(capsys):
    at, arm = datetime(2024, 5, 1, tzinfo=UTC), ArmSummary(3, 2, 2000, 0, 0, 0, 800.0)
    result = JourneyResult(
        journey="cart",
        version=1,
        state="running",
        measured_at=at,
        run_id="2024-05-01",
        until=at,
        is_final=False,
        currency="USD",
        window_days=7,
        entered_count=9,
        open_count=2,
        entry_counts={"active": 2, "left": 7},
        exit_counts={"exit_event": 7},
        waiting_counts={"version 1, step 2": 2},
        arms={"holdout": arm, "treated": arm},
        steps=(StepResult(1, "2", "email", "", {"sent": 4}, {"opened": 3}),),
        message_counts={"sent": 4},
        receipt_counts={"opened": 3, "unsubscribed": 1},
        unsubscribed_share=0.25,
        complained_share=0.0,
        effects=(),
        sample_ratio_p_value=None,
        guard_rails=(GuardRailResult("orders", "safe", 0.1),),
        spend=CampaignSpend(4.0, 0.0, 0.0, 4.0, 10.0),
        findings=("Look again later.",),
        learned="So far nothing.",
    )
    show_result(result, ShopSettings(), json=False)
    text = capsys.readouterr().out
    for words in (
        "So far nothing.",
        "Look again later.",
        "7 left",
        "2 on their way, at version 1, step 2",
        "no success",
        "message alone",
        "25.00%",
        "safe",
    ):
        assert words in text


def test_steps_are_shown_as_sentences():
    steps = [
        {"do": "wait", "minutes": 90},
        {"do": "wait_for", "event": "Order Completed", "days": 2, "then": "end"},
        {"do": "branch", "rule": {"segment": "vip"}, "then": "gift"},
        {"do": "exit"},
        {
            "do": "send",
            "id": "gift",
            "offer": "ten",
            "channel": "sms",
            "template": {"en": {"subject": "Hi", "body": "x"}},
        },
    ]
    content = {"name": "j", "topic": "offers", "monthly_budget": 1, "trigger": {"event": "Product Viewed"}}
    assert list(step_lines(Journey.of(content | {"steps": steps}, where="test"))) == [
        ("1", "wait 90 minutes"),
        ("2", "wait for Order Completed, at most 2 days; if it comes, end the journey, else go on at step 3"),
        ("3", 'if {"segment": "vip"}, go on at step gift, else go on at step 4'),
        ("4", "leave the journey"),
        ("gift", 'send "Hi" (en) by sms, with offer ten, at most 1 day late'),
    ]
