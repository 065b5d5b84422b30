"""Body of a template compiled once to HTML with its CSS inlined, and to text, with the Liquid in it as it was written.

MJML and CSS know no Liquid. So each of its tags is replaced by a mark first, and the marks by the tags last: a word
where it stands within an HTML tag or puts a value into a text, else a comment, which HTML allows everywhere, as between
the rows of a table.
"""

import re
from html.parser import HTMLParser

import css_inline
import mrml

from patron.schema.common_sentences import SHORTEN
from patron.schema.errors import BadTemplate
from patron.schema.sentences import Sentence

MJML_PLACE = Sentence("mjml_place", "{text} stands where MJML allows no text")
MJML_BYTES = Sentence("mjml_bytes", "is larger than {count:,} bytes")
MJML_RESERVED = Sentence("mjml_reserved", "uses the reserved word {word!r}")
MJML_INVALID = Sentence("mjml_invalid", "is not valid MJML ({cause})")
CSS_INVALID = Sentence("css_invalid", "has CSS that cannot be used ({cause})")
MJML_ELEMENT = Sentence("mjml_element", "has an element <{name}> that MJML does not know there")
MJML_MOVE = Sentence("mjml_move", "Move it into mj-text, mj-button, mj-table or mj-raw.")

MJML_DEEP = Sentence("mjml_deep", "has elements that are nested more than {count} deep")
MJML_FLATTEN = Sentence("mjml_flatten", "Close the elements that are left open, or nest fewer.")

LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
MARK = re.compile(r"<!--lq\d+q-->|lq\d+q")
MARKS_BEFORE_ROWS = re.compile(r"((?:<!--lq\d+q-->)+)<tbody>")
"""The parser opens a table's body at its first row, after the tag of a loop over rows."""
MARK_COMMENT = re.compile(r"lq\d+q")
MAX_BYTES = 200_000
"""Size of a body as written."""
MAX_DEPTH = 200
"""Elements within elements: what compiles them calls itself for each."""
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
LISTS = ("dl", "dt", "dd", "li", "ol", "ul")
BLOCKS = frozenset(
    (*HEADINGS, *LISTS, "address", "article", "blockquote", "div", "footer", "header", "hr", "p", "table")
)
CELLS, TERMS = frozenset(("td", "th")), frozenset(("dd", "dt"))
ENDS = {
    **dict.fromkeys(BLOCKS, frozenset(("p",))),
    **dict.fromkeys(CELLS, CELLS),
    **dict.fromkeys(TERMS, TERMS),
    "li": frozenset(("li", "p")),
    "option": frozenset(("option",)),
    "tr": CELLS | {"tr"},
}
"""Elements that end where another one begins, if nothing ended them before."""
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
INLINER = css_inline.CSSInliner(keep_style_tags=True, keep_link_tags=True, load_remote_stylesheets=False)
OPTIONS = mrml.RenderOptions(fonts={})
"""No font of somebody else's server: it would learn who reads what."""
ROW = "tr"
SILENT = frozenset(("head", "script", "style", "title", "noscript"))
Attributes = list[tuple[str, str | None]]
TODO = Sentence("template_todo", "Correct the template, then save the file again.")


def compile_body(body: str, body_format: str, *, where: str) -> tuple[str, str]:
    """HTML and text of a body, both with their Liquid; a plain text has no HTML. Raises BadTemplate."""
    if len(body.encode()) > MAX_BYTES:
        raise BadTemplate(MJML_BYTES(count=MAX_BYTES), where=where, todo=SHORTEN)
    if body_format == "text":
        return "", body
    if reserved := MARK.search(body):
        raise BadTemplate(MJML_RESERVED(word=reserved[0]), where=where, todo=TODO)
    tags: list[str] = []
    marked = _mark(body, tags)
    _require_flat(marked, where)
    html = _html_of_mjml(marked, where) if body_format == "mjml" else marked
    _require_flat(html, where)
    try:
        html = INLINER.inline(html)
    except (css_inline.InlineError, ValueError) as error:
        raise BadTemplate(CSS_INVALID(cause=error), where=where, todo=TODO) from error
    lost = [tags[n] for n in range(len(tags)) if not re.search(rf"lq{n}q", html)]
    if lost:
        what = MJML_PLACE(text=lost[0])
        raise BadTemplate(what, where=where, todo=MJML_MOVE)
    html = MARKS_BEFORE_ROWS.sub(r"<tbody>\1", html)
    text = _text_of_html(html, MARK_COMMENT)
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
        raise BadTemplate(MJML_INVALID(cause=error), where=where, todo=TODO) from error
    if output.warnings:
        raise BadTemplate(MJML_INVALID(cause=output.warnings[0]), where=where, todo=TODO)
    unknown = re.search(r"<(mj-[\w-]+)", output.content)
    if unknown:
        raise BadTemplate(MJML_ELEMENT(name=unknown[1]), where=where, todo=TODO)
    return output.content


def _require_flat(markup: str, where: str) -> None:
    """Raise BadTemplate for elements that are nested deeper than any message needs."""
    reader = _DepthReader()
    reader.feed(markup)
    reader.close()
    if reader.deepest > MAX_DEPTH:
        raise BadTemplate(MJML_DEEP(count=MAX_DEPTH), where=where, todo=MJML_FLATTEN)


class _DepthReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.deepest = 0
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:  # noqa: ARG002 - as a parser calls it
        if tag in VOID or len(self._open) > MAX_DEPTH:
            return
        while self._open and self._open[-1] in ENDS.get(tag, ()):
            self._open.pop()
        self._open.append(tag)
        self.deepest = max(self.deepest, len(self._open))

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        """An element that ends where it begins is one in MJML; HTML reads it as one that goes on."""
        if not tag.startswith("mj"):
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass


def _text_of_html(html: str, kept_comment: re.Pattern[str]) -> str:
    """Plain text; a link is its words and its address, a picture its description. Comments of a pattern stay."""
    reader = _Reader(kept_comment)
    reader.feed(html)
    reader.close()
    lines = (re.sub(r"[ \t\r\f\v\xa0]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self, kept_comment: re.Pattern[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._kept = kept_comment
        self._silent = 0
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        values = dict(attrs)
        if tag in SILENT:
            self._silent += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag in BLOCKS or tag == ROW:
            self._start_line()
            if tag == "li":
                self.parts.append("- ")
        elif tag == "td":
            self.parts.append(" ")
        elif tag == "img" and values.get("alt"):
            self.parts.append(values["alt"] or "")
        elif tag == "a":
            self._links.append((values.get("href") or "", len(self.parts)))

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in BLOCKS or tag == ROW:
            self._start_line()
            if tag in (*HEADINGS, "p", "table"):
                self.parts.append("\n")
        elif tag == "a" and self._links:
            address, start = self._links.pop()
            words = "".join(self.parts[start:]).strip()
            if address and not address.startswith("#") and address.removeprefix("mailto:") != words:
                self.parts.append(f" ({address.removeprefix('mailto:')})" if words else address)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(re.sub(r"\s+", " ", data))

    def handle_comment(self, data: str) -> None:
        if self._kept.fullmatch(data) and not self._silent:
            self.parts.append(f"<!--{data}-->")

    def _start_line(self) -> None:
        if self.parts and not self.parts[-1].endswith("\n"):
            self.parts.append("\n")
