"""Tests that share a workspace which takes long to make run in one worker."""

import pytest


@pytest.mark.xdist_group("group")
def test_workers_keep_tests_of_a_group_together(request):
    # why: with another pytest than constraints.txt names, pytest-xdist knows no groups and says nothing
    is_grouped = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@group") == is_grouped
