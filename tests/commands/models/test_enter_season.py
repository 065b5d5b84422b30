"""The expected season: every line is stored, or none, and a refusal names the line."""

from datetime import UTC, date, datetime

import pytest

from patron.commands.models.enter_season import MAX_LINES, EnteredSeason, current_lines, enter_season, read_spans
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadFile, SettingsError
from patron.storage.models.season_calendars import season_calendars
from patron.storage.models.season_templates import TEMPLATES, template_spans
from patron_command import run_patron

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LINES = "2026-W49,2026-W52,1.8,sure\n2027-W01,2027-W05,0.7,likely"


def entered(shop, text, now=NOW):
    return enter_season(RequestContext.from_name(shop, "Ann", now=now), text)


def test_what_is_entered_replaces_what_was_and_an_empty_text_removes_it(shop_without_season):
    text = "First_week;Last_week;Factor;Confidence\n2027-W01; 2027-W05 ;0.7\n\n2026-W49;2026-W52;1.8;sure"
    assert entered(shop_without_season, text) == EnteredSeason(2)
    assert current_lines(shop_without_season.store, NOW.date()) == LINES
    newest = audit_log.entries(shop_without_season.store)[-1]
    assert (newest.action, '"by": "Ann"' in newest.details) == ("season entered", True)
    later = NOW.replace(hour=13)
    assert entered(shop_without_season, "", later) == EnteredSeason(0)
    assert [len(one.spans) for one in season_calendars(shop_without_season.store)] == [2, 0]
    assert [one.entered_by for one in season_calendars(shop_without_season.store, known_at=NOW)] == ["Ann"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-W49", "line 1.*1 cells"),
        ("2026-W49,2026-W50,1,likely,often", "5 cells"),
        ("2026-49,2026-W50,1", "'2026-49' is not a week"),
        ("2026-W54,2026-W54,1", "'2026-W54' is not a week"),
        ("2026-W52,2026-W49,1", "the last week, 2026-W49, is before the first, 2026-W52"),
        ("2026-W49,2026-W50,0", "the factor 0 is not between 0.05 and 20"),
        ("2026-W49,2026-W50,-1", "the factor -1 is not between"),
        ("2026-W49,2026-W50,much", "the factor 'much' is not a number"),
        ("2026-W49,2026-W50,nan", "nan"),
        ("2026-W49,2026-W50,1,maybe", "'maybe' is not a confidence"),
        ("2025-W49,2025-W50,1", "the year 2025 is over"),
        ("2025-W49,2026-W50,1", "the year 2025 is over"),
        ("2029-W01,2029-W02,1", "the year 2029 is too far ahead"),
        (f"{LINES}\n2026-W52,2026-W53,1.1", "line 3.*the week 2026-W52 is already in line 1"),
        pytest.param("2026-W49,2026-W50,1\n" * (MAX_LINES + 1), f"{MAX_LINES + 1} lines", id="too many lines"),
    ],
)
def test_a_line_that_is_wrong_stores_nothing(shop_without_season, text, problem):
    with pytest.raises(BadFile, match=problem):
        entered(shop_without_season, text)
    assert season_calendars(shop_without_season.store) == []


def test_somebody_enters_it(shop_without_season):
    with pytest.raises(SettingsError):
        enter_season(RequestContext.from_name(shop_without_season, " ", now=NOW), LINES)


@pytest.mark.parametrize("today", [date(2026, 1, 1), date(2026, 11, 30), date(2027, 1, 3)])
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_can_be_entered_as_it_is_and_covers_a_year(name, today):
    spans = template_spans(name, today)
    assert read_spans("\n".join(span.line for span in spans), today) == spans
    weeks = sum((span.end - span.first_week).days // 7 for span in spans)
    assert weeks == 52
    mean = sum(span.factor * (span.end - span.first_week).days // 7 for span in spans) / weeks
    assert mean == pytest.approx(1, abs=0.15)


def test_lines_of_years_that_are_over_are_not_offered_again(shop_without_season):
    entered(shop_without_season, LINES)
    assert current_lines(shop_without_season.store, date(2027, 2, 1)) == "2027-W01,2027-W05,0.7,likely"


def test_the_command_line_prints_a_template_enters_a_file_and_shows_it(shop_without_season, tmp_path):
    template = run_patron("models", "season", "--template", "presents").out
    file = tmp_path / "season.csv"
    file.write_text(template, encoding="utf-8")
    entered = run_patron("models", "season", file, "--workspace", shop_without_season.folder, "--json")
    assert entered.json == {"span_count": len(template.splitlines())}
    shown = run_patron("models", "season", "--workspace", shop_without_season.folder).out
    assert template.partition(",")[0] in shown
    assert "The first run as of a later time uses it" in shown


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe", "not a UTF-8 text"),
        pytest.param(b"1" * 30_000, "over 20,000 characters", id="too long"),
        (b"2026-W1,2,3", "is not a week"),
    ],
)
def test_a_file_that_is_no_season_is_refused(shop_without_season, tmp_path, content, problem):
    file = tmp_path / "season.csv"
    file.write_bytes(content)
    result = run_patron("models", "season", file, "--workspace", shop_without_season.folder)
    assert (result.code, problem in result.message) == (1, True)
    assert season_calendars(shop_without_season.store) == []


def test_a_file_that_is_not_there_and_a_template_that_is_none_are_refused(shop_without_season, tmp_path):
    assert "cannot be read" in run_patron("models", "season", tmp_path / "no", "-w", shop_without_season.folder).message
    assert "is not one of presents, fashion, food" in run_patron("models", "season", "--template", "toys").message
