"""How the brief of the week looks in a terminal."""

from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.brief_sentences import brief_parts

if TYPE_CHECKING:
    from patron.answers.insight.brief import Brief
    from patron.storage.shop import Shop


def show_brief(shop: "Shop", brief: "Brief", locale: str, *, json: bool) -> None:
    """Print the four parts, at most one page."""
    if json:
        output.as_json(brief)
        return
    texts, formats = words(locale), Formats(locale, shop.settings.shop.currency, shop.settings.shop.time_zone)
    output.say(f"{texts('brief.title')} · {brief.shop_name} · {formats.date(brief.as_of)}", style="bold")
    for part in brief_parts(brief, shop.policy.offer_names, texts, formats):
        output.say()
        output.say(part.title, style="bold")
        for line in part.lines:
            output.say(f"- {line.text}")
