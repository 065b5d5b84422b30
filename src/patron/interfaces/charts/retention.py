"""Retention: of the customers who came in a month, how many ordered again in each month since."""

from collections.abc import Sequence
from datetime import UTC, datetime

import altair as alt

from patron.interfaces.charts.chart import NARROW, WIDE, Chart, specification
from patron.interfaces.i18n.formats import MISSING, Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.cohort import Cohort

SHADES = ("#f1f7fb", "#0b4f7d")
SMALL = 9
"""Size of the letters in the squares on a telephone, pixels."""


def retention(cohorts: Sequence[Cohort], words: Words, formats: Formats) -> Chart:
    """Heat map of the share of each monthly cohort that ordered in each month after its first."""
    ages = max((len(cohort.shares) for cohort in cohorts), default=0)
    names = [f"{_month(cohort, formats)}  ({formats.count(cohort.customer_count)})" for cohort in cohorts]
    cells = [
        {"cohort": name, "age": age, "share": share, "label": formats.share(share, 0), "dark": share > 0.55}
        for name, cohort in zip(names, cohorts, strict=True)
        for age, share in enumerate(cohort.shares)
        if age > 0
    ]
    base = alt.Chart(alt.Data(values=cells)).encode(
        x=alt.X(
            "age:O", title=words("chart.retention.months"), axis=alt.Axis(labelAngle=0, orient="top", domain=False)
        ),
        y=alt.Y("cohort:N", sort=names, title=None),
    )
    squares = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.Color("share:Q", scale=alt.Scale(range=list(SHADES), domain=[0, 1]), legend=None)
    )
    ink = alt.condition("datum.dark", alt.value("white"), alt.value("#1e293b"))
    labels, small = (base.mark_text(fontSize=size).encode(text="label:N", color=ink) for size in (12, SMALL))
    height = 60 + 28 * len(cohorts)
    second = [(cohort.shares[1], cohort.customer_count) for cohort in cohorts if len(cohort.shares) > 1]
    customers = sum(count for _, count in second)
    mean = sum(share * count for share, count in second) / customers if customers else None
    return Chart(
        title=words("chart.retention.title"),
        description=words("chart.retention.description", share=formats.share(mean, 0)),
        spec=specification(squares + labels, width=WIDE, height=height),
        narrow=specification(squares + small, width=NARROW, height=height),
        head=(words("chart.retention.cohort"), words("column.customers"), *(str(age) for age in range(1, ages))),
        rows=tuple(
            (
                _month(cohort, formats),
                formats.count(cohort.customer_count),
                *(
                    formats.share(cohort.shares[age], 0) if age < len(cohort.shares) else MISSING
                    for age in range(1, ages)
                ),
            )
            for cohort in cohorts
        ),
    )


def _month(cohort: Cohort, formats: Formats) -> str:
    year, month = cohort.month.split("-")
    # why: noon in the middle of the month is the same month in every time zone
    return formats.month(datetime(int(year), int(month), 15, 12, tzinfo=UTC))
