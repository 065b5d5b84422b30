"""What is installed: the library needs the core dependencies only, the command says what it lacks, versions agree."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from patron import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIGHT = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    sys.modules[name] = None
import numpy as np, pyarrow as pa
import patron.clv, patron.estimators
for library in (patron.clv, patron.estimators):
    for module in pkgutil.walk_packages(library.__path__, f"{library.__name__}."):
        importlib.import_module(module.name)
orders = pa.table({
    "customer_id": [str(n % 300) for n in range(1500)],
    "ordered_at": np.datetime64("2024-01-01") + np.random.default_rng(1).integers(0, 300, 1500),
})
assert patron.clv.BetaGeo().fit(patron.clv.rfm(orders, until="2024-10-27", value=None)).log_likelihood < 0
"""
COMPARE = """
import sys
for name in sys.argv[1:]:
    sys.modules[name] = None
import patron.tabular
"""
COMMAND = """
import sys
for name in sys.argv[1:]:
    sys.modules[name] = None
from patron.__main__ import main
main()
"""


def distribution(requirement: str) -> str:
    """Normalised name of what a requirement asks for."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9_.-]+", requirement)[0]).lower()


def platform_modules() -> list[str]:
    """Modules of packages that only the platform needs."""
    needed = {distribution(requirement) for requirement in PROJECT["optional-dependencies"]["platform"]}
    return sorted(
        module
        for module, names in packages_distributions().items()
        if any(distribution(name) in needed for name in names) and module.isidentifier()
    )


def run(program: str, modules: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program, *modules], check=False, capture_output=True, text=True, timeout=300
    )


def test_a_light_install_has_all_that_the_library_needs():
    modules = platform_modules()
    assert {"duckdb", "deltalake", "sqlalchemy", "fastapi", "sklearn", "typer"} <= set(modules)
    done = run(LIGHT, modules)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", [("typer",), ("duckdb", "deltalake")])
def test_the_command_of_a_light_install_says_in_one_sentence_what_to_install(missing):
    done = run(COMMAND, list(missing))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert all(name in done.stderr for name in missing)
    assert "pip install 'patron[platform]'" in done.stderr


def test_the_extras_of_the_two_commands_hold_the_platform():
    extras = PROJECT["optional-dependencies"]
    assert any(one.startswith("patron[") and "platform" in one for one in extras["demo"])
    assert any(one.startswith("patron[") and "demo" in one for one in extras["dev"])


def test_comparing_models_in_a_light_install_says_in_one_sentence_what_to_install():
    done = run(
        "import sys\nfor name in sys.argv[1:]:\n    sys.modules[name] = None\nimport patron.tabular", ["sklearn"]
    )
    assert done.returncode == 1
    assert "comparing models needs sklearn. Install it: pip install 'patron[tabular]'" in done.stderr.splitlines()[-1]


def test_the_platform_holds_what_comparing_models_needs():
    extras = PROJECT["optional-dependencies"]
    assert {distribution(one) for one in extras["tabular"]} <= {distribution(one) for one in extras["platform"]}


def test_the_version_is_written_once():
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT


def test_a_version_is_dated_in_the_changelog_or_in_development():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (.+)$", changelog, re.MULTILINE)[1]
    if newest == "Unreleased":
        assert re.fullmatch(r"\d+\.\d+\.\d+\.dev0", __version__)
    else:
        assert re.fullmatch(rf"{re.escape(__version__)} - \d{{4}}-\d\d-\d\d", newest)


def test_labels_that_issues_and_updates_get_are_declared():
    github = ROOT / ".github"
    declared = set(re.findall(r"^- name: (.+)$", (github / "labels.yml").read_text(encoding="utf-8"), re.MULTILINE))
    users = [*github.glob("ISSUE_TEMPLATE/*.yml"), github / "dependabot.yml"]
    lists = [one for user in users for one in re.findall(r"labels: \[(.+)\]", user.read_text(encoding="utf-8"))]
    assert {label.strip() for labels in lists for label in labels.split(",")} <= declared


def test_ci_runs_every_python_that_the_classifiers_name():
    named = {
        classifier.rsplit(" ", 1)[1] for classifier in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", classifier)
    }
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert named == set(re.findall(r'"(3\.\d+)"', workflow))


def test_annotations_are_for_the_users_of_the_package_too():
    assert (ROOT / "src" / "patron" / "py.typed").exists()
