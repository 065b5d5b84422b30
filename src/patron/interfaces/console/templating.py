"""What report and console share: the template environment, the look, and the sentences that sum a run up."""

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from patron.answers.models.forecast_ledger import INTERVAL_SHARE
from patron.answers.models.models import BASELINES, MONEY_METRICS, SHARE_METRICS, UNITS
from patron.interfaces.charts import revenue_charts
from patron.interfaces.charts.chart import Chart
from patron.interfaces.console.access.audit_texts import action_name, audit_options, bare_actor, detail_rows
from patron.interfaces.console.customers.reason_texts import driver_sentence, help_sentence, reason_sentence
from patron.interfaces.console.models.alarm_texts import alarm_help, alarm_sentence
from patron.interfaces.console.models.missing_forecast_texts import missing_sentences, missing_short
from patron.interfaces.console.models.model_cards import card_rows
from patron.interfaces.console.models.survival_texts import later_sentences, verdict_sentence, warning_sentence
from patron.interfaces.console.models.training_texts import cohort_sentences, measured_sentence, training_sentence
from patron.interfaces.console.offers.policy_page_texts import (
    offer_rules,
    offer_terms,
    policy_choices,
    preview_rows,
    preview_time,
)
from patron.interfaces.console.privacy.privacy_texts import code_options, data_class, erased_place, purpose_name
from patron.interfaces.i18n.decision_texts import delivery_sentence, exploration_sentence
from patron.interfaces.i18n.persona_texts import persona_fact
from patron.interfaces.i18n.recommendation_texts import recommendation_sentence, short_sentence
from patron.interfaces.i18n.refusal_texts import refusal_line, refusal_text, rejection_text, translate
from patron.interfaces.i18n.translations import Words
from patron.schema.customers.customer_contacts import REVEAL_REASONS
from patron.schema.insight.figures import FIGURE_BY_CODE
from patron.schema.models.questions import (
    MIN_ENDED_CONTRACTS,
    MIN_LOST_CONTRACTS,
    MIN_MESSAGES,
    MIN_RESPONSES,
)
from patron.schema.sentences import Text

HERE = Path(__file__).parent
EXAMPLE_DATE = datetime(2024, 3, 31, 14, 30, tzinfo=UTC)
"""Shown in each way to write times."""
STATIC = HERE / "static"


@cache
def asset_version() -> str:
    """Changes with the look and the script, so that browsers fetch them anew."""
    content = b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()) if path.is_file())
    return hashlib.sha256(content).hexdigest()[:8]


@cache
def icon_names() -> tuple[str, ...]:
    """Names of the pictures in `static/icons.svg`."""
    return tuple(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text(encoding="utf-8")))


def compile_templates() -> Iterator[Callable[[], object]]:
    """Compile each template; some take as long as the page they are of."""
    jinja = environment()
    return (partial(jinja.get_template, name) for name in jinja.list_templates())


@cache
def environment() -> Environment:
    """Jinja environment of all pages: everything is escaped, and an unknown name is an error."""
    jinja = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # why: it would look at every file of a page again, each time
    )
    jinja.filters["bare_actor"] = bare_actor
    jinja.filters["svg"] = _svg
    jinja.filters["narrow_svg"] = _narrow_svg
    jinja.filters["date_example"] = EXAMPLE_DATE.strftime
    jinja.filters["purpose_name"], jinja.filters["data_class"] = purpose_name, data_class
    jinja.globals["options"], jinja.globals["erased_place"] = code_options, erased_place
    for helper in (audit_options, offer_terms, offer_rules, policy_choices, preview_rows, preview_time):
        jinja.globals[helper.__name__] = helper
    jinja.globals["audit_action"], jinja.globals["audit_details"] = action_name, detail_rows
    jinja.globals["refusal_text"], jinja.globals["refusal_line"] = refusal_text, refusal_line
    jinja.globals["read_text"], jinja.globals["translate"] = Text.read, translate
    jinja.globals["rejection_text"] = rejection_text
    jinja.globals["sparkline"] = _sparkline
    jinja.globals["asset_version"] = asset_version
    jinja.globals["icon_names"] = icon_names
    jinja.globals["csrf_field"] = _csrf_field
    jinja.globals["money_metrics"] = MONEY_METRICS
    jinja.globals["share_metrics"] = SHARE_METRICS
    jinja.globals["naive"] = BASELINES
    jinja.globals["units"] = UNITS
    jinja.globals["figures_declared"] = FIGURE_BY_CODE
    jinja.globals["ledger_interval"] = INTERVAL_SHARE
    jinja.globals["card_rows"] = card_rows
    jinja.globals["alarm_sentence"] = alarm_sentence
    jinja.globals["alarm_help"] = alarm_help
    jinja.globals["training_sentence"] = training_sentence
    jinja.globals["delivery_sentence"] = delivery_sentence
    jinja.globals["exploration_sentence"] = exploration_sentence
    jinja.globals["driver_sentence"] = driver_sentence
    jinja.globals["measured_sentence"] = measured_sentence
    jinja.globals["cohort_sentences"] = cohort_sentences
    jinja.globals["missing_sentences"] = missing_sentences
    jinja.globals["persona_fact"] = persona_fact
    jinja.globals["missing_short"] = missing_short
    jinja.globals["reason_sentence"] = reason_sentence
    jinja.globals["help_sentence"] = help_sentence
    jinja.globals["recommendation_sentence"] = recommendation_sentence
    jinja.globals["short_sentence"] = short_sentence
    jinja.globals["fewest_messages"], jinja.globals["fewest_responses"] = MIN_MESSAGES, MIN_RESPONSES
    jinja.globals["later_sentences"] = later_sentences
    jinja.globals["verdict_sentence"] = verdict_sentence
    jinja.globals["warning_sentence"] = warning_sentence
    jinja.globals["fewest_contracts"] = {"ended": str(MIN_ENDED_CONTRACTS), "lost": str(MIN_LOST_CONTRACTS)}
    jinja.globals["reveal_reason_options"] = _reveal_reason_options
    return jinja


def _svg(chart: Chart) -> Markup:
    return Markup(chart.svg())  # noqa: S704 - drawn by us; the drawing library escapes every text in it


def _narrow_svg(chart: Chart) -> Markup:
    return Markup(chart.narrow_svg())  # noqa: S704 - as above


@pass_context
def _csrf_field(context: Context) -> Markup:
    """Hidden field that every form of ours posts, so that a form of another site is refused."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(context["csrf"])


def _reveal_reason_options(texts: Words) -> list[tuple[str, str]]:
    return [(code, texts.code("reveal_reason", code)) for code in REVEAL_REASONS]


def _sparkline(values: tuple[float, ...]) -> Markup:
    return Markup(revenue_charts.sparkline(values))  # noqa: S704 - numbers only
