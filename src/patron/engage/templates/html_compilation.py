"""Body of a template compiled once to HTML with its CSS inlined, and to text, with the Liquid in it as it was written.

MJML and CSS know no Liquid. So each of its tags is replaced by a mark first, and the marks by the tags last: a word
where it stands within an HTML tag or puts a value into a text, else a comment, which HTML allows everywhere, as between
the rows of a table.
"""

import re

import css_inline
import mrml

from patron.engage.templates.html_to_text import text_of_html
from patron.schema.errors import BadTemplate

LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
MARK = re.compile(r"<!--lq\d+q-->|lq\d+q")
MARKS_BEFORE_ROWS = re.compile(r"((?:<!--lq\d+q-->)+)<tbody>")
"""The parser opens a table's body at its first row, after the tag of a loop over rows."""
MARK_COMMENT = re.compile(r"lq\d+q")
MOST_BYTES = 200_000
"""Size of a body as written."""
INLINER = css_inline.CSSInliner(keep_style_tags=True, keep_link_tags=True, load_remote_stylesheets=False)
OPTIONS = mrml.RenderOptions(fonts={})
"""No font of somebody else's server: it would learn who reads what."""
TODO = "Correct the template, then save the file again."


def compile_body(body: str, body_format: str, *, where: str) -> tuple[str, str]:
    """HTML and text, both in Liquid; the HTML of a text is empty. Raises BadTemplate."""
    if len(body.encode()) > MOST_BYTES:
        raise BadTemplate(f"is larger than {MOST_BYTES:,} bytes", where=where, todo="Shorten it.")
    if body_format == "text":
        return "", body
    if reserved := MARK.search(body):
        raise BadTemplate(f"has the word {reserved[0]!r}, which is reserved", where=where, todo=TODO)
    tags: list[str] = []
    marked = _mark(body, tags)
    html = _html_of_mjml(marked, where) if body_format == "mjml" else marked
    try:
        html = INLINER.inline(html)
    except (css_inline.InlineError, ValueError) as error:
        raise BadTemplate(f"has CSS that cannot be used ({error})", where=where, todo=TODO) from error
    lost = [tags[n] for n in range(len(tags)) if not re.search(rf"lq{n}q", html)]
    if lost:
        what = f"{lost[0]} stands where MJML takes no text"
        raise BadTemplate(what, where=where, todo="Move it into mj-text, mj-button, mj-table or mj-raw.")
    html = MARKS_BEFORE_ROWS.sub(r"<tbody>\1", html)
    text = text_of_html(html, kept_comment=MARK_COMMENT)
    return _restore(html, tags), _restore(text, tags)


def _mark(body: str, tags: list[str]) -> str:
    parts, end = [], 0
    for match in LIQUID.finditer(body):
        parts.append(body[end : match.start()])
        before = body[: match.start()]
        is_within_tag = before.rfind("<") > before.rfind(">") or match[0].startswith("{{")
        mark = f"lq{len(tags)}q"
        parts.append(mark if is_within_tag else f"<!--{mark}-->")
        tags.append(match[0])
        end = match.end()
    return "".join((*parts, body[end:]))


def _restore(marked: str, tags: list[str]) -> str:
    return MARK.sub(lambda match: tags[int(re.sub(r"\D", "", match[0]))], marked)


def _html_of_mjml(mjml: str, where: str) -> str:
    try:
        output = mrml.to_html(mjml, mrml.ParserOptions(include_loader=mrml.noop_loader()), OPTIONS)
    except OSError as error:
        raise BadTemplate(f"is not valid MJML ({error})", where=where, todo=TODO) from error
    if output.warnings:
        raise BadTemplate(f"is not valid MJML ({output.warnings[0]})", where=where, todo=TODO)
    unknown = re.search(r"<(mj-[\w-]+)", output.content)
    if unknown:
        raise BadTemplate(f"has an element <{unknown[1]}> that MJML does not know there", where=where, todo=TODO)
    return output.content
