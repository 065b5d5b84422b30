"""Learners that need an extra, as parameters of tests."""

import os
from importlib.util import find_spec

import pytest

TEST_EXTRAS = "PATRON_TEST_EXTRAS"
"""Set by `make test-extras`: a missing extra is then a failure."""


def with_extra(learner, *others):
    """A parameter set that ends with a learner; where its extra is not installed, the test is skipped."""
    module = learner.module
    if not module:
        return pytest.param(*others, learner)
    is_missing = not find_spec(module) and not os.environ.get(TEST_EXTRAS)
    reason = f"{module} is not installed: make test-extras"
    return pytest.param(*others, learner, marks=[pytest.mark.extra, pytest.mark.skipif(is_missing, reason=reason)])
