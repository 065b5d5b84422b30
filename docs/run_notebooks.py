"""Run the notebooks in examples/ from top to bottom and write what they show into them.

Usage: python docs/run_notebooks.py [NAME ...]. It needs no notebook server: the output of a cell is what it prints and
what its last expression is, as a notebook shows it.
"""

import ast
import json
import sys
import traceback
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"
SHOWN_AS = {"image/svg+xml": "_repr_svg_", "text/html": "_repr_html_"}
"""How a notebook shows a value that can show itself, besides its text."""


def run_notebook(path: Path) -> dict[str, Any]:
    """The notebook with the outputs of a fresh run. Raises what a cell raises, after naming the cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        try:
            cell["outputs"] = _outputs("".join(cell["source"]), namespace, count, f"{path.stem}[{count}]")
        except Exception:
            traceback.print_exc()
            raise
        cell["execution_count"] = count
    return notebook


def _outputs(source: str, namespace: dict[str, Any], count: int, name: str) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, name, "exec"), namespace)  # noqa: S102 - our own notebook
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)  # noqa: S307
    text = printed.getvalue()
    outputs = [{"name": "stdout", "output_type": "stream", "text": _lines(text)}] if text else []
    if value is not None:
        data = {"text/plain": _lines(_text_of(value))}
        data |= {kind: _lines(getattr(value, method)()) for kind, method in SHOWN_AS.items() if hasattr(value, method)}
        outputs.append({"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"})
    return outputs


def _text_of(value: Any) -> str:
    """A value as text; of a chart its title, because the text of a drawing is long."""
    return f"<Chart: {value.title}>" if hasattr(value, "_repr_svg_") else repr(value)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main(names: list[str]) -> None:
    """Run the notebooks of these names, or all."""
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        if not names or path.stem in names:
            text = json.dumps(run_notebook(path), ensure_ascii=False, indent=1)
            path.write_text(f"{text}\n", encoding="utf-8")
            sys.stdout.write(f"{path.name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
