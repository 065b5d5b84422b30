"""What users hold in their hands is exported and documented; the library stands alone and is light to import."""

import ast
import inspect
import subprocess
import sys
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import patron.clv
from patron.clv import CountLearner, CountModel

HEAVY = ("duckdb", "deltalake", "sqlalchemy", "fastapi", "lightgbm", "sklearn", "altair", "typer")
PLAIN = {"errors", "sentences", "common_sentences"}
PLAIN |= {"frames", "json_files", "kernels", "models", "models.metrics", "numbers", "table_metadata"}
"""Modules of the schema that the library may use: plain types and nothing heavy."""
SOURCES = sorted(Path(patron.clv.__path__[0]).glob("*.py"))


def classes():
    """Every public class that a module of the library defines."""
    for module in iter_modules(patron.clv.__path__):
        for name, found in inspect.getmembers(import_module(f"patron.clv.{module.name}"), inspect.isclass):
            if found.__module__ == f"patron.clv.{module.name}" and not name.startswith("_"):
                yield name, found


def test_every_fitted_class_and_every_learner_is_exported():
    held = {name for name, found in classes() if name.startswith("Fitted") or issubclass(found, CountModel)}
    held |= {name for name, found in classes() if issubclass(found, CountLearner) or hasattr(found, "fit")}
    assert len(held) > 15
    assert held - set(patron.clv.__all__) == set()


@pytest.mark.parametrize("name", patron.clv.__all__)
def test_every_export_exists_and_has_a_docstring_of_its_own_and_so_do_its_methods(name):
    export = getattr(patron.clv, name)
    assert (export.__doc__ or "").strip()
    assert not (is_dataclass(export) and export.__doc__.startswith(f"{name}(")), "the docstring that dataclass writes"
    if inspect.isclass(export):
        methods = inspect.getmembers(export, lambda member: inspect.isfunction(member) or isinstance(member, property))
        assert [method for method, found in methods if method[0] != "_" and not inspect.getdoc(found)] == []


def test_the_exported_names_show_in_completion():
    assert set(patron.clv.__all__) <= set(dir(patron.clv))
    assert {"params", "log_likelihood", "standard_errors", "expected_purchases"} <= set(dir(patron.clv.FittedBetaGeo))


def test_a_fresh_interpreter_loads_nothing_heavy_and_of_patron_only_plain_types_and_the_ground_library():
    show = "import sys, patron.clv; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", show], check=True, capture_output=True, text=True).stdout.split()
    assert {name.split(".")[0] for name in loaded} & set(HEAVY) == set()
    ours = {name for name in loaded if name.startswith("patron.") and not name.startswith("patron.clv")}
    ours = {name for name in ours if not name.startswith("patron.estimators")}
    assert ours <= {"patron.schema", *(f"patron.schema.{name}" for name in PLAIN)}


def test_no_source_imports_another_part_of_patron_not_even_inside_a_function():
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name.split(".")[0] == "patron":
                    is_library = name.startswith(("patron.clv", "patron.estimators"))
                    assert is_library or name.removeprefix("patron.schema.") in PLAIN, source.name
