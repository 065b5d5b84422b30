"""Draws of torch are the same each time, also where two threads of a run fit networks at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from patron.estimators.torch_import import reproducible_draws


@pytest.mark.extra
def test_two_fits_at_once_draw_what_each_draws_alone(import_extra):
    torch = import_extra("torch", "deep")

    def drawn(seed: int) -> list[float]:
        with reproducible_draws(torch, seed):
            return [float(torch.randn(1)) for _ in range(2_000)]

    alone = [drawn(seed) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(drawn, (1, 2))) == alone
