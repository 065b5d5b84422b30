"""Whatever the schema of the API allows, and what it does not: never an answer of 500."""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from patron.interfaces.console.screenshots import served


@pytest.fixture(scope="module")
def operations(made_shop):
    with served(made_shop) as address:
        described = schemathesis.openapi.from_url(f"{address}/openapi.json")
        yield [found.ok() for found in described.get_all_operations()]


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_ends_in_a_fault(operations, mode):
    asked = 0
    for operation in operations:

        @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
        def ask(case):
            nonlocal asked
            asked += 1
            response = case.call()
            assert response.status_code < 500, f"{case.method} {case.formatted_path}: {response.text[:200]}"

        with suppress(Unsatisfiable):  # an operation that takes nothing cannot be asked wrongly
            ask()
    assert asked > len(operations)
