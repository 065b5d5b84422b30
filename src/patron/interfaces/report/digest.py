"""The mail digest in sentences: what it holds of the last run for one reader, as page and letter show it.

It is made of what the reader may read, and says nothing of who a customer is: sentences of Today and of the brief,
and rows of pinned questions, which have no names and contacts. Texts that colleagues wrote freely stay in the console.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from patron.answers.data.query_worker import Cell, QuestionResult
from patron.answers.insight.brief import Brief
from patron.answers.insight.questions import QuestionInfo, list_questions
from patron.answers.insight.today import RunItems, TodayItem, today
from patron.govern.access.visible_customers import visible_customers
from patron.interfaces.console.insight.today_texts import today_sentence
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.question_texts import cell_text, column_name
from patron.interfaces.i18n.translations import Words
from patron.interfaces.report.brief_sentences import brief_parts
from patron.schema.access.access_rights import Actor
from patron.schema.errors import BadQuery
from patron.schema.insight.digest import DigestPart
from patron.storage.shop import Shop

TODAY_LINES = 8
ROWS, COLUMNS = 7, 4
FREE_TEXTS = ("policy_approval", "run_failed")
"""Lines of Today that quote what a person or a program wrote."""
OWN_WORK = ("tasks_due", "digest_failed")
"""Lines of Today that are of the reader alone; others count the whole shop."""


@dataclass(frozen=True)
class DigestFacts:
    """Where a digest takes its facts from; who calls keeps what is the same for several readers."""

    shop: Shop
    run_items: Callable[[], RunItems | None]
    brief: Callable[[], Brief]
    result: Callable[[str], QuestionResult]
    """What the SQL of a question comes to. Raises BadQuery."""


@dataclass(frozen=True)
class DigestLine:
    """One sentence or two, and the page where it goes on."""

    text: str
    link: str = ""


@dataclass(frozen=True)
class DigestTable:
    """The first rows of a pinned question, or why there are none."""

    name: str
    link: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numbers: tuple[bool, ...] = ()
    """Which columns are numbers; the first one names its row."""
    note: str = ""
    """That there are more rows or columns, or why there is nothing."""


@dataclass(frozen=True)
class DigestSection:
    """One part of a digest; it has lines or tables."""

    part: DigestPart
    title: str
    link: str
    lines: tuple[DigestLine, ...] = ()
    tables: tuple[DigestTable, ...] = ()


def digest_sections(
    facts: DigestFacts, actor: Actor, parts: Iterable[DigestPart], words: Words, formats: Formats, *, now: datetime
) -> tuple[DigestSection, ...]:
    """The parts of a digest for a reader, who may read them."""
    writers = {
        DigestPart.TODAY: lambda: _today(facts, actor, words, formats, now),
        DigestPart.QUESTIONS: lambda: _questions(facts, words, formats),
        DigestPart.BRIEF: lambda: _brief(facts, words, formats),
    }
    return tuple(writers[part]() for part in parts)


def _today(facts: DigestFacts, actor: Actor, words: Words, formats: Formats, now: datetime) -> DigestSection:
    visible, names = visible_customers(facts.shop, actor), facts.shop.policy.offer_names
    if visible is None:
        items = today(facts.shop, actor, facts.run_items(), now=now).items
    else:
        items = today(facts.shop, actor, None, now=now, among=visible).items
        items = tuple(item for item in items if item.kind in OWN_WORK)
    lines = [DigestLine(_sentence(item, names, words, formats), item.link) for item in items[:TODAY_LINES]]
    if more := len(items) - len(lines):
        lines.append(DigestLine(words("digest.more", n=more, count=formats.count(more)), "/"))
    nothing = (DigestLine(words("today.nothing"), "/"),)
    return DigestSection(DigestPart.TODAY, words("today.decide"), "/", tuple(lines) or nothing)


def _sentence(item: TodayItem, names: dict[str, str], words: Words, formats: Formats) -> str:
    if item.kind in FREE_TEXTS:
        return words(f"digest.{item.kind}")
    text = today_sentence(item, names, words, formats)
    if not item.value_cents or formats.whole_money(item.value_cents) in text:
        return text
    return f"{text} ({words('today.stake', value=formats.short_money(item.value_cents))})"


def _questions(facts: DigestFacts, words: Words, formats: Formats) -> DigestSection:
    pinned = (question for question in list_questions(facts.shop) if question.is_pinned)
    tables = tuple(_table(facts, one, words, formats) for one in pinned)
    lines = () if tables else (DigestLine(words("digest.no_questions"), "/explore/questions"),)
    return DigestSection(DigestPart.QUESTIONS, words("digest.questions"), link="/explore", lines=lines, tables=tables)


def _table(facts: DigestFacts, question: QuestionInfo, words: Words, formats: Formats) -> DigestTable:
    name = words(f"ready_question.{question.code}") if question.code else question.name
    link = f"/explore/questions/{quote(question.question_id)}"
    try:
        result = facts.result(question.sql)
    except BadQuery:
        return DigestTable(name, link, note=words("digest.no_answer"))
    if not result.rows:
        return DigestTable(name, link, note=words("digest.no_rows"))
    columns = result.columns[:COLUMNS]
    head = tuple(column_name(column.name, words) for column in columns)
    rows = (
        tuple(cell_text(column, cell, words, formats) for column, cell in zip(columns, row, strict=False))
        for row in _first_rows(result)
    )
    numbers = tuple(n > 0 and column.kind == "number" for n, column in enumerate(columns))
    notes = (_more_rows(result, words, formats), _more_columns(result, words))
    return DigestTable(
        name, link, head=head, rows=tuple(rows), numbers=numbers, note=" ".join(note for note in notes if note)
    )


def _more_columns(result: QuestionResult, words: Words) -> str:
    more = len(result.columns) - COLUMNS
    return words("digest.more_columns", n=more) if more > 0 else ""


def _more_rows(result: QuestionResult, words: Words, formats: Formats) -> str:
    if len(result.rows) <= ROWS:
        return ""
    count = formats.count(len(result.rows)) + ("+" if result.is_cut else "")
    return words("digest.some_rows", shown=formats.count(ROWS), count=count)


def _first_rows(result: QuestionResult) -> Iterator[tuple[Cell, ...]]:
    """The first rows; over a time the last ones, the newest first, as that is what is new."""
    if result.columns[0].kind != "time":
        return iter(result.rows[:ROWS])
    dated = [(row[0], row) for row in result.rows if isinstance(row[0], datetime)]
    newest = sorted(dated, key=lambda one: one[0], reverse=True)[:ROWS]
    return (row for _, row in newest)


def _brief(facts: DigestFacts, words: Words, formats: Formats) -> DigestSection:
    parts = brief_parts(facts.brief(), facts.shop.policy.offer_names, words, formats)
    lines = tuple(DigestLine(line.text, line.link) for part in parts for line in part.lines)
    return DigestSection(DigestPart.BRIEF, words("digest_part.brief"), "/brief", lines)
