from collections.abc import Callable

import pytest

from patron_command import CommandResult, run_patron


@pytest.fixture(scope="session")
def patron() -> Callable[..., CommandResult]:
    """Run one command of `patron` in this process, and catch its exit code and what it prints."""
    return run_patron
