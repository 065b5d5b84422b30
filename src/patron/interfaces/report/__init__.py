"""The report: one HTML file that needs nothing else, in English or Chinese."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from patron.answers import report as facts
from patron.interfaces.charts.chart_sets import report_charts
from patron.interfaces.console.templating import STATIC, environment
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.summary_sentences import summary_sentences
from patron.schema.errors import SettingsError
from patron.storage.shop import Shop


@dataclass(frozen=True)
class WrittenReport:
    """Where a report was written, and what it is about."""

    path: Path
    locale: str
    run_id: str
    byte_count: int


def report_html(found: facts.Report, locale: str) -> str:
    """Report as one page of HTML: style and pictures inside, no script, no request to anywhere."""
    seen = found.overview
    texts, formats = words(locale), Formats(locale, seen.currency, seen.time_zone)
    return (
        environment()
        .get_template("report.html")
        .render(
            t=texts,
            fmt=formats,
            css=Markup((STATIC / "patron.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
            seen=seen,
            models=found.models,
            quality=found.quality,
            coverage=found.coverage,
            example=found.example,
            charts=report_charts(seen, found.cohorts, found.models, found.repeat_purchase_model, texts, formats),
            sentences=summary_sentences(seen, found.models, texts, formats),
        )
    )


def write_report(shop: Shop, path: Path, locale: str | None = None) -> WrittenReport:
    """Write the report on the last finished run, in the shop's language unless another is named.

    Raises NoRunYet, and SettingsError for a language without words. The file is in place at once or not at all.
    """
    chosen = locale or shop.settings.shop.locale
    if chosen not in LOCALES:
        raise SettingsError(f"there is no report in {chosen!r}", where="--locale", todo=f"Use {' or '.join(LOCALES)}.")
    found = facts.report(shop)
    content = report_html(found, chosen).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
    return WrittenReport(path, chosen, found.overview.run_id, len(content))
