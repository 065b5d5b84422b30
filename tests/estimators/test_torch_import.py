"""Draws of torch are the same each time, also where two threads of a run fit networks at once."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from patron.estimators.torch_import import import_torch, reproducible_draws
from patron.schema.errors import MissingExtra


@pytest.mark.extra
def test_two_fits_at_once_draw_what_each_draws_alone(import_extra):
    torch = import_extra("torch", "deep")

    def drawn(seed: int) -> list[float]:
        with reproducible_draws(torch, seed):
            return [float(torch.randn(1)) for _ in range(2_000)]

    alone = [drawn(seed) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(drawn, (1, 2))) == alone


def test_a_torch_that_cannot_be_loaded_counts_as_missing_and_says_why(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('undefined symbol')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"two_towers: torch cannot be loaded: undefined symbol\. pip install"):
        import_torch("two_towers")
