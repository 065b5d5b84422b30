"""Templates of messages: rendered for each person, escaped, or refused before anything is sent."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patron.engage.templates.message_template import MessageTemplate, MessageTemplates, language_for
from patron.schema.errors import BadTemplate
from patron.storage.outreach.campaign_file import Template

URL = "https://shop.example/u/TOKEN"
VALUES = {
    "customer": {"first_name": "Ann"},
    "products": [{"name": "Tea & milk"}, {"name": "Bread"}],
    "unsubscribe_url": URL,
    "preferences_url": "https://shop.example/p/TOKEN",
}
LINK = " {{ unsubscribe_url }}"
UNSUBSCRIBE = '<a href="{{ unsubscribe_url }}">Unsubscribe</a>'
MJML = f"""<mjml><mj-head><mj-style>.deal {{ color: #cc0000 }}</mj-style></mj-head><mj-body>
{{% if customer.is_vip %}}<mj-section><mj-column><mj-text>VIP</mj-text></mj-column></mj-section>{{% endif %}}
<mj-section><mj-column>
<mj-text css-class="x">Hi {{{{ customer.first_name | default: "you" }}}}, <b class="deal">a deal</b></mj-text>
<mj-table>{{% for one in products %}}<tr><td>{{{{ one.name }}}}</td></tr>{{% endfor %}}</mj-table>
<mj-button href="https://shop.example/?name={{{{ customer.first_name | url_encode }}}}">Buy</mj-button>
<mj-text>{UNSUBSCRIBE}</mj-text>
</mj-column></mj-section></mj-body></mjml>"""


def template(body, *, subject="Hello", body_format="text"):
    return Template(subject=subject, body=body, format=body_format)


def compiled(body=MJML, **fields):
    return MessageTemplate.of(template(body, **({"body_format": "mjml"} | fields)), "en")


def test_mjml_becomes_html_and_text_with_css_inlined_and_values_escaped():
    message = compiled(subject="For {{ customer.first_name }}").render(
        VALUES | {"customer": {"first_name": "<b>O'Neil"}}
    )
    assert message.subject == "For <b>O'Neil"
    assert "Hi &lt;b&gt;O&#39;Neil" in message.html
    assert re.search(r'<b class="deal" style="color: #cc0000;?">', message.html)
    assert re.findall(r"<td[^>]*>(Tea &amp; milk|Bread)</td></tr>", message.html) == ["Tea &amp; milk", "Bread"]
    assert f'href="{URL}"' in message.html
    assert "{{" not in message.html
    assert "{%" not in message.html
    assert "VIP" not in message.html
    assert "Hi <b>O'Neil, a deal" in message.text
    assert "Tea & milk\n" in message.text
    assert f"Unsubscribe ({URL})" in message.text
    assert "Buy (https://shop.example/?name=%3Cb%3EO%27Neil)" in message.text


def test_the_html_of_a_message_loads_nothing_from_elsewhere():
    assert not re.search(r"fonts\.|@import|<link", compiled().render(VALUES).html)


def test_a_default_and_a_condition_stand_for_a_value_that_is_missing():
    message = compiled().render({**VALUES, "customer": {}, "products": []} | {"customer": {"first_name": "you"}})
    assert "Hi you" in message.text
    body = (
        "Hi {{ customer.first_name | default: 'you' }}{% if customer.city %} of {{ customer.city }}{% endif %}" + LINK
    )
    message = MessageTemplate.of(template(body)).render({**VALUES, "customer": {}})
    assert message.text == f"Hi you {URL}"
    assert message.html == ""


def test_variables_name_what_a_template_needs():
    names = compiled(subject="{{ shop.name }}").variables
    assert names == {"customer.first_name", "customer.is_vip", "products", "shop.name", "unsubscribe_url"}


DOUBLED = "{% assign a = 'aaaaaaaaaa' %}{% for i in (1..100) %}{% assign a = a | append: a %}{% endfor %}"
MULTIPLIED = "{% assign a = 99999999 %}{% for i in (1..100) %}{% assign a = a | times: a %}{% endfor %}"
REPLACED = "{{ 'a' | " + " | ".join(["replace: '', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'"] * 6) + " }}"
WRONG = {
    "syntax": (template("{{ customer.first_name" + LINK), "is not valid Liquid"),
    "unknown filter": (template("{{ customer.first_name | shout }}" + LINK), "a filter 'shout'"),
    "missing variable": (template("{{ customer.birthday }}" + LINK), "customer.birthday is undefined"),
    "missing list": (template("{% for one in gifts %}{{ one }}{% endfor %}" + LINK), "gifts is undefined|undefined"),
    "loop": (template("{% for i in (1..1000000000) %}a{% endfor %}" + LINK), "loop iteration limit"),
    "loops": (
        template("{% for i in (1..99) %}{% for j in (1..99) %}a{% endfor %}{% endfor %}" + LINK),
        "loop iteration limit",
    ),
    "table": (template("{% tablerow i in (1..1000000000) %}a{% endtablerow %}" + LINK), "loop iteration limit"),
    "doubled text": (template(DOUBLED + LINK), "'append' takes or makes too much"),
    "number without end": (template(MULTIPLIED + LINK), "'times' takes or makes too much"),
    "range as text": (template("{{ (1..1000000000) | join: ',' }}" + LINK), "'join' takes or makes too much"),
    "replaced text": (template(REPLACED + LINK), "'replace' takes or makes too much"),
    "broken MJML": (template(f"<mjml><mj-body>{UNSUBSCRIBE}</mjml>", body_format="mjml"), "is not valid MJML"),
    "unknown element": (
        template(f"<mjml><mj-body><mj-offer/><mj-raw>{UNSUBSCRIBE}</mj-raw></mj-body></mjml>", body_format="mjml"),
        "<mj-offer>",
    ),
    "file in MJML": (
        template('<mjml><mj-body><mj-include path="/etc/passwd"/></mj-body></mjml>', body_format="mjml"),
        "is not valid MJML",
    ),
    "empty subject": (template("a" + LINK, subject="{{ customer.nickname | default: ' ' }}"), "is empty"),
    "long subject": (template("a" + LINK, subject="a" * 301), "longer than 300"),
    "include": (template("{% include 'footer' %}" + LINK), "is not valid Liquid"),
    "render": (template("{% render 'footer' %}" + LINK), "is not valid Liquid"),
    "too large": (template("a" * 200_000 + LINK), "larger than 200,000 bytes"),
    "no way out": (template("Hello"), "no unsubscribe link, which"),
    "no way out in a comment": (
        template("a {% comment %}{{ unsubscribe_url }}{% endcomment %}"),
        "no unsubscribe link, which",
    ),
    "no way out for some": (
        template("a {% if customer.first_name == 'Zoe' %}{{ unsubscribe_url }}{% endif %}"),
        "no unsubscribe link for some customers",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_template_is_refused_with_the_language_and_what_is_wrong(name):
    wrong, message = WRONG[name]
    with pytest.raises(BadTemplate, match=message) as refusal:
        MessageTemplate.of(wrong, "en").render(VALUES)
    assert refusal.value.where.startswith("template.en")


def test_times_of_a_text_is_a_number_and_no_bomb():
    assert MessageTemplate.of(template("{{ 'a' | times: 1000000000 }}" + LINK)).render(VALUES).text == f"0 {URL}"


@given(st.text(max_size=40))
def test_no_value_breaks_the_subject_into_lines(name):
    one = MessageTemplate.of(template("a" + LINK, subject="Hi {{ customer.first_name }}!"))
    subject = one.render(VALUES | {"customer": {"first_name": name}}).subject
    assert subject.isprintable() or not any(ord(c) < 32 for c in subject)
    assert not {"\r", "\n", "\0"} & set(subject)


@given(st.text(max_size=40))
def test_no_value_becomes_html(name):
    html = compiled(
        f"<p title='{{{{ customer.first_name }}}}'>{{{{ customer.first_name }}}}</p>{UNSUBSCRIBE}", body_format="html"
    )
    rendered = html.render(VALUES | {"customer": {"first_name": name}}).html
    assert rendered.count("<") == html.render(VALUES).html.count("<")
    assert rendered.count('"') == html.render(VALUES).html.count('"')


def test_the_language_is_the_customers_else_the_shops():
    templates = MessageTemplates.of({name: template(name + LINK) for name in ("en", "zh_CN", "de")}, shop_language="de")
    for locale, language in {
        "en": "en",
        "en_GB": "en",
        "zh-cn": "zh_CN",
        "zh_TW": "zh_CN",
        "fr": "de",
        "": "de",
    }.items():
        assert templates.template_for(locale).language == language
    assert language_for("fr", ["en", "zh_CN"], "it") == "en"


def test_a_name_that_no_message_has_a_value_for_is_refused():
    with pytest.raises(BadTemplate, match=r"names custmer.city, which no message has. Did you mean customer\?"):
        MessageTemplate.of(template("{{ custmer.city }}" + LINK), "en").require_known_names()
    for wrong in ("firstname", "frist_name", "timezome"):
        with pytest.raises(BadTemplate, match=rf"names customer.{wrong}, which no message has. Did you mean customer"):
            MessageTemplate.of(template("{{ customer." + wrong + " }}" + LINK), "en").require_known_names()
    body = "{% for one in customer.cities %}{% assign two = one %}{{ two }}{{ offer.name }}{% endfor %}"
    MessageTemplate.of(template(body + LINK)).require_known_names()
