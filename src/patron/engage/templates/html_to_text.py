"""The text part of a message from its HTML: what a reader without pictures and colours sees."""

import re
from html.parser import HTMLParser

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
LISTS = ("dl", "dt", "dd", "li", "ol", "ul")
BLOCKS = frozenset(
    (*HEADINGS, *LISTS, "address", "article", "blockquote", "div", "footer", "header", "hr", "p", "table")
)
ROW = "tr"
SILENT = frozenset(("head", "script", "style", "title", "noscript"))
Attributes = list[tuple[str, str | None]]


def text_of_html(html: str, *, kept_comment: re.Pattern[str] | None = None) -> str:
    """Plain text; a link is its words and its address, a picture its description. Comments of a pattern stay."""
    reader = _Reader(kept_comment)
    reader.feed(html)
    reader.close()
    lines = (re.sub(r"[ \t\r\f\v\xa0]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self, kept_comment: re.Pattern[str] | None) -> None:
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
        if self._kept and self._kept.fullmatch(data) and not self._silent:
            self.parts.append(f"<!--{data}-->")

    def _start_line(self) -> None:
        if self.parts and not self.parts[-1].endswith("\n"):
            self.parts.append("\n")
