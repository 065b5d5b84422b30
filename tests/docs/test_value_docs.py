"""The pages about value: the blocks of the how-to run one after another, and links lead somewhere."""

import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = "how-to/use-the-value-library.md"
PAGES = (HOW_TO, "explanation/what-a-customer-is-worth.md", "explanation/mathematics-of-value.md")


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_block_of_the_how_to_runs_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page(HOW_TO), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 9
    namespace = {"__name__": "__main__"}
    for place, block in enumerate(blocks):
        exec(compile(block, f"{HOW_TO}[{place}]", "exec"), namespace)  # noqa: S102 - our own page
    assert np.isfinite(namespace["value"]).all()
    assert (namespace["for_ever"] >= namespace["value"]).all()
    assert "<svg" in (tmp_path / "fan.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_links_of_the_pages_lead_somewhere(name):
    links = re.findall(r"\]\(([^)\s#]+)", page(name))
    assert links
    missing = [link for link in links if "://" not in link and not ((DOCS / name).parent / link).exists()]
    assert not missing
    assert f"]({name})" in page("README.md"), "the page is not in the list of pages"
