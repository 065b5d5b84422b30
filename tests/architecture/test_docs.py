"""The reference is generated from the code, and nothing a person may set, call or read is missing in it."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = _generator()


@pytest.mark.parametrize("name", sorted(GENERATE.PAGES))
def test_a_reference_page_says_what_the_code_says(name):
    written = (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert written == GENERATE.PAGES[name](), f"run `make docs`: {name}.md is out of date"


def test_the_picture_of_the_loop_in_the_readme_is_the_generated_one():
    assert GENERATE.picture() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_decision_page_has_its_four_parts():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for part in ("Status", "Context", "Decision", "Consequences"):
            assert f"## {part}" in text, f"{page.name} lacks {part}"
