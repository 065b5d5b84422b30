"""What somebody might send to bring a server down: files, templates, rules, queries and JSON, each made by a few words.

Small things that are large once they are read, things within things, things that never end, and broken ones.
"""

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LINK = '<a href="{{ unsubscribe_url }}">x</a>'
TEXT_LINK = " {{ unsubscribe_url }}"
Files = dict[str, Callable[[], bytes]]


def files() -> Files:
    """Files by name; the ending says as what they are sent."""
    return {**_text_files(), **_json_files(), **_parquet_files(), **_archives(), **_damaged_files()}


def _text_files() -> Files:
    rows = b"order_id,user_id,occurred_at,revenue\n" + b"1,2,2026-01-01,3\n" * 50
    return {
        "300000-columns.csv": lambda: _csv(300_000, 1),
        "1001-columns.csv": lambda: _csv(1_001, 2),
        "1000-columns.csv": lambda: _csv(1_000, 120),
        "long-header.csv": lambda: b"a" * 200_000 + b"\n1\n",
        "long-names.csv": lambda: (
            b",".join(b"%d%s" % (n, b"x" * 600) for n in range(100)) + b"\n" + b"1," * 99 + b"1\n"
        ),
        "header-of-quotes.csv": lambda: b'"' * 60_001 + b"\n1\n",
        "header-that-goes-on.csv": lambda: b'"' + b"a\n" * 100_000,
        "header-of-commas.csv": lambda: b"," * 60_000 + b"\n1\n",
        "header-alone.csv": lambda: b"a,b,c",
        "open-quote.csv": lambda: b'a,b\n"' + b"x,y\n" * 40_000,
        "open-quote-long-lines.csv": lambda: b'a,b\n"' + (b"x" * 5_000 + b"\n") * 200,
        "open-quote-at-the-end.csv": lambda: rows + b'9,"9,2026-01-01,9',
        "quotes-in-turn.csv": lambda: b"a,b\n" + b'"\n' * 30_000,
        "quotes-of-quotes.csv": lambda: b"a,b\n" + b'"""' * 60_000 + b",1\n",
        "one-line.csv": lambda: b"a,b\n" + b"x" * 3_000_000,
        "line-feeds.csv": lambda: b"a\n" + b"\n" * 3_000_000,
        "carriage-returns.csv": lambda: b"a,b\r" + b"1,2\r" * 50_000,
        "commas.csv": lambda: b"a,b\n" + b"," * 3_000_000,
        "zeros.csv": lambda: b"a,b\n" + b"\0" * 1_000_000,
        "zero-in-header.csv": lambda: b"a\0,b\n1,2\n",
        "not-utf-8.csv": lambda: b"a,b\n" + b"\xff\xfe\xfd" * 50_000,
        "overlong-utf-8.csv": lambda: b"a,b\n" + b"\xc0\xaf" * 50_000,
        "marks-of-order.csv": lambda: b"\xff\xfe" * 50_000,
        "utf-16.csv": lambda: ("a,b\n" + "1,2\n" * 50_000).encode("utf-16"),
        "utf-32.csv": lambda: ("a,b\n" + "1,2\n" * 5_000).encode("utf-32"),
        "odd-utf-16.csv": lambda: ("a,b\n" + "1,2\n" * 500).encode("utf-16") + b"\0",
        "utf-7.csv": lambda: b"a,b\n+ADw-script+AD4-,1\n" * 10,
        "formulas.csv": lambda: b"a,b\n" + b'=cmd|"/c calc"!A1,@SUM(1)\n' * 100,
        "formula-names.csv": lambda: b"=1+1,@x,+y,-z\n1,2,3,4\n",
        "script-names.csv": lambda: b'<script>alert(1)</script>,"><img src=x onerror=alert(1)>\n1,2\n',
        "sql-names.csv": lambda: b'a\'); drop table events; --,b""c\n1,2\n',
        "names-of-ours.csv": lambda: b"_row,_hash,_occurrence,problem\n1,2,3,4\n",
        "same-names.csv": lambda: b"a,a,A\n1,2,3\n",
        "blank-names.csv": lambda: b",,,\n1,2,3,4\n",
        "controls.csv": lambda: bytes(range(32)) * 1_000,
        "directions.csv": "\u202ea,b\u202c\n1,2\n".encode,
        "marks-upon-marks.csv": ("a,b\n" + "e" + "\u0301" * 100_000 + ",1\n").encode,
        "long-number.csv": lambda: rows + b"1,2,2026-01-01," + b"9" * 300_000 + b"\n",
        "exponents.csv": lambda: rows + b"1,2,2026-01-01,1e999999999\n" * 20,
        "times-far-away.csv": lambda: rows + b"1,2,999999-99-99T99:99:99,3\n1,2,-292277022399-01-01,3\n",
        "no-names.csv": lambda: b"1001,anna@shop.example,2026-01-01,3\n" * 5,
        "ragged.csv": lambda: b"a,b\n" + b"".join(b"1," * (n % 300) + b"\n" for n in range(3_000)),
        "tabs.csv": lambda: b"a\tb;c|d\n" + b"1\t2;3|4\n" * 1_000,
        "one-byte.csv": lambda: b"\n",
        "blanks.csv": lambda: b" " * 1_000_000,
        "no-ending": lambda: rows,
    }


def _json_files() -> Files:
    return {
        "80000-keys.jsonl": lambda: b"".join(b'{"k%d":1}\n' % n for n in range(80_000)),
        "80000-keys-in-one.jsonl": lambda: json.dumps({f"k{n}": 1 for n in range(80_000)}).encode() + b"\n",
        "keys-late.jsonl": lambda: b'{"a":1}\n' * 1_500 + b"".join(b'{"k%d":1}\n' % n for n in range(5_000)),
        "900-keys.jsonl": lambda: (json.dumps({f"k{n}": n for n in range(900)}).encode() + b"\n") * 500,
        "deep-list.jsonl": lambda: b'{"a":' + b"[" * 300_000 + b"]" * 300_000 + b"}\n",
        "deep-objects.jsonl": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n",
        "deep-but-short.jsonl": lambda: (b'{"a":' + b"[" * 900 + b"]" * 900 + b"}\n") * 100,
        "open-brackets.jsonl": lambda: b"[" * 900_000,
        "long-line.jsonl": lambda: b'{"a":"' + b"x" * (3 << 20) + b'"}\n',
        "long-key.jsonl": lambda: b'{"' + b"k" * 900_000 + b'":1}\n',
        "no-line-feed.jsonl": lambda: b'{"a":1}' * 200_000,
        "one-array.json": lambda: json.dumps([{"a": n} for n in range(20_000)]).encode(),
        "numbers.jsonl": lambda: b"1e999\n" * 1_000,
        "long-number.jsonl": lambda: b'{"a":' + b"9" * 500_000 + b"}\n",
        "long-exponent.jsonl": lambda: b'{"a":1e' + b"9" * 500_000 + b"}\n",
        "lone-surrogates.jsonl": lambda: b'{"a":"\\ud800"}\n' * 100,
        "same-keys.jsonl": lambda: b'{"a":1,"a":2}\n' * 100,
        "prototype.jsonl": lambda: b'{"__proto__":{"a":1},"constructor":2}\n' * 100,
        "no-number.jsonl": lambda: b'{"a":NaN,"b":Infinity}\n' * 100,
        "empty-key.jsonl": lambda: b'{"":1}\n' * 100,
        "null-lines.jsonl": lambda: b"null\n" * 10_000,
        "cut-off.jsonl": lambda: b'{"a":1}\n' * 100 + b'{"a":',
        "zeros.jsonl": lambda: b"\0" * 1_000_000,
        "not-utf-8.jsonl": lambda: b'{"a":"\xff"}\n' * 100,
        "messages.jsonl": lambda: b'{"messageId":"1","userId":"2","type":"track","event":{}}\n' * 100,
    }


def _parquet_files() -> Files:
    return {
        "dictionary.parquet": lambda: _parquet({"a": _repeated("x" * (2 << 20), 50_000), "n": _noise(50_000)}),
        "dictionary-of-one.parquet": lambda: _parquet({"a": _repeated("x" * (2 << 20), 60)}),
        "dictionaries.parquet": lambda: _parquet({f"c{n}": _repeated("x" * 500_000, 400) for n in range(20)}),
        "long-texts.parquet": lambda: _parquet({"a": ["x" * (1 << 20)] * 60}, use_dictionary=False),
        "one-long-text.parquet": lambda: _parquet({"a": ["x" * (30 << 20)], "b": [1]}),
        "lists.parquet": lambda: _parquet({"a": [["y" * 100_000] * 100] * 20}),
        "list-of-many.parquet": lambda: _parquet({"a": [[0] * 2_000_000] * 5}),
        "rows-alike.parquet": lambda: _parquet({"a": pa.nulls(20_000_000, pa.int8())}),
        "20000-columns.parquet": lambda: _parquet({f"c{n}": [1] for n in range(20_000)}),
        "1000-columns.parquet": lambda: _parquet({f"c{n}": ["x"] * 200 for n in range(1_000)}),
        "deep-lists.parquet": lambda: _parquet({"a": pa.array([None], _nested(60))}),
        "structs.parquet": lambda: _parquet({"a": [{f"k{n}": n for n in range(2_000)}] * 10}),
        "maps.parquet": lambda: _parquet({"a": pa.array([[("k", 1)] * 1_000] * 10, pa.map_(pa.string(), pa.int64()))}),
        "bytes.parquet": lambda: _parquet({"a": [b"\xff\0" * 100] * 100}),
        "decimals.parquet": lambda: _parquet({"a": pa.array([None] * 10, pa.decimal256(76, 70))}),
        "times.parquet": lambda: _parquet({"a": pa.array([2**62, -(2**62)], pa.timestamp("ns", "UTC"))}),
        "no-number.parquet": lambda: _parquet({"a": [float("nan"), float("inf"), -0.0]}),
        "same-names.parquet": lambda: _table_bytes(pa.table([[1], [2]], names=["a", "a"])),
        "blank-names.parquet": lambda: _table_bytes(pa.table([[1], [2]], names=["", " "])),
        "script-names.parquet": lambda: _parquet({"<script>alert(1)</script>": [1], "a'b\"c": [2]}),
        "long-names.parquet": lambda: _parquet({"n" * 500_000: [1]}),
        "a-longer-name.parquet": lambda: _parquet({"n" * 3_000_000: [1]}),
        "many-long-names.parquet": lambda: _parquet({f"{n}" + "n" * 2_000: [1] for n in range(990)}),
        "no-columns.parquet": lambda: _table_bytes(pa.table({})),
        "no-rows.parquet": lambda: _parquet({"a": pa.array([], pa.string())}),
        "metadata.parquet": lambda: _table_bytes(pa.table({"a": [1]}).replace_schema_metadata({"m": "x" * (20 << 20)})),
        "row-groups.parquet": lambda: _table_bytes(pa.table({"a": range(3_000)}), row_group_size=1),
        "csv.parquet": lambda: _csv(5, 10),
        "nothing.parquet": lambda: b"PAR1PAR1",
        "footer-of-4-gb.parquet": lambda: b"PAR1" + struct.pack("<I", 0xFFFFFFF0) + b"PAR1",
        "footer-of-noise.parquet": lambda: b"PAR1" + b"\xff" * 5_000 + struct.pack("<I", 5_000) + b"PAR1",
        "footer-of-lists.parquet": lambda: b"PAR1" + b"\x19\xfc" * 2_500 + struct.pack("<I", 5_000) + b"PAR1",
        "encrypted.parquet": lambda: b"PARE" + b"\0" * 500 + struct.pack("<I", 100) + b"PARE",
    }


def _archives() -> Files:
    kinds = {
        "gzip.csv": b"\x1f\x8b\x08",
        "bzip2.csv": b"BZh9",
        "xz.csv": b"\xfd7zXZ\0",
        "zstandard.csv": b"(\xb5/\xfd",
        "7zip.csv": b"7z\xbc\xaf\x27\x1c",
        "rar.csv": b"Rar!\x1a\x07",
        "workbook.xls": b"\xd0\xcf\x11\xe0",
        "paper.pdf": b"%PDF-1.7",
        "page.html": b"<!doctype html><html>",
        "picture.png": b"\x89PNG\r\n\x1a\n",
        "program.exe": b"MZ\x90\0",
    }
    return {
        **{name: lambda mark=mark: mark + b"\0\1\2\3" * 1_000 for name, mark in kinds.items()},
        "20000-entries.zip": lambda: _zip([(f"xl/{n}", b"") for n in range(20_000)]),
        "zeros.zip": lambda: _zip([("a.csv", b"\0" * (50 << 20))]),
        "ways-out.zip": lambda: _zip([("../../etc/passwd", b"x"), ("/etc/passwd", b"x")]),
        "workbook.xlsx": lambda: _zip([("xl/workbook.xml", b"<a>" * 10_000)]),
        "cut-off.zip": lambda: _zip([("a.csv", b"a,b\n1,2\n")])[:-10],
        "sheet.ods": lambda: _zip([("content.xml", b"<a/>")]),
    }


def _damaged_files() -> Files:
    """A good file of each kind, cut off and changed at places that a seed chooses."""
    rng = random.Random(38)  # noqa: S311 - the same each time
    good = {
        "csv": _csv(6, 100),
        "jsonl": b"".join(b'{"order_id":"%d","user_id":"u","revenue":1}\n' % n for n in range(100)),
        "parquet": _parquet({"order_id": [str(n) for n in range(300)], "revenue": list(range(300))}),
    }
    damaged: Files = {}
    for ending, whole in good.items():
        for number in range(4):
            place = rng.randrange(1, len(whole))
            damaged[f"cut-{number}.{ending}"] = lambda whole=whole, place=place: whole[:place]
        for number in range(8):
            changed = bytearray(whole)
            for _ in range(number * 3 + 1):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            damaged[f"changed-{number}.{ending}"] = lambda changed=changed: bytes(changed)
    return damaged


def templates(size: int = 18_000) -> dict[str, tuple[str, str]]:
    """Bodies of messages and their formats, by name; of so many characters at most, or a little more."""

    def fill(text: str) -> str:
        return text * (size // len(text))

    html = {f"<{tag}>": fill(f"<{tag}>") + LINK for tag in ("q", "div", "b", "a", "span", "ul", "svg", "math", "font")}
    html |= {f"<{tags}>": fill("".join(f"<{one}>" for one in tags.split())) + LINK for tags in (
        *("table tr td", "ul li", "p b", "nobr p", "svg g", "math mi", "select option", "dl dt", "b i u", "form div"),
        *("template div", "noscript p", "object embed", "ruby rt", "details summary", "button a", "h1 h2", "section p"),
    )}  # fmt: skip
    html |= {
        "closed": fill("<i>") + fill("</i>") + LINK,
        "closed wrongly": fill("<i><b>") + fill("</i></b>") + LINK,
        "only ends": fill("</div>") + LINK,
        "comments": fill("<!-->") + LINK,
        "open comments": fill("<!--") + LINK,
        "open brackets": fill("<"),
        "open tags": fill("<a "),
        "open ends": fill("</"),
        "sections": fill("<![CDATA[") + LINK,
        "instructions": fill("<?") + LINK,
        "attributes": "<a " + " ".join(f"a{n}=1" for n in range(15_000)) + ">" + LINK,
        "an attribute": f"<a x='{fill('y')}'>" + LINK,
        "entities": fill("&a;") + LINK,
        "an entity": "&#" + fill("9") + ";" + LINK,
        "script": fill("<script>") + LINK,
        "script that hides": "<script><b></script>" + fill("<i>") + LINK,
        "rawtext": "<textarea>" + fill("<i>") + LINK,
        "plaintext": "<plaintext>" + fill("<i>") + LINK,
        "zeros": fill("\0") + LINK,
        "paragraphs": "<b>" * 50 + fill("<p>") + LINK,
        "styles": "<style>" + fill("*{}") + "</style>" + fill("<b></b>") + LINK,
        "rules in rules": "<style>" + fill("@media a{") + "</style>" + LINK,
        "parentheses": "<style>a{b:" + fill("(") + "</style>" + LINK,
        "selectors": "<style>" + fill(":not(") + "</style>" + LINK,
        "descendants": "<style>" + fill("a ") + "{x:y}</style>" + fill("<a></a>") + LINK,
        "an import": "<style>@import 'http://127.0.0.1:1/a.css';</style><link rel=stylesheet href=file:///etc/passwd>"
        + LINK,
        "a style": "<p style='" + fill("a:((") + "'>" + LINK,
        "urls": "<p style='background:url(" + fill("x") + ")'>" + LINK,
    }
    mjml = {
        name: f"<mjml><mj-body>{body}</mj-body></mjml>"
        for name, body in {
            "wrappers": fill("<mj-wrapper>"),
            "wrappers closed": fill("<mj-wrapper>") + fill("</mj-wrapper>"),
            "sections": fill("<mj-section>"),
            "columns": "<mj-section>" + fill("<mj-column>"),
            "raw": "<mj-raw>" + fill("<b>") + "</mj-raw>",
            "text": "<mj-section><mj-column><mj-text>" + fill("<b>") + "</mj-text></mj-column></mj-section>",
            "table": "<mj-section><mj-column><mj-table>" + fill("<tr><td>") + "</mj-table></mj-column></mj-section>",
            "an include": '<mj-include path="/etc/passwd"/>',
            "an include from elsewhere": '<mj-include path="http://127.0.0.1:1/a.mjml"/>',
            "accordions": fill("<mj-accordion>"),
            "navbar": fill("<mj-navbar>"),
            "unknown": fill("<mj-nothing>"),
            "entities": '<!DOCTYPE a [<!ENTITY b "c">]>&b;',
            "attributes": "<mj-section " + fill("a='b' ") + "/>",
        }.items()
    }
    mjml["a laugh"] = (
        "<!DOCTYPE m ["
        + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
        + "]><mjml>&l11;</mjml>"
    )
    liquid = {
        "ifs": fill("{% if a %}") + fill("{% endif %}"),
        "loops in loops": "{% for i in (1..1000) %}" * 20 + "x" + "{% endfor %}" * 20,
        "a long range": "{% for i in (1..1000000000000) %}x{% endfor %}",
        "a range joined": "{{ (1..1000000000) | join: ',' }}",
        "ors": "{% if " + fill("a or ") + "a %}{% endif %}",
        "a path": "{{ a" + fill(".b") + " }}",
        "brackets": "{{ " + fill("a[") + fill("]") + " }}",
        "filters": "{{ 'a'" + fill("| upcase") + " }}",
        "growth": "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 60 + "{{ a }}",
        "replacements": "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | replace: 'x', a %}" * 20 + "{{ a }}",
        "conditions in a loop": "{% for i in (1..1000) %}" + "{% if i == 3 %}x{% endif %}" * 330 + "{% endfor %}",
        "filters in a loop": "{% for i in (1..1000) %}"
        + "{{ i | append: 'xx' | replace: 'x', 'yy' }}" * 180
        + "{% endfor %}",
        "a liquid tag": "{% liquid " + fill("\n assign x = 1") + " %}",
        "open outputs": fill("{{"),
        "open tags": fill("{%"),
        "raw": fill("{% raw %}"),
        "comments": fill("{% comment %}"),
        "an include": "{% include '/etc/passwd' %}{% render 'x' %}",
        "numbers": "{{ 99999999999999999999 | times: 99999999999999999999 | plus: 1e308 }}",
        "division": "{{ 1 | divided_by: 0 }}{{ 1 | modulo: 0 }}",
        "a long text": "{{ '" + fill("x") + "' | split: '' | join: ',' }}",
        "truncation": "{{ 'a' | truncate: 99999999999 }}{{ 'a' | slice: -99999999999, 99999999999 }}",
        "a date": "{{ '9' | date: '%" + fill("9") + "Y' }}",
        "tables": "{% tablerow i in (1..1000) cols:1 %}" * 5 + "{% endtablerow %}" * 5,
        "cycles": "{% cycle " + fill("'a',") + "1 %}",
        "cases": "{% case a %}" + fill("{% when 1 %}x") + "{% endcase %}",
        "class": "{{ ''.__class__.__mro__ }}{{ customer.__class__.__init__.__globals__ }}",
        "values of a case in a loop": "{% for i in (1..1000) %}{% case 1 %}{% when "
        + "2," * (size // 4)
        + "2 %}{% endcase %}{% endfor %}",
        "values of a cycle in a loop": "{% for i in (1..1000) %}{% cycle " + "1," * (size // 4) + "1 %}{% endfor %}",
        "assignments in a loop": "{% for i in (1..1000) %}" + "{% assign a = 1 %}" * 400 + "{% endfor %}",
        "brackets in brackets": "{{ " + "now[" * 500 + "1" + "]" * 500 + " }}",
        "ranges in ranges": "{% assign a = " + "(1.." * 400 + "1" + ")" * 400 + " %}",
        "counters": fill("{% increment a %}"),
        "marks of ours": "lq0q <!--lq1q--> {{ customer.first_name }}",
    }
    return {
        **{f"HTML of {name}": (body, "html") for name, body in html.items()},
        **{f"MJML of {name}": (body, "mjml") for name, body in mjml.items()},
        **{f"Liquid of {name}": (body + TEXT_LINK, "text") for name, body in liquid.items()},
    }


def rules() -> dict[str, str]:
    """Rules of segments, as JSON."""
    value = {"field": "city", "op": "=", "value": "x"}
    made = {
        "many": {"all": [value] * 20_000},
        "wide and deep": {"all": [{"any": [{"all": [value] * 20}] * 20}] * 20},
        "a long list": {"field": "city", "op": "in", "value": ["x" * 100] * 20_000},
        "a long text": {"field": "city", "op": "=", "value": "x" * 500_000},
        "a long name": {"field": "x" * 100_000, "op": "=", "value": "x"},
        "a number": {"field": "order_count", "op": ">=", "value": 10**400},
        "a float": {"field": "order_count", "op": ">=", "value": 1e308},
        "a quote": {"field": "city", "op": "=", "value": "'); drop table customers; --"},
        "a zero": {"field": "city", "op": "=", "value": "\0"},
        "a surrogate": {"field": "city", "op": "=", "value": "\ud800"},
        "a path": {"field": "../../etc/passwd", "op": "=", "value": "x"},
        "an operator": {"field": "city", "op": "; --", "value": "x"},
        "itself": {"segment": "hostile"},
        "no segment": {"segment": "x" * 100_000},
        "an event": {"event": "x" * 100_000, "at_least": 1},
        "days": {"event": "Order Completed", "within_days": 10**18},
        "less than nothing": {"event": "Order Completed", "within_days": -(10**18)},
        "nothing": {},
        "null": None,
        "a list": [],
        "a text": "all",
        "many keys": {f"k{n}": n for n in range(20_000)},
        "a prototype": {"__proto__": {"all": []}},
        "everything": {"all": [], "any": [], "not": {}, "segment": "x"},
        "a pattern": {"field": "city", "op": "like", "value": "(a+)+$" * 1_000},
    }
    inner = json.dumps(value)
    return {name: json.dumps(rule) for name, rule in made.items()} | {
        "all": '{"all":[' * 500 + inner + "]}" * 500,
        "any": '{"any":[' * 5_000 + inner + "]}" * 5_000,
        "not": '{"not":' * 500 + inner + "}" * 500,
        "lists": "[" * 5_000 + "]" * 5_000,
        "lists that stay open": "[" * 100_000,
        "no number": '{"field":"order_count","op":">=","value":NaN}',
    }


def queries() -> dict[str, str]:
    """Statements for whoever may ask in SQL."""
    short = {
        "endless": "with recursive t(n) as (select 1 union all select n + 1 from t) select max(n) from t",
        "rows": "select * from range(1000000000000)",
        "pairs": "select count(*) from events a, events b, events c, events d",
        "columns": f"select {','.join(['c.*'] * 400)} from customers c, range(1000)",
        "numbered columns": f"select {','.join(map(str, range(1_200)))} from range(1000)",
        "a text": "select repeat('x', 2000000000)",
        "texts": "select repeat('x', 1000000) from range(100000)",
        "a list": "select range(1000000000)",
        "a file": "select * from read_csv('/etc/passwd')",
        "a path": "select * from '/etc/passwd'",
        "a glob": "select * from glob('/*')",
        "a name that is a path": 'with "/etc/passwd" as (select 1) select * from "/etc/passwd"',
        "a table as a path": 'with "customers/*.parquet" as (select 1) select * from "customers/*.parquet", customers',
        "a setting": "select current_setting('temp_directory')",
        "settings": "select * from duckdb_settings()",
        "another database": "attach '/tmp/x.db'",
        "a copy": "copy customers to '/tmp/x.csv'",
        "an extension": "install httpfs",
        "a call": "call pragma_version()",
        "two": "select 1; select 2",
        "a variable": "select getenv('PATH')",
        "hidden": "select token from identities",
        "hidden in a star": "select columns('token') from identities",
        "crossed": "select * from customers, lateral (select * from identities)",
        "pattern": "select regexp_matches(repeat('a', 100000), '(a+)+$')",
        "number": "select " + "9" * 5_000,
        "zero": "select 'a\0b'",
        "comment": "select 1 /* " + "/*" * 500,
        "explained": "explain analyze select 1",
        "prepared": "prepare a as select 1",
        "nothing": ";;;;",
        "pivot": "pivot customers on customer_id",
    }
    deep = {
        "parentheses": "select " + "(" * 3_000 + "1" + ")" * 3_000,
        "selects": "select * from (" * 400 + "select 1" + ")" * 400,
        "additions": "select " + "1+" * 4_000 + "1",
        "nots": "select " + "not " * 2_000 + "true",
        "cases": "select " + "case when true then " * 400 + "1" + " end" * 400,
        "unions": " union all ".join(["select 1"] * 900),
        "expressions": "with " + ", ".join(f"t{n} as (select 1)" for n in range(400)) + " select 1",
        "lists": "select " + "[" * 3_000 + "]" * 3_000,
        "calls": "select " + "abs(" * 1_500 + "1" + ")" * 1_500,
        "casts": "select 1" + "::int" * 1_500,
    }
    return short | deep


def toml_texts() -> dict[str, str]:
    """Settings and policies by name."""
    return {
        "deep lists": "x = " + "[" * 900,
        "deep and closed": "x = " + "[" * 900 + "]" * 900,
        "tables in a line": "x = " + "{a = " * 5_000 + "1" + "}" * 5_000,
        "a deep table": "[" + ".".join("a" * 400) + "]",
        "keys with dots": "\n".join(f"a{n}.b.c = 1" for n in range(2_000)),
        "an open text": 'x = """' + "x" * 100_000,
        "a long number": "x = " + "9" * 100_000,
        "a number with signs": "x = 1" + "_1" * 50_000,
    }


def json_bodies() -> dict[str, bytes]:
    """Bodies that are JSON, or look as if they were."""
    return {
        "deep lists": b"[" * 500_000,
        "deep lists closed": b"[" * 50_000 + b"]" * 50_000,
        "deep objects": b'{"campaign":' * 50_000 + b"1" + b"}" * 50_000,
        "deep within": b'{"campaign":{"name":"x","template":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}}",
        "a long number": b'{"campaign":' + b"9" * 500_000 + b"}",
        "an exponent": b'{"campaign":{"budget":1e999999999}}',
        "no number": b'{"campaign":{"budget":NaN}}',
        "many keys": json.dumps({"campaign": {f"k{n}": n for n in range(50_000)}}).encode(),
        "a surrogate": b'{"campaign":{"name":"\\ud800"}}',
        "a zero": b'{"campaign":{"name":"a\\u0000b"}}',
        "not UTF-8": b'{"campaign":{"name":"\xff\xfe"}}',
        "UTF-16": '{"campaign":{}}'.encode("utf-16"),
        "cut off": b'{"campaign":{"name":"x"',
        "nothing": b"",
        "blanks": b" " * 500_000,
        "a text": b'"' + b"x" * 500_000 + b'"',
        "null": b"null",
        "a name": json.dumps({"campaign": {"name": "x" * 500_000}}).encode(),
        "templates": json.dumps({"campaign": {"template": {f"l{n}": {"body": "x"} for n in range(5_000)}}}).encode(),
        "same keys": b'{"campaign":{},"campaign":{}}',
    }


def _csv(columns: int, rows: int) -> bytes:
    line = ",".join("7" for _ in range(columns)) + "\n"
    return (",".join(f"c{n}" for n in range(columns)) + "\n" + line * rows).encode()


def _table_bytes(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **{"compression": "zstd", **options})
    return out.getvalue()


def _parquet(columns: dict[str, object], **options: object) -> bytes:
    return _table_bytes(pa.table(columns), **options)


def _repeated(text: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text]))


def _noise(count: int) -> np.ndarray:
    return np.random.default_rng(38).integers(0, 1 << 30, count)


def _nested(depth: int) -> pa.DataType:
    return pa.list_(_nested(depth - 1)) if depth else pa.int8()


def _zip(entries: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def count() -> int:
    """How many there are."""
    return sum(len(made()) for made in (files, templates, rules, queries, toml_texts, json_bodies))
