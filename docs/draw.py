"""Draw the pictures of docs/explanation from a simulated shop: `python docs/draw.py` writes docs/images/*.svg."""

from pathlib import Path

import numpy as np

from patron.clv import ModifiedBetaGeo, diagnostics
from patron.clv.beta_geo import FittedBetaGeo
from patron.clv.maximum_likelihood import Estimates
from patron.interfaces.charts import clv_charts as charts

IMAGES = Path(__file__).parent / "images"
UNTIL = "2024-06-30"
WIDTH = 640
ORDERED = ("2023-07-03", "2023-08-11", "2023-09-02", "2023-10-20", "2023-11-17", "2023-12-29", "2024-01-26")
"""One customer of the simulated shop: about once in five weeks, then nothing since January."""
STILL_THERE = (*ORDERED, "2024-03-08", "2024-04-12", "2024-06-07")
"""And one who goes on."""
TRUTH = {"r": 1.1, "alpha": 5.0, "a": 0.9, "b": 4.0}


def main() -> None:
    """Fit MBG/NBD to 4,000 simulated customers and draw one customer each way."""
    shop = FittedBetaGeo(Estimates(TRUTH), first_too=True)
    summary = shop.simulate(np.full(4_000, 52.0), np.random.default_rng(1))
    fitted = ModifiedBetaGeo().fit(summary)
    alive = diagnostics.alive_over_time(fitted, ORDERED, UNTIL, unit="W")
    fan = diagnostics.forecast_fan(fitted, STILL_THERE, UNTIL, 13, unit="W")
    pictures = {
        "alive.en.svg": charts.alive_over_time(alive, width=WIDTH),
        "fan.en.svg": charts.forecast_fan(fan, width=WIDTH),
    }
    for name, chart in pictures.items():
        (IMAGES / name).write_text(chart._repr_svg_(), encoding="utf-8")


if __name__ == "__main__":
    main()
