"""The report: one HTML file that needs nothing else, in English or Chinese."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from patron.answers.insight import report as facts
from patron.interfaces.charts.chart_sets import report_charts
from patron.interfaces.console.templating import STATIC, environment
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.brief_sentences import brief_parts
from patron.interfaces.report.summary_sentences import summary_sentences
from patron.schema.errors import SettingsError
from patron.storage.durable_files import write_durably
from patron.storage.shop import Shop


@dataclass(frozen=True)
class WrittenReport:
    """Where a report was written, and what it is about."""

    path: Path
    locale: str
    run_id: str
    byte_count: int


def report_html(answer: facts.Report, locale: str) -> str:
    """Report as one page of HTML: style and pictures inside, no script, no request to anywhere."""
    overview = answer.overview
    texts, formats = words(locale), Formats(locale, overview.currency, overview.time_zone)
    return (
        environment()
        .get_template("report.html")
        .render(
            t=texts,
            fmt=formats,
            css=_css(),
            overview=overview,
            brief=brief_parts(answer.brief, overview.offer_names, texts, formats),
            models=answer.models,
            quality=answer.quality,
            coverage=answer.coverage,
            example=answer.example,
            charts=report_charts(overview, answer.cohorts, answer.models, answer.repeat_purchase_model, texts, formats),
            sentences=summary_sentences(overview, answer.models, texts, formats),
        )
    )


def _css() -> Markup:
    css = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("patron.css", "report.css"))
    return Markup(css)  # noqa: S704 - our own files


def write_report(shop: Shop, path: Path, locale: str | None = None) -> WrittenReport:
    """Write the report on the last finished run, in the shop's language unless another is named.

    Raises NoRunYet, and SettingsError for a language without words. The file is in place at once or not at all.
    """
    chosen = locale or shop.settings.shop.locale
    if chosen not in LOCALES:
        raise SettingsError(f"there is no report in {chosen!r}", where="--locale", todo=f"Use {' or '.join(LOCALES)}.")
    answer = facts.report(shop)
    content = report_html(answer, chosen).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, content)
    return WrittenReport(path, chosen, answer.overview.run_id, len(content))
