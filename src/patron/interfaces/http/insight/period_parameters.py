"""The period and its comparison as parameters of an address, the same for a page and its JSON twin."""

from urllib.parse import urlencode

from patron.answers.insight.periods import PeriodQuery

PERIOD_PARAMETERS = ("period", "month", "from", "to", "compare")


def period_address(query: PeriodQuery, path: str, **more: str) -> str:
    """Address of a page with this period; what is as usual is not named."""
    default = PeriodQuery()
    values = {
        "period": "" if query.period == default.period else query.period,
        "month": query.month if query.period == "month" else "",
        "from": str(query.first_day or "") if query.period == "custom" else "",
        "to": str(query.last_day or "") if query.period == "custom" else "",
        "compare": "" if query.compare == default.compare else query.compare,
        **more,
    }
    parameters = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{parameters}" if parameters else path
