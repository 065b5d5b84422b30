"""Names say what a thing is, in the field's word; sizes stay such that a reader finds their way."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "patron"
RIDDLES = frozenset({"told", "asked", "found", "said", "seen", "given", "made", "own"})
"""Words that say how something was mentioned, not what it is."""
MOST_RIDDLES, MOST_TOLD_LINES = 40, 30
LARGEST_PACKAGE_SHARE, MOST_LINES = 0.15, 400
FILES = sorted(SOURCE.rglob("*.py"))


def words_of(name: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[a-z]+|[A-Z][a-z]*", name)}


def bindings(tree: ast.AST) -> Iterator[str]:
    """Every name that a module binds: functions, classes, arguments, variables, attributes, aliases."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.alias(asname=str(name)):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def test_few_names_are_made_of_words_that_say_how_a_thing_was_mentioned():
    riddles = Counter(path.stem for path in FILES if words_of(path.stem) & RIDDLES)
    for path in FILES:
        riddles.update(name for name in bindings(ast.parse(path.read_text("utf-8"))) if words_of(name) & RIDDLES)
    assert riddles.total() <= MOST_RIDDLES, riddles


def test_few_lines_say_told():
    lines = [line for path in FILES for line in path.read_text("utf-8").splitlines() if re.search(r"\btold\b", line)]
    assert len(lines) <= MOST_TOLD_LINES, lines


def test_no_package_holds_more_than_its_share_of_the_lines():
    """A package is the first folder below the root; of interfaces, each of its folders."""
    counts: Counter[str] = Counter()
    for path in FILES:
        folders = path.relative_to(SOURCE).parts[:-1]
        name = "/".join(folders[: 2 if folders[:1] == ("interfaces",) else 1])
        counts[name] += len(path.read_text("utf-8").splitlines())
    largest, lines = counts.most_common(1)[0]
    assert lines <= LARGEST_PACKAGE_SHARE * counts.total(), (largest, lines, counts.total())


def test_no_module_is_too_long_to_read():
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}
