"""The notebooks in examples/ run anywhere, hold what they showed, and show the same when they run again."""

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
run_notebook = runpy.run_path(str(ROOT / "docs" / "run_notebooks.py"))["run_notebook"]
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))
CHARTS = {
    "allocate_offers": 0,
    "compare_models": 0,
    "compare_recommenders": 0,
    "customer_value": 6,
    "experiments": 0,
    "from_lifetimes": 8,
    "uplift": 0,
}
"""Charts that each notebook shows."""
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def read(name):
    return json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))


def texts(cell):
    """What a cell printed and what its last expression was, as text."""
    return ["".join(output.get("text") or output["data"]["text/plain"]) for output in cell["outputs"]]


def numbers(text):
    return [float(match.replace(",", "")) for match in NUMBER.findall(text)]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_needs_no_data_and_shows_what_it_is_kept_with(name, monkeypatch, tmp_path):
    monkeypatch.delenv("PATRON_TEST_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    kept, again = code_cells(read(name)), code_cells(run_notebook(EXAMPLES / f"{name}.ipynb"))
    for before, now in zip(kept, again, strict=True):
        source = "".join(now["source"])
        assert [NUMBER.sub("#", text).split() for text in texts(before)] == [
            NUMBER.sub("#", text).split() for text in texts(now)
        ], f"run `make notebooks`: {source}"
        for old, new in zip(texts(before), texts(now), strict=True):
            assert numbers(old) == pytest.approx(numbers(new), rel=0.02, abs=2e-3), f"run `make notebooks`: {source}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_with_its_charts_and_names_no_machine(name):
    cells = code_cells(read(name))
    data = [output["data"] for cell in cells for output in cell["outputs"] if "data" in output]
    charts = [one for one in data if "image/svg+xml" in one]
    assert len(charts) == CHARTS[name]
    assert all("<svg" in "".join(chart["image/svg+xml"]) for chart in charts)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not re.search(r"/home|/root|/tmp|Error\b", json.dumps(read(name)))
