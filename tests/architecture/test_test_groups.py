"""Tests that share what takes long to make run in one worker: those of a group, and those of a file."""

import pytest

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
