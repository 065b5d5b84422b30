"""Templates that would fell or hold up whoever compiles or renders them are refused; the process goes on."""

import time

import pytest
from tests.support.hostile import hostile_inputs

from patron.engage.templates.message_template import COMPILER, MessageTemplate
from patron.schema.errors import BadTemplate
from patron.storage.outreach.campaign_file import Template

VALUES = {"unsubscribe_url": "https://shop.example/u/T", "preferences_url": "https://shop.example/p/T", "customer": {}}
TEMPLATES = hostile_inputs.templates(30_000)
MAX_RATIO = 100
"""What a template may take of this process, at the very most, next to a fixed piece of work."""


@pytest.fixture(scope="module")
def fixed_work_seconds():
    """Processor time of 2 million additions: some 50 ms."""
    began = time.process_time()
    assert sum(range(0, 4_000_000, 2)) == 3_999_998_000_000
    return time.process_time() - began


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_hostile_template_is_refused_or_rendered(name, fixed_work_seconds):
    body, body_format = TEMPLATES[name]
    began = time.process_time()
    answer = _rendered_or_refused(Template(subject="Hello", body=body, format=body_format))
    assert time.process_time() - began < MAX_RATIO * fixed_work_seconds
    if isinstance(answer, BadTemplate):
        assert answer.where.startswith("template.en")
        assert answer.todo
    else:
        assert "https://shop.example/u/T" in answer


def _rendered_or_refused(template):
    try:
        return MessageTemplate.of(template, "en").render(VALUES).text
    except BadTemplate as refusal:
        return refusal


@pytest.mark.parametrize(
    ("body", "body_format"),
    [
        ("<q>" * 12_000, "html"),
        ("<div>" * 20_000, "html"),
        ("<mjml><mj-body>" + "<mj-wrapper>" * 5_000 + "</mj-body></mjml>", "mjml"),
    ],
)
def test_elements_nested_too_deep_are_refused_by_their_depth(body, body_format):
    with pytest.raises(BadTemplate, match="nested more than 200 deep"):
        MessageTemplate.of(Template(subject="Hello", body=body, format=body_format))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("values of a case in a loop", "more than [0-9,]+ Liquid tags and values"),
        ("values of a cycle in a loop", "more than [0-9,]+ Liquid tags and values"),
        ("assignments in a loop", "more than 500 Liquid tags and values in its loops"),
        ("brackets in brackets", "nests Liquid more than 50 deep"),
        ("ranges in ranges", "nests Liquid more than 50 deep"),
    ],
)
def test_what_is_evaluated_often_or_deep_is_refused_whatever_tag_it_belongs_to(name, problem):
    body, body_format = TEMPLATES[f"Liquid of {name}"]
    with pytest.raises(BadTemplate, match=problem):
        MessageTemplate.of(Template(subject="Hello", body=body, format=body_format))


def test_elements_that_close_themselves_are_not_nested():
    rows = "<tr><td>a<td>b" * 300
    body = f"<ul>{'<li>x' * 900}</ul>{'<p>x' * 300}{'<br><img src=x>' * 300}<table>{rows}</table>"
    text = MessageTemplate.of(Template(subject="Hello", body=body + hostile_inputs.LINK, format="html"))
    assert text.render(VALUES).text.count("- x") == 900


def test_a_template_is_compiled_once(monkeypatch):
    calls = []
    call = COMPILER.call
    monkeypatch.setattr(COMPILER, "call", lambda *arguments: calls.append(1) or call(*arguments))
    template = Template(subject="Once", body="Once only {{ unsubscribe_url }}", format="text")
    for _ in range(3):
        MessageTemplate.of(template, "en")
    MessageTemplate.of(template, "de")
    assert len(calls) == 2
