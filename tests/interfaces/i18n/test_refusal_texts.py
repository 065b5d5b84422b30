"""Every declared sentence is translated with its places, and what a page shows follows from code and values."""

import importlib
import pickle
from pathlib import Path
from string import Formatter

import pytest

import patron
from patron.collect.files.file_kinds import refuse_other_kinds
from patron.collect.files.mapping import load_mapping
from patron.commands.outreach.campaigns.plan_campaign import LEFT_OUT_COUNT, NOBODY_WRITTEN, REASONS_LEFT_OUT
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.refusal_texts import JOINT, refusal_line, refusal_text, rejection_text, translate
from patron.interfaces.i18n.translations import words
from patron.schema import errors
from patron.schema.access.access_rights import Action, Actor, Area, Right
from patron.schema.errors import NotAllowed
from patron.schema.sentences import Sentence, Text, declared, joined, problems_of
from patron.segments.segment_fields import FIELDS
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_rules import KnownNames
from patron.service.jobs import LOST
from patron.storage.outreach.versioned_drafts import STATES, STEPS, WRONG_STATE, state_in_words

SOURCES = Path(patron.__file__).parent
CHINESE = words("zh_CN")
NAMES = {"state": STATES, "step": tuple(STEPS), "engagement_kind": ("campaign", "journey", "audience")}
NAMES["job"] = ("run", "preview", "import", "trial")
"""Codes that sentences name as values, by family."""


@pytest.fixture(scope="module")
def sentences():
    """Every sentence: whatever module declares some is imported."""
    for path in sorted(SOURCES.rglob("*.py")):
        if " = Sentence(" in (source := path.read_text(encoding="utf-8")) or ": Sentence(" in source:
            importlib.import_module(".".join(("patron", *path.relative_to(SOURCES).with_suffix("").parts)))
    return tuple(declared.values())


def places(text):
    """Places of a text with the way each is written."""
    return sorted((name, form, conversion) for _, name, form, conversion in Formatter().parse(text) if name)


def test_every_sentence_is_translated_with_the_same_places(sentences):
    assert len(sentences) > 800
    assert [sentence.code for sentence in sentences if not isinstance(CHINESE.texts.get(sentence.key), str)] == []
    assert [sentence.code for sentence in sentences if places(CHINESE.texts[sentence.key]) != places(sentence)] == []


def test_no_translation_is_of_a_sentence_that_nobody_says(sentences):
    keys = {sentence.key for sentence in sentences}
    families = ("refusal.", "finding.", "rejection.", "doctor.")
    for locale in LOCALES:
        listed = {key for key in words(locale).texts if key.startswith(families)}
        assert listed == (set() if locale == "en" else {key for key in keys if key.startswith(families)})


def test_names_of_codes_that_sentences_have_as_values_are_translated():
    assert [
        f"{family}.{one}" for family in NAMES for one in NAMES[family] if f"{family}.{one}" not in CHINESE.texts
    ] == []


def test_a_code_says_one_thing_and_a_text_has_a_value_for_each_place():
    sentence = Sentence("test_only", "no campaign {name!r} of {count:,}")
    try:
        with pytest.raises(ValueError, match="test_only"):
            Sentence("test_only", "something else")
        with pytest.raises(TypeError, match="test_only"):
            sentence(name="spring")
        with pytest.raises(TypeError, match="test_only"):
            errors.NotFound(sentence)
    finally:
        del declared["test_only"]
    text = sentence(name="spring", count=1_200)
    assert text == "no campaign 'spring' of 1,200"
    assert (text.code, text.values) == ("test_only", {"name": "spring", "count": 1_200})


def test_a_missing_right_is_named_as_keys_and_roles_name_it():
    with pytest.raises(NotAllowed, match="this needs the right read:access") as refusal:
        Actor("Ada", frozenset()).require(Right(Action.READ, Area.ACCESS))
    assert refusal_text(refusal.value.what, CHINESE) == "需要权限 read:access"


def test_an_error_keeps_codes_and_values_through_processes_and_json():
    what = WRONG_STATE(name="spring", state=state_in_words("draft"), step=Text("ended", "step.ended"))
    refused = errors.BadCampaign(joined([what, "an odd thing"]), where="name", todo=STEPS["ended"].todo)
    plain = errors.read_texts(refused.plain())
    for kept in (errors.read_texts(plain), vars(pickle.loads(pickle.dumps(refused)))):  # noqa: S301 - ours
        assert (kept["what"], kept["todo"]) == (refused.what, refused.todo)
        assert translate(kept["what"], CHINESE) == translate(refused.what, CHINESE) != str(refused.what)
    assert problems_of(refused.what) == (what, "an odd thing")
    assert refused.plain()["values"]["problems"][0]["code"] == "wrong_state"


@pytest.mark.parametrize("step", sorted(STEPS))
def test_why_a_step_cannot_be_taken_is_chinese_with_the_names_of_state_and_step(step):
    text = WRONG_STATE(name="spring", state=state_in_words("draft"), step=Text(step, f"step.{step}"))
    assert text == f"'spring' is a draft and cannot be {step}"
    what = translate(text, CHINESE)
    assert CHINESE(f"step.{step}") in what
    assert CHINESE("state.draft") in what
    assert translate(STEPS[step].advice("campaign"), CHINESE) != STEPS[step].advice("campaign")


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
    for text in (*problems_of(refusal.value.what), refusal.value.todo):
        assert 'lang="en"' not in refusal_text(text, CHINESE)


MAPPINGS = [
    'nam = "x"',
    'name = "x"',
    'name = "x"\nformat = "excel"',
    'name = "x"\ntime_zone = "Mars/Base"',
    'name = "x"\n[[lookup]]\nname = "y"',
    'name = "x"\n[[part]]\nname = "y"\nevent = "Page"\ncolumns = {colour = "c"}',
    'name = "x"\n[[part]]\nname = "y"\nevent = "Pag"\ncolumns = {}',
]


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_what_is_wrong_with_a_mapping_is_chinese(tmp_path, mapping):
    (tmp_path / "mine.toml").write_text(mapping, encoding="utf-8")
    with pytest.raises(errors.BadMapping) as refusal:
        load_mapping(tmp_path / "mine.toml")
    for text in (refusal.value.what, refusal.value.todo):
        assert 'lang="en"' not in refusal_text(text, CHINESE)


def test_a_file_of_another_kind_is_named_in_chinese(tmp_path):
    (tmp_path / "orders.csv").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(errors.BadFile) as refusal:
        refuse_other_kinds(tmp_path / "orders.csv", "utf-8")
    line = refusal_line(refusal.value.what, refusal.value.todo, CHINESE)
    assert "gzip 文件" in line
    assert 'lang="en"' not in line


def test_problems_of_others_stand_in_english_between_ours():
    text = joined([STEPS["ended"].todo, "start: odd <b> thing"])
    assert refusal_text(text, words("en")) == "Only an approved one can end.; start: odd &lt;b&gt; thing"
    ours, theirs = refusal_text(text, CHINESE).split(JOINT)
    assert not any(letter.isascii() and letter.isalpha() for letter in ours)
    assert theirs == '<span lang="en">start: odd &lt;b&gt; thing</span>'


def test_why_nobody_would_be_written_to_is_chinese_to_the_last_reason():
    reasons = tuple(LEFT_OUT_COUNT(count=1_200, reason=text) for text in REASONS_LEFT_OUT.values())
    text = NOBODY_WRITTEN(reasons=reasons)
    assert text.startswith("nobody would be written to (1,200 in a segment that the campaign excludes; 1,200 may not")
    assert not any(letter.isascii() and letter.isalpha() for letter in refusal_text(text, CHINESE))


def test_why_a_job_was_lost_is_chinese():
    shown = refusal_line(LOST.what, LOST.todo, CHINESE)
    assert not any(letter.isascii() and letter.isalpha() for letter in shown)


def test_a_row_that_was_rejected_before_in_other_words_keeps_them():
    assert rejection_text("unknown_currency", "older wording", CHINESE) == '<span lang="en">older wording</span>'


def test_a_line_of_what_is_wrong_and_what_to_do_keeps_its_mark_and_escapes_the_rest():
    line = refusal_line("<i>odd</i>", STEPS["saved"].todo, CHINESE)
    assert line.startswith('<span lang="en">&lt;i&gt;odd&lt;/i&gt;</span>')
    assert translate(STEPS["saved"].todo, CHINESE) in line
