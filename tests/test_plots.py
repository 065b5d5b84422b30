"""Charts in one call: every diagnostic has one, in both languages, and they need nothing of the platform."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from patron import plots
from patron.clv import BetaGeo, diagnostics, rfm

PLATFORM = ("duckdb", "deltalake", "sqlalchemy", "alembic", "fastapi", "typer", "sklearn", "msgspec")
WITHOUT_PLATFORM = f"""
import sys
for name in {PLATFORM!r}:
    sys.modules[name] = None
from patron import plots
assert "<svg" in plots.lorenz([1.0, 2.0, 3.0])._repr_svg_()
"""
WITHOUT_DRAWING = """
import sys
sys.modules["altair"] = None
from patron import plots
plots.lorenz([1.0, 2.0, 3.0])
"""


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(1)
    day = np.datetime64("2023-01-01", "us") + rng.integers(0, 500, 3000) * np.timedelta64(1, "D")
    orders = pa.table({"customer_id": rng.integers(0, 500, 3000), "ordered_at": day, "value": rng.gamma(3, 9, 3000)})
    summary = rfm(orders, until="2023-12-31", holdout_until="2024-05-01")
    return orders, summary, BetaGeo().fit(summary)


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_every_chart_is_one_call(shop, language):
    orders, summary, fitted = shop
    came, forecast = summary["frequency_holdout"].to_numpy(), fitted.expected_purchases(summary, 17)
    days = ["2023-01-05", "2023-03-01", "2023-09-30"]
    drawn = {
        "tracking": plots.tracking(fitted, summary, orders, until="2024-05-01", language=language),
        "calibration_by_decile": plots.calibration_by_decile(came, forecast, language=language),
        "lorenz": plots.lorenz(came, by=forecast, language=language),
        "frequency_recency": plots.frequency_recency(fitted, 13, T=39, of="probability_alive", language=language),
        "alive_over_time": plots.alive_over_time(fitted, days, "2023-12-31", language=language),
        "forecast_fan": plots.forecast_fan(fitted, days, "2023-12-31", 13, language=language),
        "cohorts": plots.cohorts(orders, until="2024-05-01", language=language),
    }
    assert set(drawn) == set(plots.__all__) == set(diagnostics.__all__) - {"metadata_of"}
    for chart in drawn.values():
        assert "<svg" in chart._repr_svg_()
        assert chart.rows
    assert any("一" <= letter <= "鿿" for letter in drawn["lorenz"].title) == (language == "zh_CN")


def test_charts_need_nothing_of_the_platform():
    subprocess.run([sys.executable, "-c", WITHOUT_PLATFORM], check=True)


def test_without_the_packages_that_draw_it_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT_DRAWING], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'patron[plots]'" in done.stderr.splitlines()[-1]
