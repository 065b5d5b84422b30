"""Retention: of the customers who came in a month, how many ordered again in each month since."""

from collections.abc import Sequence
from datetime import UTC, datetime

from patron.interfaces.charts.chart import Chart
from patron.interfaces.charts.heat_map import HeatCell, heat_map
from patron.interfaces.charts.value_marks import row_mark
from patron.interfaces.i18n.formats import MISSING, Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.customers.cohort import Cohort


def retention(cohorts: Sequence[Cohort], words: Words, formats: Formats) -> Chart:
    """Heat map of the share of each monthly cohort that ordered in each month after its first."""
    ages = max((len(cohort.shares) for cohort in cohorts), default=0)
    names = [f"{month_name(cohort.month, formats)}  ({formats.count(cohort.customer_count)})" for cohort in cohorts]
    cells = [
        HeatCell(name, age, share, label := formats.share(share, 0), label, row_mark(row, age + 1))
        for row, (name, cohort) in enumerate(zip(names, cohorts, strict=True))
        for age, share in enumerate(cohort.shares)
        if age > 0
    ]
    wide, narrow = heat_map(cells, names, words("chart.retention.months"), narrow_columns=ages)
    second = [(cohort.shares[1], cohort.customer_count) for cohort in cohorts if len(cohort.shares) > 1]
    customers = sum(count for _, count in second)
    mean = sum(share * count for share, count in second) / customers if customers else None
    return Chart(
        title=words("chart.retention.title"),
        description=words("chart.retention.description", share=formats.share(mean, 0)),
        spec=wide,
        narrow=narrow,
        columns=words("chart.retention.months"),
        head=(words("chart.retention.cohort"), words("column.customers"), *(str(age) for age in range(1, ages))),
        rows=tuple(
            (
                month_name(cohort.month, formats),
                formats.count(cohort.customer_count),
                *(
                    formats.share(cohort.shares[age], 0) if age < len(cohort.shares) else MISSING
                    for age in range(1, ages)
                ),
            )
            for cohort in cohorts
        ),
    )


def month_name(month: str, formats: Formats) -> str:
    """A month that is written YYYY-MM, in the reader's language."""
    year, number = month.split("-")
    # why: noon in the middle of the month is the same month in every time zone
    return formats.month(datetime(int(year), int(number), 15, 12, tzinfo=UTC))
