"""Whatever someone may ask of Patron is asked through an interface; each command calls one action."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import patron.answers
import patron.commands
import patron.interfaces
import patron.service

commands = importlib.import_module("patron.interfaces.cli.app")
ACTIONS = {
    module.name
    for package in (patron.answers, patron.commands, patron.service)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
} | {"patron.run"}
BY_THE_REPORT = {"report_": "patron.interfaces.report", "serve": "patron.interfaces.http.server"}
"""Commands whose action is asked by another interface that they share with the console."""


def imported(path: Path) -> set[str]:
    """Modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def files(package: ModuleType) -> list[Path]:
    return sorted(Path(package.__file__).parent.rglob("*.py"))


def reached() -> set[str]:
    """Action modules that interfaces import, directly or through another action."""
    ahead = set().union(*(imported(path) for path in files(patron.interfaces))) & ACTIONS
    found: set[str] = set()
    while ahead:
        found |= ahead
        ahead = set().union(*(imported(Path(importlib.import_module(n).__file__)) for n in ahead)) & ACTIONS - found
    return found


def test_every_action_is_reached_by_an_interface():
    assert sorted(ACTIONS - reached()) == []


def test_no_interface_goes_deeper_than_actions_and_base():
    stages = tuple(f"patron.{name}" for name in ("collect", "understand", "predict", "decide", "engage", "measure"))
    deep = {
        str(path): sorted(
            name for name in imported(path) if name.startswith((*stages, "patron.simulate", "patron.govern"))
        )
        for path in files(patron.interfaces)
    }
    assert {path: names for path, names in deep.items() if names} == {}


@pytest.mark.parametrize("command", commands.app.registered_commands, ids=lambda one: one.callback.__name__)
def test_every_command_calls_one_action(command):
    function = command.callback
    tree = ast.parse(inspect.getsource(function))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - inspect.signature(
        function
    ).parameters.keys()
    modules = {name: getattr(inspect.getmodule(function), name, None) for name in names}
    called = {value.__name__ for value in modules.values() if isinstance(value, ModuleType)} & ACTIONS
    if function.__name__ in BY_THE_REPORT:
        used = {value.__module__ for value in modules.values() if inspect.isfunction(value)} | imported_by(tree)
        assert BY_THE_REPORT[function.__name__] in used
        assert called == set()
    else:
        assert len(called) == 1


def imported_by(tree: ast.AST) -> set[str]:
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
