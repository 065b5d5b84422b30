"""Whatever the schema of the API allows, and what it does not: never an answer of 500.

The same requests each time; `benchmarks/interfaces/fuzz.py` sends other ones each time, and many more.
"""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable

from patron.interfaces.console.screenshots import served

SEED = 20240601
MODES = ("positive", "negative")


def operations_at(address: str) -> list:
    """Every operation of the OpenAPI document that is served there."""
    described = schemathesis.openapi.from_url(f"{address}/openapi.json")
    return [operation.ok() for operation in described.get_all_operations()]


def fuzz(operation, mode: str, *, examples: int, number: int) -> int:
    """Send examples of one operation, drawn from a seed; how many were sent. Fails at an answer of 500 or above."""
    sent = 0

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def send(case):
        nonlocal sent
        sent += 1
        response = case.call()
        assert response.status_code < 500, f"{case.method} {case.formatted_path}: {response.text[:200]}"

    with suppress(Unsatisfiable):  # an operation that takes nothing cannot be called wrongly
        send()
    return sent


@pytest.fixture(scope="module")
def operations(made_shop):
    with served(made_shop) as address:
        yield operations_at(address)


@pytest.mark.parametrize("mode", MODES)
def test_no_request_ends_in_a_fault(operations, mode):
    sent = [fuzz(operation, mode, examples=12, number=SEED) for operation in operations]
    assert sum(sent) > len(operations)
