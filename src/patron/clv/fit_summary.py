"""What a fit found, to be read: each parameter with its standard error and interval, and the facts about the fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pyarrow as pa

from patron.clv.foreign_signatures import refuse_method
from patron.clv.maximum_likelihood import Estimates
from patron.estimators.saving import SavedFile

NORMAL_95 = 1.959964
COLUMNS = ("parameter", "estimate", "standard_error", "low_95", "high_95")
SHOWN = 4
"""Digits of a number that is read."""


@dataclass(frozen=True)
class LikelihoodModel(SavedFile):
    """What every model of the library that is fitted by maximum likelihood shows of its fit."""

    estimates: Estimates

    if not TYPE_CHECKING:  # why: a checker would take every misspelt name for one that is there

        def __getattr__(self, name: str) -> NoReturn:
            """Name the right method where another library's was called. Raises AttributeError."""
            refuse_method(self, name)

    @property
    def params(self) -> dict[str, float]:
        """Parameters by the field's letters, then the effects of covariates."""
        return dict(self.estimates.params)

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard error of each parameter; NaN where the data do not identify it."""
        return self.estimates.standard_errors

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the summary, in its units of time and money."""
        return self.estimates.log_likelihood


@dataclass(frozen=True, repr=False)
class FitSummary:
    """Parameters of a fit and facts about it; printing it shows both."""

    title: str
    table: pa.Table
    """A row a parameter: parameter, estimate, standard_error, low_95, high_95; NaN where the data do not show it."""
    facts: Mapping[str, str]

    @classmethod
    def of(cls, title: str, estimates: Estimates, facts: Mapping[str, str]) -> "FitSummary":
        """Of estimates; intervals are those of the scale on which a parameter was fitted, so that none goes below 0."""
        values, errors = np.array(list(estimates.params.values())), np.array(list(estimates.standard_errors.values()))
        is_log = np.array(estimates.logarithms or (True,) * len(values), dtype=bool)
        with np.errstate(over="ignore"):  # why: what the data hardly show has an interval without an end
            factor = np.exp(NORMAL_95 * errors / np.where(is_log, values, 1.0))
            low = np.where(is_log, values / factor, values - NORMAL_95 * errors)
            high = np.where(is_log, values * factor, values + NORMAL_95 * errors)
        columns = (list(estimates.params), values, errors, low, high)
        return cls(title, pa.table(dict(zip(COLUMNS, columns, strict=True))), facts)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [tuple(row.values()) for row in self.table.to_pylist()]
        return [(row[0], *(f"{value:.{SHOWN}g}" for value in row[1:])) for row in rows]

    def __str__(self) -> str:
        lines = [COLUMNS, *self._rows()]
        widths = [max(len(line[place]) for line in lines) for place in range(len(COLUMNS))]
        cells = [
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
            for line in lines
        ]
        facts = [f"{name}: {value}" for name, value in self.facts.items()]
        return "\n".join([self.title, *("  ".join(cell) for cell in cells), *facts])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self._rows())
        facts = "<br>".join(escape(f"{name}: {value}") for name, value in self.facts.items())
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{escape(self.title)}</p>{table}<p>{facts}</p>"


def facts_of(estimates: Estimates) -> dict[str, str]:
    """Customers, log-likelihood and unit of time of a fit, as far as they are known."""
    facts = {"customers": f"{estimates.customer_count:,.0f}" if estimates.customer_count else ""}
    facts["log-likelihood"] = f"{estimates.log_likelihood:,.3f}" if np.isfinite(estimates.log_likelihood) else ""
    facts["unit of time"] = estimates.unit
    return {name: value for name, value in facts.items() if value}


def short_repr(name: str, estimates: Estimates, *more: str) -> str:
    """One line of a fitted model: its parameters, and how many customers it was fitted to."""
    params = ", ".join(f"{letter}={value:.{SHOWN}g}" for letter, value in estimates.params.items())
    facts = [f"{estimates.customer_count:,.0f} customers"] if estimates.customer_count else []
    facts += [f"unit {estimates.unit}"] if estimates.unit else []
    return f"{name}({'; '.join([params, *facts, *more])})"
