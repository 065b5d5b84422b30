"""Refusals on Chinese pages: every error of what people do with campaigns and segments is found in the source."""

import ast
from pathlib import Path

import pytest

import patron
from patron.commands.outreach.campaigns.plan_campaign import REASONS_LEFT_OUT
from patron.interfaces.i18n.refusal_texts import refusal_line, refusal_text, translate
from patron.interfaces.i18n.translations import words
from patron.schema import errors
from patron.segments.segment_fields import FIELDS
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_rules import KnownNames
from patron.service.jobs import LOST
from patron.storage.outreach.versioned_drafts import STEPS

SOURCES = Path(patron.__file__).parent
ON_PAGES = (
    "commands/outreach/campaigns/plan_campaign.py",
    "commands/outreach/campaigns/campaign_draft.py",
    "commands/outreach/messages/settle_message.py",
)
ON_PAGES += (
    "commands/outreach/campaigns/campaign_policy_terms.py",
    "storage/segments/segment_definitions.py",
    "commands/segments/save_tag_segment.py",
    "commands/outreach/campaigns/try_campaign.py",
)
ON_PAGES += (
    "commands/outreach/messages/message_reach.py",
    "commands/data/uploaded_files.py",
    "commands/data/column_mapping.py",
)
ON_PAGES += (
    "commands/insight/saved_questions.py",
    "commands/customers/correct_identity.py",
    "commands/privacy/privacy_requests.py",
)
ON_PAGES += (
    "commands/data/schedule_runs.py",
    "commands/outreach/journeys/measure_journey.py",
    "engage/templates/message_template.py",
)
ON_PAGES += (
    "engage/templates/html_compilation.py",
    "answers/insight/questions.py",
    "answers/data/query_limits.py",
    "answers/data/query_worker.py",
)
ON_PAGES += (
    "answers/insight/periods.py",
    "answers/customers/identity_preview.py",
    "answers/privacy/privacy_desk.py",
    "answers/data/run_history.py",
)
ON_PAGES += (
    "answers/customers/customer_list.py",
    "answers/insight/experiments.py",
    "segments/segment_sql.py",
    "schema/customers/customer_contacts.py",
)
ON_PAGES += (
    "interfaces/console/customers/customer_actions.py",
    "interfaces/console/data/run_pages.py",
    "storage/runs/past_shop.py",
)
ON_PAGES += (
    "interfaces/http/insight/question_routes.py",
    "storage/workspace/workspace_lock.py",
    "storage/runs/jobs.py",
)
ERRORS = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, errors.PatronError)}
CHINESE = words("zh_CN")


def written(node) -> str | None:
    """A text of the source with an x for each value; None where it is made elsewhere."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in node.values)
    return None


def sentences(path: str) -> set[str]:
    """What the errors of a file say, and tell people to do."""
    found = set()
    for function in ast.walk(ast.parse((SOURCES / path).read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef):
            continue
        named = [one for one in ast.walk(function) if isinstance(one, ast.Assign)]
        texts = {target.id: one.value for one in named for target in one.targets if isinstance(target, ast.Name)}
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ERRORS:
                said = [*call.args, *(one.value for one in call.keywords if one.arg == "todo")]
                found |= {written(texts.get(one.id) if isinstance(one, ast.Name) else one) for one in said}
    return found - {None, ""}


@pytest.mark.parametrize("path", ON_PAGES)
def test_every_sentence_of_an_error_that_pages_show_is_translated(path):
    assert sentences(path)
    # why: a sentence that holds reasons is translated with reasons that are known only
    known = {one: one.replace("(x)", "(all of them are in the holdout)") for one in sentences(path)}
    assert [one for one in sorted(known) if not (translate(one, CHINESE) or translate(known[one], CHINESE))] == []


def test_a_list_of_problems_is_translated_one_by_one_and_names_stay():
    text = "budget.amount must be at least 0 (got -5); holdout.share must be at most 0.9 (got 7)"
    shown = refusal_text(text, CHINESE)
    assert "budget.amount 不能小于 0" in shown
    assert "holdout.share 不能大于 0.9" in shown
    assert "must" not in shown
    assert refusal_text(text, words("en")) == text


@pytest.mark.parametrize("step", sorted(STEPS))
def test_why_a_step_cannot_be_taken_is_chinese_with_the_names_of_state_and_step(step):
    what = translate(f"'spring' is a draft and cannot be {step}", CHINESE)
    assert CHINESE(f"step.{step}") in what
    assert CHINESE("state.draft") in what
    assert translate(STEPS[step].todo.format(kind="campaign"), CHINESE)


RULES = [
    {"field": "no_such_field", "op": "==", "value": 1},
    {"fild": "value"},
    {"all": {}},
    {"segment": "x", "least": 1},
    {"field": "value", "op": "~", "value": 1},
    {"field": "value", "op": ">", "value": "high"},
    {"field": "lifecycle_stage", "op": "==", "value": "x"},
    {"field": "value", "op": "between", "value": [1]},
    {"field": "value", "op": "in", "value": 3},
    {"trait": "x", "op": "==", "value": None},
    {"consent": "marketing", "is": "yes"},
    {"bought": {}},
    {"bought": {"colour": "red"}},
    {"event": "x", "within_days": 0},
    {"tag": [" "]},
    {"tag": []},
    {"event": 3},
    7,
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_what_is_wrong_with_a_rule_is_chinese(rule):
    with pytest.raises(errors.BadSegment) as refusal:
        parse_rule({"all": [rule]}, KnownNames(FIELDS))
    assert translate(refusal.value.what, CHINESE)
    assert translate(refusal.value.todo, CHINESE)


def test_problems_that_are_not_known_stand_in_english_between_those_that_are():
    shown = refusal_text("start: odd thing; budget must be a number (got 'x'); <b>", CHINESE)
    assert shown.startswith('<span lang="en">start: odd thing</span>')
    assert "budget 必须是数字" in shown
    assert shown.endswith('<span lang="en">&lt;b&gt;</span>')


def test_why_nobody_would_be_written_to_is_chinese_to_the_last_reason():
    reasons = "; ".join(f"1,200 {text}" for text in REASONS_LEFT_OUT.values())
    shown = refusal_text(f"nobody would be written to ({reasons})", CHINESE)
    assert not any(letter.isascii() and letter.isalpha() for letter in shown)


def test_why_a_job_was_lost_is_chinese():
    shown = refusal_line(LOST["what"], LOST["todo"], CHINESE)
    assert not any(letter.isascii() and letter.isalpha() for letter in shown)


def test_what_is_not_known_stays_english_and_says_so_without_becoming_markup():
    assert refusal_text("<b>odd</b> thing", CHINESE) == '<span lang="en">&lt;b&gt;odd&lt;/b&gt; thing</span>'


def test_a_line_of_what_is_wrong_and_what_to_do_keeps_its_mark_and_escapes_the_rest():
    line = refusal_line("<i>odd</i>", "Save it again.", CHINESE)
    assert line.startswith('<span lang="en">&lt;i&gt;odd&lt;/i&gt;</span>')
    assert "请重新保存" in line
