"""The period and its comparison as parameters of an address, the same for a page and its JSON twin."""

from collections.abc import Mapping
from datetime import date
from typing import cast
from urllib.parse import urlencode

from patron.answers.insight.periods import COMPARISONS, PERIODS, Compare, Period, PeriodQuery
from patron.schema.common_sentences import IT_IS_ONE_OF, NOT_A_VALUE
from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence

NOT_A_DAY = Sentence("not_a_day", "{text!r} is not a day")
DAY_SUCH_AS = Sentence("day_such_as", "Write one such as 2024-03-01.")

PERIOD_PARAMETERS = ("period", "month", "from", "to", "compare")


def period_query(parameters: Mapping[str, str]) -> PeriodQuery:
    """The period that an address names. Raises BadQuery."""
    default = PeriodQuery()
    return PeriodQuery(
        cast("Period", _choice("period", parameters.get("period") or default.period, PERIODS)),
        parameters.get("month", "")[:7],
        _day("from", parameters.get("from", "")),
        _day("to", parameters.get("to", "")),
        cast("Compare", _choice("compare", parameters.get("compare") or default.compare, COMPARISONS)),
    )


def _choice(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadQuery(NOT_A_VALUE(value=value), where=name, todo=IT_IS_ONE_OF(choices=", ".join(known)))
    return value


def _day(name: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadQuery(NOT_A_DAY(text=text), where=name, todo=DAY_SUCH_AS) from None


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
