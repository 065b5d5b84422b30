"""The mail digest as a letter: subject, plain text, and simple HTML, in the receiver's language."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cache, partial

from patron.answers.data.query_worker import QueryWorkers, QuestionResult
from patron.answers.insight.brief import brief
from patron.answers.insight.questions import TILE_SECONDS, run_question
from patron.answers.insight.today import run_items
from patron.commands.access.user_mail import UserMail
from patron.commands.insight.send_digests import ComposeDigest, DigestReader
from patron.interfaces.console.templating import environment
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words, choose_locale, words
from patron.interfaces.report.digest import DigestFacts, DigestSection, DigestTable, digest_sections
from patron.schema.errors import BadQuery
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

PAGE = "/account/digest"
"""Where people change what they are sent."""


def digest_composer(facts: DigestFacts) -> ComposeDigest:
    """Writes digests from these facts; links begin as the settings have it."""
    return partial(_compose_letter, facts)


@contextmanager
def facts_of_run(shop: Shop) -> Iterator[DigestFacts]:
    """Facts of the last run, each taken once for all readers of this process, which runs questions meanwhile."""
    with closing(QueryWorkers(shop.folder)) as workers:
        yield DigestFacts(
            shop,
            cache(lambda: run_items(last_run(shop))),
            cache(lambda: brief(shop)),
            _question_cache(lambda sql: run_question(shop, workers, sql, seconds=TILE_SECONDS)),
        )


def _question_cache(ask: Callable[[str], QuestionResult]) -> Callable[[str], QuestionResult]:
    """Answers that are kept, and refusals too: a question that takes too long is not asked again for each reader."""
    kept: dict[str, QuestionResult | BadQuery] = {}

    def result(sql: str) -> QuestionResult:
        if sql not in kept:
            try:
                kept[sql] = ask(sql)
            except BadQuery as error:
                kept[sql] = error
        if isinstance(one := kept[sql], BadQuery):
            raise one.with_traceback(None)
        return one

    return result


def digest_words(shop: Shop, locale: str) -> tuple[Words, Formats]:
    """Texts and formats of a person's language, else of the shop's."""
    texts = words(choose_locale(locale or None, shop.settings.shop.locale))
    return texts, Formats(texts.locale, shop.settings.shop.currency, shop.settings.shop.time_zone)


def digest_subject(shop: Shop, texts: Words, formats: Formats) -> str:
    """Subject of the digest of the last run."""
    date = formats.date(last_run(shop).run.as_of)
    return texts("digest.subject", shop=shop.settings.shop.name or "Patron", date=date)


def _compose_letter(facts: DigestFacts, reader: DigestReader, now: datetime) -> UserMail:
    shop = facts.shop
    texts, formats = digest_words(shop, reader.user.locale)
    sections = digest_sections(facts, reader.actor, reader.parts, texts, formats, now=now)
    address, subject = shop.settings.access.console_address, digest_subject(shop, texts, formats)
    ways = {"settings": address + PAGE, "end": address + reader.path}
    values = {"t": texts, "subject": subject, "sections": sections, "address": address, **ways}
    html = environment().get_template("insight/digest_mail.html").render(values)
    return UserMail(subject, _text(subject, sections, texts, address, **ways), html, ways["end"])


def _text(
    subject: str, sections: tuple[DigestSection, ...], texts: Words, address: str, *, settings: str, end: str
) -> str:
    lines = [subject]
    for section in sections:
        lines += ["", "", section.title, "=" * len(section.title), f"{address}{section.link}"]
        for line in section.lines:
            lines += ["", f"- {line.text}", *([f"  {address}{line.link}"] if line.link else [])]
        for table in section.tables:
            lines += ["", *_table_text(table), f"{address}{table.link}"]
    footer = (texts("digest.why"), texts("digest.change", link=settings), texts("digest.end", link=end))
    return "\n".join([*lines, "", "-- ", *footer])


def _table_text(table: DigestTable) -> list[str]:
    rows = [" | ".join(row) for row in (table.head, *table.rows) if row]
    return [table.name, *(f"  {row}" for row in (*rows, table.note) if row)]
