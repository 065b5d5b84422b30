"""Benchmarks run rarely, so a test sees at once when they use a name that is gone."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_a_benchmark_imports_from_patron_exists(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "patron":
            module = importlib.import_module(node.module or "")
            names = vars(module).keys() | {submodule.name for submodule in _submodules(module)}
            assert {alias.name for alias in node.names} <= names, (node.module, node.lineno)


def _submodules(module):
    return pkgutil.iter_modules(getattr(module, "__path__", []))
