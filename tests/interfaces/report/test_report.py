import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from patron.answers.insight import report
from patron.answers.insight.overview import overview
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.html_report import write_report
from patron.interfaces.report.summary_sentences import later_refunds_sentences, summary_sentences
from patron.schema.data.refunds import LaterRefunds
from patron.schema.errors import NoRunYet, SettingsError

HOSTILE = "<script>alert"


@pytest.fixture(scope="module", params=LOCALES)
def written(request, made_shop, tmp_path_factory):
    done = write_report(made_shop, tmp_path_factory.mktemp("report") / "report.html", request.param)
    return request.param, done, done.path.read_text(encoding="utf-8")


def test_the_report_is_one_file_that_asks_nothing_of_anyone(written):
    _, done, html = written
    assert done.byte_count < 1_500_000
    assert not re.search(r"(?:src|href|action)=[\"'](?:https?:)?//", html)
    assert "<script" not in html
    assert "@import" not in html
    assert set(re.findall(r"url\(.", html)) <= {"url(#"}, "a colour of the page itself, and nothing from elsewhere"
    gradient_ids = re.findall(r'<linearGradient id="([^"]+)"', html)
    assert len(gradient_ids) == len(set(gradient_ids))


def test_the_report_has_every_section_in_its_language(written):
    locale, _, html = written
    sections = ("trend", "customers", "watch_list", "decisions", "effects", "forecasts", "example", "data", "limits")
    assert f'<html lang="{locale.replace("_", "-")}"' in html
    for section in sections:
        assert words(locale)(f"report.{section}") in html


def test_the_report_says_plainly_that_a_placebo_is_one(written):
    locale, _, html = written
    assert words(locale)("effects.placebo") in html


def test_the_report_says_which_offers_are_randomised_and_how_to_find_a_customer(written):
    locale, _, html = written
    sentence = words(locale).texts["decisions.exploring"][-1].partition("{count}")[2].partition("{offers}")[0]
    assert sentence in html
    assert words(locale)("watch_list.find") in html


def test_the_report_explains_the_decision_of_its_example(written, made_shop):
    locale, _, html = written
    example = report.report(made_shop).example
    assert example is not None
    assert words(locale).code("decision", example.decisions[0].reason) in html.partition('id="example"')[2]


@pytest.mark.parametrize(
    ("days", "count", "said"),
    [
        (0, 748, "748 refunds ($78,414) became known on 25 Nov 2024, after this run's as-of, and do not count."),
        (0, 1, "1 refund ($78,414) became known on 25 Nov 2024, after this run's as-of, and does not count."),
        (2, 748, "748 refunds ($78,414) became known between 25 Nov 2024 and 27 Nov 2024, after this run's"),
    ],
)
def test_refunds_known_after_the_cutoff_are_said_in_the_summary(made_shop, days, count, said):
    first = datetime(2024, 11, 25, 12, tzinfo=UTC)
    later = LaterRefunds(count, 7_841_400, first, first + timedelta(days=days))
    summary, formats = replace(overview(made_shop), later_refunds=later), Formats("en", "USD", "UTC")
    assert summary_sentences(summary, None, words("en"), formats)[1].startswith(said)
    chinese = words("zh_CN"), replace(formats, locale="zh_CN")
    [sentence] = later_refunds_sentences(replace(later, refund_count=748), *chinese)
    assert sentence.startswith("有 748 笔退款")
    assert "US$78,414" in sentence


def test_a_language_without_translations_is_refused_before_anything_is_written(made_shop, tmp_path):
    with pytest.raises(SettingsError, match="zh_CN"):
        write_report(made_shop, tmp_path / "report.html", "fr")
    assert list(tmp_path.iterdir()) == []


def test_hostile_product_names_are_text_and_nothing_else(written):
    _, _, html = written
    assert HOSTILE not in html
    assert "&lt;script&gt;alert" in html


def test_no_report_is_written_before_a_run(shop, tmp_path):
    with pytest.raises(NoRunYet, match="patron run"):
        write_report(shop, tmp_path / "report.html")
    assert list(tmp_path.glob("report*")) == []
