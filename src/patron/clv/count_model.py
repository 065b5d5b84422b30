"""What every model of order counts does: be fitted to a summary, and answer for each of its customers or a new one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, TypeVar

import numpy as np
import pyarrow as pa

from patron.clv.distinct_histories import (
    FEW_ROWS,
    Histories,
    Indices,
    check_customer_count,
    mean_age,
    rescale,
    sample_rows,
)
from patron.clv.fit_summary import FitSummary, LikelihoodModel, facts_of, short_repr
from patron.clv.foreign_signatures import fit_input, refuse_unfitted, with_methods
from patron.clv.frames import with_answers
from patron.clv.maximum_likelihood import (
    Estimates,
    Objective,
    covariance,
    delta_method_covariance,
    maximise,
    transformed_objective,
)
from patron.clv.rfm_summary import summary_unit
from patron.schema.frames import arrow
from patron.schema.numbers import Numbers

ANSWERS = (
    "predict",
    "expected_purchases",
    "probability_of_purchase",
    "probability_alive",
    "purchase_count_distribution",
    "expected_purchases_new",
    "summary",
    "simulate",
    "save",
)
"""What users ask a fitted model for, in the order in which help names it."""
NO_DROP_OUT = 0.02
"""With fewer of those who came back gone, there is no drop-out to see."""


def check_horizon(horizon: float) -> float:
    """A horizon as a number. Raises ValueError for anything else, and below 0."""
    length = float(horizon) if isinstance(horizon, int | float | np.number) else math.nan
    if not 0 <= length < math.inf:
        raise ValueError(f"horizon {horizon!r}: name how many of the summary's unit of time, 0 or more; see horizon_of")
    return length


def new_customer_rows(others: Mapping[str, float] | None = None) -> Histories:
    """Somebody who has just placed their first order, and their `others`, columns such as covariates."""
    nothing = np.zeros(1)
    extras = {name: np.full(1, float(value)) for name, value in (others or {}).items()}
    return Histories(nothing, nothing, T=nothing, weight=np.ones(1), inverse=np.zeros(1, np.int64), extras=extras)


def summary_columns(steps: Iterable[tuple[Indices, Numbers]], T: Numbers, horizon: float) -> dict[str, Numbers]:
    """Columns of a summary of customers observed for the times T, from what `CountModel.draw_orders` yields."""
    frequency, recency, log_gaps, later = (np.zeros(len(T)) for _ in range(4))
    for who, at in steps:
        is_known = at <= T[who]
        known, when = who[is_known], at[is_known]
        frequency[known] += 1
        log_gaps[known] += np.log(when - recency[known])
        recency[known] = when
        later[who[~is_known]] += 1
    columns = {"frequency": frequency, "recency": recency, "T": T, "log_gaps": log_gaps}
    return columns | ({"frequency_holdout": later} if horizon else {})


def poisson_orders(rate: Numbers, until: Numbers, rng: np.random.Generator) -> Iterator[tuple[Indices, Numbers]]:
    """Poisson orders at each customer's rate until each one's time, as `CountModel.draw_orders` yields them."""
    who, now = np.arange(len(rate)), np.zeros(len(rate))
    while len(who):
        now[who] += rng.standard_exponential(len(who)) / rate[who]
        who = who[now[who] <= until[who]]
        yield who, now[who]


@dataclass(frozen=True)
class CountModel(LikelihoodModel, ABC):
    """A fitted model of how many orders come when. Times are in the unit of the summary it was fitted to.

    A summary is anything that speaks Arrow, or columns by name, with frequency (repeat orders), recency (time from the
    first to the last one) and T (time from the first one to now). Answers are one number a row, in the summary's order;
    `predict` gives them beside the customers' ids, in the kind of frame that the summary is.
    """

    kind: ClassVar[str]
    is_discrete: ClassVar[bool] = False
    """Whether time is a number of periods."""

    def __init_subclass__(cls, **options: Any) -> None:
        """A model's repr is one line, and its help begins with what it answers."""
        super().__init_subclass__(**options)
        cls.__repr__ = CountModel.__repr__
        cls.__doc__ = with_methods(cls.__doc__, cls, ANSWERS)

    def __repr__(self) -> str:
        """Parameters and how many customers they were fitted to."""
        return short_repr(type(self).__name__, self.estimates, *(["no drop-out seen"] if self.is_collapsed else []))

    def summary(self) -> FitSummary:
        """Each parameter with its standard error and 95 % interval, and the facts about the fit, to be printed."""
        facts = facts_of(self.estimates)
        if math.isfinite(self.estimates.dropout_share):
            facts["have left, of those who came back"] = f"{self.estimates.dropout_share:.1%}"
        return FitSummary.of(type(self).__name__, self.estimates, facts)

    def predict(self, summary: Any, horizon: float) -> Any:
        """All answers about each customer beside their ids, in the kind of frame that the summary is.

        Columns: customer_id where the summary has it, expected_purchases and probability_of_purchase in the next
        `horizon`, probability_alive.
        """
        return with_answers(
            summary,
            expected_purchases=self.expected_purchases(summary, horizon),
            probability_of_purchase=self.probability_of_purchase(summary, horizon),
            probability_alive=self.probability_alive(summary),
        )

    @property
    def unit(self) -> str:
        """Unit of time: D, W, M or Y, or '' when the summary has none."""
        return self.estimates.unit

    @property
    def is_collapsed(self) -> bool:
        """Whether there is no drop-out to see in the data: P(alive) means nothing then, P(order) still ranks."""
        return self.estimates.dropout_share < NO_DROP_OUT

    def columns(self) -> Sequence[str]:
        """Columns of a summary that are needed besides frequency, recency and T."""
        return ()

    def rows(self, summary: Any) -> Histories:
        """Distinct rows of a summary. Raises ValueError for a missing column, impossible rows or another unit."""
        self.check_unit(summary)
        return Histories.of(summary, *self.columns())

    def check_unit(self, summary: Any) -> None:
        """Reject a summary whose times are in another unit than those of the fit. Raises ValueError."""
        summary_has = summary_unit(summary)
        if summary_has and self.unit and summary_has != self.unit:
            raise ValueError(
                f"the summary is in {summary_has} and the model was fitted in {self.unit}: rfm(..., unit={self.unit!r})"
            )

    def new(self) -> Histories:
        """Somebody who has just placed their first order."""
        return new_customer_rows()

    def probability_alive(self, summary: Any) -> Numbers:
        """P(alive): probability that each customer has not left for good, 0 to 1."""
        rows = self.rows(summary)
        return rows.per_customer(self.alive(rows))

    def probability_of_purchase(self, summary: Any, horizon: float) -> Numbers:
        """Probability of at least one order of each customer in the next `horizon`. Raises ValueError below 0."""
        rows = self.rows(summary)
        return rows.per_customer(self.purchase_probability(rows, check_horizon(horizon)))

    def expected_purchases(self, summary: Any, horizon: float) -> Numbers:
        """Expected orders of each customer in the next `horizon`, in the summary's unit. Raises ValueError below 0."""
        rows = self.rows(summary)
        return rows.per_customer(self.expected(rows, check_horizon(horizon)))

    def expected_purchases_new(self, horizon: float) -> float:
        """Expected repeat orders of a new customer in the `horizon` after the first one."""
        return float(self.expected(self.new(), check_horizon(horizon))[0])

    def purchase_count_distribution(self, summary: Any | None, horizon: float, *, most: int = 20) -> Numbers:
        """Probability of 0, 1 ... `most` orders or more in a horizon: a row per customer, or one for a new one (None).

        Rows add up to 1.
        """
        rows = self.new() if summary is None else self.rows(summary)
        return rows.per_customer(self.counts(rows, check_horizon(horizon), most))

    def simulate(self, T: Numbers, rng: np.random.Generator, *, horizon: float = 0.0) -> pa.Table:
        """New customers observed for the times T, and their orders in the `horizon` after: a summary with the truth.

        Columns: frequency, recency, T, log_gaps and, with a horizon, frequency_holdout.
        """
        T = np.asarray(T, dtype=np.float64)
        return pa.table(summary_columns(self.draw_orders(T + horizon, rng), T, horizon))

    @abstractmethod
    def alive(self, rows: Histories) -> Numbers:
        """As `probability_alive`, of each distinct row."""

    @abstractmethod
    def purchase_probability(self, rows: Histories, horizon: float) -> Numbers:
        """As `probability_of_purchase`, of each distinct row."""

    @abstractmethod
    def expected(self, rows: Histories, horizon: float) -> Numbers:
        """As `expected_purchases`, of each distinct row."""

    @abstractmethod
    def counts(self, rows: Histories, horizon: float, most: int) -> Numbers:
        """As `purchase_count_distribution`, of each distinct row."""

    @abstractmethod
    def draw_orders(self, T: Numbers, rng: np.random.Generator) -> Iterator[tuple[Indices, Numbers]]:
        """Orders after the first of new customers until T: of the second orders, the third ..., whose and when."""


Model = TypeVar("Model", bound=CountModel)


class CountLearner(ABC, Generic[Model]):
    """A model to be fitted to a summary by maximum likelihood.

    A subclass is a frozen dataclass of settings with a `name`, and defines the objective and where to start.
    """

    name: ClassVar[str]
    letters: ClassVar[Sequence[str]]
    in_time: ClassVar[Sequence[str]]
    """The letters that have the unit of time; parameters are sought with times in units of the mean age."""

    def __init_subclass__(cls, **options: Any) -> None:
        """A learner's help begins with how it is fitted and what it answers then."""
        super().__init_subclass__(**options)
        call = f"{cls.__name__}().fit(summary)"
        fit = f"fitted = {call}, or of arrays fit(frequency=..., recency=..., T=...); then, of fitted:"
        cls.__doc__ = with_methods(cls.__doc__, CountModel, ANSWERS, fit)

    if not TYPE_CHECKING:  # why: as above

        def __getattr__(self, name: str) -> NoReturn:
            """Say that only a fitted model answers. Raises AttributeError."""
            refuse_unfitted(self, name, CountModel)

    def fit(
        self,
        summary: Any = None,
        *positional: Any,
        frequency: Any = None,
        recency: Any = None,
        T: Any = None,
        **others: Any,
    ) -> Model:
        """Maximum likelihood, of a summary as `rfm` makes it, or of arrays by name: `fit(frequency=, recency=, T=)`.

        `others` are further columns, such as weight, log_gaps or covariates, and `unit`: D, W, M or Y. Raises
        NotEnoughData with fewer than ten customers, ValueError for impossible rows, TypeError for other arguments.
        """
        columns = {"frequency": frequency, "recency": recency, "T": T, **others}
        return self.fit_table(arrow(fit_input(summary, positional, columns)))

    def fit_table(self, table: pa.Table) -> Model:
        """As `fit`, of an Arrow table."""
        rows = Histories.of(table, *self.columns())
        check_customer_count(rows, self.name)
        return self.fit_rows(rows, summary_unit(table))

    def with_settings_for(self, summary: Any) -> Self:  # noqa: ARG002 - learners with something to be found override it
        """The learner with all that `fit` would choose besides parameters."""
        return self

    def fit_rows(self, rows: Histories, unit: str = "") -> Model:
        """As `fit`, of distinct rows."""
        scale, customers = mean_age(rows) if self.in_time else 1.0, rows.customer_count
        rescaled, transform = rescale(rows, scale), self.transform(rows)
        objective = transformed_objective(self.objective(rescaled), transform)
        few = (
            transformed_objective(self.objective(sample_rows(rescaled)), transform) if len(rows.T) > FEW_ROWS else None
        )
        is_free = (False,) * len(self.letters) + (True,) * len(self.effects())
        at, second = maximise(objective, self.start(rescaled), free=is_free, sample=few)
        value, _ = objective(at)
        log_likelihood = value * customers + self.constant(rows, scale)
        sure = delta_method_covariance(covariance(second, at, customers), transform)
        logarithms = tuple(not one for one in is_free) if any(is_free) else ()
        estimates = Estimates(
            self._params(at, transform, scale),
            log_likelihood,
            covariance=sure,
            customer_count=customers,
            logarithms=logarithms,
            unit=unit,
        )
        return self.fitted_model(
            replace(estimates, dropout_share=self.dropout_share(self.fitted_model(estimates), rows))
        )

    def _params(self, at: Numbers, transform: Numbers | None, scale: float) -> dict[str, float]:
        values = at if transform is None else transform @ at
        params = {
            name: float(np.exp(one)) * (scale if name in self.in_time else 1.0)
            for name, one in zip(self.letters, values, strict=False)
        }
        return params | dict(zip(self.effects(), values[len(self.letters) :].tolist(), strict=True))

    def dropout_share(self, model: Model, rows: Histories) -> float:
        """Share of those with a repeat order who have left, as a model has it; of some of them where there are many."""
        sample = sample_rows(rows) if len(rows.T) > FEW_ROWS else rows
        weight = sample.weight * (sample.frequency > 0)
        return float(weight @ (1 - model.alive(sample)) / max(weight.sum(), 1e-300))

    def columns(self) -> Sequence[str]:
        """Columns of a summary that are needed besides frequency, recency and T."""
        return ()

    def effects(self) -> Sequence[str]:
        """Names of the parameters that come after the letters and are no logarithms: effects of covariates."""
        return ()

    def transform(self, rows: Histories) -> Numbers | None:  # noqa: ARG002 - covariates override it
        """Matrix that makes what is sought into the parameters; None when they are the same."""
        return None

    def constant(self, rows: Histories, scale: float) -> float:
        """What the log-likelihood of times in the summary's unit has more than that of times in units of `scale`."""
        return -float(rows.frequency @ rows.weight) * math.log(scale)

    @abstractmethod
    def objective(self, rows: Histories) -> Objective:
        """What to maximise, in the logarithms of the parameters."""

    @abstractmethod
    def start(self, rows: Histories) -> Numbers:
        """Logarithms of the parameters to begin from."""

    @abstractmethod
    def fitted_model(self, estimates: Estimates) -> Model:
        """The fitted model."""
