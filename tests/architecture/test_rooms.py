"""Rooms have the same names on every floor, and folders and files stay such that a reader finds their way."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "patron"
FILES = sorted(SOURCE.rglob("*.py"))
ROOMS = frozenset({
    "access", "customers", "data", "insight", "models", "offers", "outreach", "privacy", "recommendations", "segments",
})  # fmt: skip
"""What Patron is about."""
FLOORS = ("commands", "answers", "interfaces/cli", "interfaces/http", "interfaces/console")
"""Floors that are divided into rooms."""
TEMPLATES = "interfaces/console/templates"
NOT_ROOMS = {"interfaces/http": {"server", "openapi"}, "interfaces/console": {"static", "templates"}}
"""Parts of a floor that serve every room."""
MAX_PACKAGE_SHARE, MAX_LINES, MAX_FILES = 0.15, 400, 25


def folders_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}


@pytest.mark.parametrize("floor", [*FLOORS, TEMPLATES])
def test_a_floor_has_rooms_and_nothing_else(floor):
    assert folders_in(SOURCE / floor) - NOT_ROOMS.get(floor, set()) <= ROOMS


@pytest.mark.parametrize("floor", FLOORS)
def test_tests_of_a_room_lie_in_the_same_room(floor):
    assert folders_in(ROOT / "tests" / floor) - NOT_ROOMS.get(floor, set()) - {"tasks"} <= ROOMS


@pytest.mark.parametrize("floor", ["commands", "answers"])
def test_what_people_order_and_ask_lies_in_rooms(floor):
    assert [path.name for path in (SOURCE / floor).glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("top", ["src", "tests"])
def test_no_folder_holds_more_files_than_a_reader_can_look_over(top):
    counts = Counter(
        str(path.parent.relative_to(ROOT))
        for path in (ROOT / top).rglob("*")
        if path.is_file() and not {"__pycache__", "node_modules", ".venv"} & set(path.parts) and path.suffix != ".mo"
    )
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES} == {}


def test_every_package_says_what_is_in_it():
    docstrings = {
        str(path.parent.relative_to(SOURCE)): ast.get_docstring(ast.parse(path.read_text("utf-8")))
        for path in FILES
        if path.name == "__init__.py"
    }
    assert [folder for folder, docstring in docstrings.items() if not docstring or "TODO" in docstring] == []


def test_a_package_without_code_names_each_of_its_files_once():
    """Its docstring is the table of contents; steps of the store's layout have numbers for names."""
    wrong = {}
    for path in FILES:
        tree = ast.parse(path.read_text("utf-8"))
        if path.name != "__init__.py" or len(tree.body) != 1 or path.parent.name == "versions":
            continue
        named = Counter(re.findall(r"`([a-z_0-9]+)`", ast.get_docstring(tree) or ""))
        files = Counter(file.stem for file in path.parent.glob("*.py") if file != path)
        files.update(file.parent.name for file in path.parent.glob("*/__init__.py"))
        if named != files:
            wrong[str(path.parent.relative_to(SOURCE))] = {"only named": named - files, "not named": files - named}
    assert wrong == {}


def test_no_package_holds_more_than_its_share_of_the_lines():
    """A package is the first folder below the root; of interfaces, each of its folders."""
    counts: Counter[str] = Counter()
    for path in FILES:
        folders = path.relative_to(SOURCE).parts[:-1]
        name = "/".join(folders[: 2 if folders[:1] == ("interfaces",) else 1])
        counts[name] += len(path.read_text("utf-8").splitlines())
    largest, lines = counts.most_common(1)[0]
    assert lines <= MAX_PACKAGE_SHARE * counts.total(), (largest, lines, counts.total())


def test_no_module_is_too_long_to_read():
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}
