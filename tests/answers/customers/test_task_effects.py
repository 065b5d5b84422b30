"""What tasks changed, what became of them, and what that suggests; read from tables."""

from datetime import timedelta

import pytest
from tests.support.shops.task_shop import AFTER, START, by_hand, complete_run, effects, lines, task

from patron.answers.customers.task_effects import task_effects
from patron.answers.customers.task_results import task_results
from patron.answers.customers.task_suggestions import find_suggestion, task_suggestions
from patron.answers.insight.experiments import list_experiments, show_experiment
from patron.commands.offers.propose_policy import approve_proposal, propose_changes
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadQuery, NotFound
from patron.storage.customers.task_policy import TaskPolicy
from patron.storage.shop import Shop

NOW = AFTER.as_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("effects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        Shop.create(folder / "shop").close()
        shop = Shop.open(folder / "shop")
        tasks = [task(number) for number in range(800)]
        done = {"state": "done", "outcome": "reached", "closed_at": START + timedelta(days=3), "owner": "ada"}
        tasks = [{**one, **done} if number < 100 and not one["is_holdout"] else one for number, one in enumerate(tasks)]
        running = [task(number, at=AFTER.as_of - timedelta(days=1)) for number in range(900, 910)]
        effects(shop, tasks + running + [by_hand(tasks[0])], lines(tasks, by_call=4_000))
        complete_run(shop)
        yield shop
        shop.close()


def test_the_answer_has_the_whole_its_parts_and_what_still_runs(shop):
    answer = task_effects(shop)
    assert answer.whole is not None
    assert answer.whole.of("revenue").is_gain
    assert {playbook.playbook for playbook in answer.playbooks} == {"call", "write"}
    assert {reason.reason for reason in answer.reasons} == {"overdue", "unknown"}
    assert answer.running.treated_count + answer.running.control_count == 10
    calls = next(playbook for playbook in answer.playbooks if playbook.playbook == "call").of("revenue")
    assert calls.low < calls.once_low < calls.once_high < calls.high
    assert calls.detectable == pytest.approx(2.8015852 * calls.standard_error)


def test_results_count_what_was_done_without_who_was_held_out(shop):
    by_person = task_results(shop, "person", now=NOW)
    ada = next(row for row in by_person.rows if row.key == "ada")
    assert (ada.done_count, ada.outcomes, ada.median_days) == (ada.task_count, {"reached": ada.task_count}, 3.0)
    assert sum(row.task_count for row in by_person.rows) == by_person.total.task_count < 811
    months = task_results(shop, "month", now=NOW)
    assert [row.key for row in months.rows] == ["2024-06", "2024-08"]
    assert task_results(shop, "playbook", now=NOW, among=frozenset({"c0001"})).total.task_count <= 2
    with pytest.raises(BadQuery, match="person"):
        task_results(shop, "colour", now=NOW)  # pyright: ignore[reportArgumentType] - what nobody may ask


def test_tasks_are_an_experiment_among_the_others(shop):
    line = next(row for row in list_experiments(shop).rows if row.kind == "tasks")
    assert line.verdict == "won"
    assert line.gain.customer_low > 0
    assert show_experiment(shop, "tasks", "tasks").line == line
    with pytest.raises(NotFound):
        show_experiment(shop, "tasks", "others")


def test_a_known_effect_suggests_a_smaller_holdout_and_the_task_that_pays(shop):
    answer = task_effects(shop)
    letters = TaskPolicy(holdout_share=0.2, usual_playbook="write")
    by_code = {suggestion.code: suggestion for suggestion in task_suggestions(answer, letters)}
    assert (by_code["smaller_holdout"].old, by_code["smaller_holdout"].new) == (0.2, 0.05)
    assert by_code["smaller_holdout"].new_detectable_cents > by_code["smaller_holdout"].detectable_cents
    assert by_code["usual_playbook"].new == "call"
    assert by_code["playbooks"].new == {"overdue": "call"}
    assert "playbooks" not in {
        suggestion.code for suggestion in task_suggestions(answer, TaskPolicy(playbooks={"overdue": "call"}))
    }


def test_a_suggestion_becomes_policy_only_when_somebody_else_approves(shop):
    chosen = find_suggestion(shop, "smaller_holdout")
    changes = {("tasks", chosen.key): chosen.new}
    number = propose_changes(RequestContext.from_name(shop, "Ada", now=NOW), changes, base_version=shop.policy.version)
    assert shop.policy.tasks.holdout_share == 0.1
    approve_proposal(RequestContext.from_name(shop, "Ben", now=NOW), number)
    assert shop.policy.tasks.holdout_share == 0.05
    with pytest.raises(NotFound, match="smaller_holdout"):
        find_suggestion(shop, "smaller_holdout")
