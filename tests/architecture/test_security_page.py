"""Every requirement that the page on security calls met names what shows it; and what only the code can show."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
SCRIPTS = sorted((ROOT / "src/patron/interfaces/console/static").glob("*.js"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
FILES = {path.name for path in TESTS}
FUNCTIONS = {name for path in TESTS for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))}
MET = [line for line in PAGE.read_text("utf-8").splitlines() if "| met |" in line]
RULES = {
    "S102": "exec",
    "S301": "pickle",
    "S307": "eval",
    "S311": "random numbers that can be guessed",
    **{f"S{number}": "XML" for number in range(313, 321)},
    "S501": "certificates that nobody checks",
    "S602": "a shell",
    "S604": "a shell",
    "S605": "a shell",
    "S701": "templates that do not escape",
}
"""Rules of the linter that the page relies on, and what each forbids."""
FORMS_OF_OURS = {"mapping_columns.py", "bounce_messages.py", "http_provider.py", "init_workspace.py"}
"""Modules whose patterns are made of names: those of a mapping that whoever runs the import wrote, and our own."""


def named(line: str) -> list[tuple[str, bool]]:
    """What a line names in code or as a link, and whether there is such a test, file or page."""
    words = re.findall(r"`([^`]+)`", line)
    found = [(word, word in FUNCTIONS) for word in words if re.fullmatch(r"test_\w+", word)]
    for word in words:
        if re.fullmatch(r"(?:[\w.-]+/)*[\w-]*\.(?:py|toml|txt|dockerignore|js)", word) and word != "patron.toml":
            places = [ROOT / word, ROOT / "src/patron" / word, *(ROOT / "src/patron").rglob(word.rsplit("/")[-1])]
            found.append((word, word in FILES or any(place.is_file() for place in places)))
    links = re.findall(r"\]\(([^)#]+\.md)", line)
    return found + [(link, (PAGE.parent / link).is_file()) for link in links]


@pytest.mark.parametrize("line", MET, ids=lambda line: line.split("|")[1].strip())
def test_a_requirement_that_is_met_names_what_shows_it(line):
    assert named(line), "name the test, or the file, that shows it"
    assert [name for name, is_there in named(line) if not is_there] == []


def test_the_linter_forbids_what_the_page_says_for_all_of_the_code():
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    exempt = [
        *lint["ignore"],
        *(rule for path, rules in lint["per-file-ignores"].items() if "src" in path for rule in rules),
    ]
    assert [rule for rule in RULES if any(rule.startswith(one) for one in exempt)] == []
    marks = re.compile(rf"noqa: [^\n]*\b({'|'.join(RULES)})\b|# ruff: noqa|noqa\s*$", re.MULTILINE)
    assert [path.name for path in SOURCES if marks.search(path.read_text("utf-8"))] == []


def test_no_text_of_people_is_a_pattern():
    """A pattern is written out, or made of constants and of what `re.escape` made harmless."""
    found = set[str]()
    for path in SOURCES:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(call, ast.Call) and re.match(r"re\.(?!escape)", ast.unparse(call.func)) and call.args):
                continue
            text = re.sub(r"re\.escape\([^()]*\)", "", ast.unparse(call.args[0]))
            names = {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)} - {"re"}
            if "re.escape" not in ast.unparse(call.args[0]) and any(not name.isupper() for name in names) and text:
                found.add(path.name)
    assert found <= FORMS_OF_OURS | {"national_numbers.py", "html_compilation.py"}


def test_scripts_make_neither_code_nor_pages_of_texts_and_keep_one_choice():
    for path in SCRIPTS:
        text = path.read_text("utf-8")
        if "vega" in path.name:
            continue
        assert not re.search(
            r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|__proto__", text
        )
        assert "sessionStorage" not in text
        assert "indexedDB" not in text
        assert set(re.findall(r"localStorage\.\w+\(\"(\w+)\"", text)) <= {"keys"}
        assert len(re.findall("localStorage", text)) == len(re.findall(r"localStorage\.\w+\(\"\w+\"", text))
