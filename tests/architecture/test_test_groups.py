"""Tests share what takes long to make: those of a group and of a file run in one worker, and none spoils it."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
RUN_HERE: list[int] = []


@pytest.mark.xdist_group("group")
def test_workers_keep_tests_of_a_group_together(request):
    # why: with another pytest than constraints.txt names, pytest-xdist knows no groups and says nothing
    is_grouped = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@group") == is_grouped


@pytest.mark.parametrize("number", range(4))
def test_workers_keep_tests_of_a_file_together(request, number):
    RUN_HERE.append(number)
    same = [item for item in request.session.items if getattr(item, "originalname", "") == request.node.originalname]
    numbers = [one.callspec.params["number"] for one in same]
    assert numbers[: len(RUN_HERE)] == RUN_HERE


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.stem)
def test_no_test_copies_the_files_of_an_open_workspace_itself(path):
    assert not re.search(r"copytree\(\w+\.folder,", path.read_text("utf-8")), "workspace_copies.py says why"
