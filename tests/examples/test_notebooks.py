"""The notebooks in examples/ run from top to bottom, hold no output, and show what they say they show."""

import ast
import json
from pathlib import Path

import pytest

from patron.interfaces.charts.chart import Chart

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))
CHARTS = {"cdnow": 8, "from_lifetimes": 8}
"""Charts that each notebook shows."""


def cells(name):
    notebook_cells = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [(cell, "".join(cell["source"])) for cell in notebook_cells if cell["cell_type"] == "code"]


def run(name):
    """Run the cells one after another as a notebook does; what the last expression of each is."""
    namespace, shown = {"__name__": "__main__"}, []
    for place, (_, source) in enumerate(cells(name)):
        tree = ast.parse(source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{name}[{place}]", "exec"), namespace)  # noqa: S102 - our own notebook
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), f"{name}[{place}]", "eval"), namespace))  # noqa: S307
    return shown


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_shows_its_charts(name, real_data):
    if name == "cdnow":  # reads the folder that PATRON_TEST_DATA names
        real_data("cdnow_master.parquet")
    charts = [one for one in run(name) if isinstance(one, Chart)]
    assert len(charts) == CHARTS[name]
    assert all("<svg" in chart._repr_svg_() for chart in charts)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_without_what_it_printed(name):
    assert cells(name)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell, _ in cells(name))
    assert "/home" not in (EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8")
