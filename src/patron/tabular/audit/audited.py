"""What an audit looks at, and what it reports."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from patron.estimators.bootstrap import Interval
from patron.schema.numbers import Numbers
from patron.tabular.candidates import Candidate, fit_candidates, fit_once
from patron.tabular.columns import Columns, Index
from patron.tabular.compared_table import ComparedTable
from patron.tabular.encoded_parts import encode
from patron.tabular.evaluation import JudgedPart, Part, ScoreRow
from patron.tabular.learners import Classifier
from patron.tabular.preference import FoldedAUC
from patron.tabular.splits import Split, TimeOrder
from patron.tabular.threshold import Payoff
from patron.tabular.workers import map_in_threads


@dataclass(frozen=True)
class Report:
    """What an audit says of a table."""

    findings: tuple[str, ...] = ()
    """Problems only, each in sentences a person can act on."""
    rows: tuple[ScoreRow, ...] = ()
    """Scores of honest variants."""
    ceiling: Interval | None = None
    columns: frozenset[str] = frozenset()
    """Columns that the findings are about, which later checks leave alone."""


@dataclass(frozen=True, eq=False)
class Audited:
    """A compared table with its cut and its candidates."""

    compared: ComparedTable
    split: Split
    """Training and test rows; the test rows are none where nothing is tested."""
    folds: Sequence[Split]
    candidates: Sequence[Candidate]
    preferred: Candidate
    parts: Mapping[Part, JudgedPart]
    payoff: Payoff | None
    """What acting brings and costs, if it was given."""

    @property
    def columns(self) -> Columns:
        """The columns that are learned from."""
        return self.compared.columns

    @property
    def label(self) -> Numbers:
        """0 or 1 of each row."""
        return self.compared.label

    @property
    def time(self) -> TimeOrder | None:
        """The time of each row, where the table is cut in time."""
        return self.compared.layout.time

    @property
    def seed(self) -> int:
        """Of all that is random."""
        return self.compared.layout.seed

    @property
    def has_test(self) -> bool:
        """Whether rows were kept to test on."""
        return len(self.split.judged) > 0

    @cached_property
    def cut(self) -> Split:
        """The cut that problems are looked for on both sides of: that of the test, else the last fold's."""
        return self.split if self.has_test else self.folds[-1]

    @cached_property
    def judged(self) -> JudgedPart:
        """The judged rows of that cut."""
        if self.has_test:
            return self.parts["test"]
        rows = self.cut.judged
        return JudgedPart("validation", self.label[rows], self.compared.units(rows), self.seed)

    @property
    def judged_name(self) -> str:
        """The part that these rows are of."""
        return "test" if self.has_test else "validation"

    @cached_property
    def forecast(self) -> Numbers:
        """What the preferred learner forecasts for these rows."""
        return self.forecast_of(self.preferred)

    @cached_property
    def judge(self) -> Candidate:
        """The single learner that honest variants are fitted with: the best of them on the validation rows."""
        real = [one for one in self.candidates if one.learner is not None and not one.is_baseline]
        labels = [self.label[fold.judged] for fold in self.folds]
        aucs = {one.name: FoldedAUC.of(labels, one.by_fold).value for one in real}
        single = [one for one in self.candidates if one.learner is not None]
        return max(real, key=lambda one: aucs[one.name]) if real else single[-1]

    def forecast_of(self, candidate: Candidate) -> Numbers:
        """What a candidate forecasts for the judged rows."""
        return candidate.test if self.has_test else candidate.by_fold[-1]

    def without(self, names: Collection[str]) -> "Audited":
        """The same table without some columns, with the forecasts as they were."""
        columns = self.columns.select(set(self.columns.names).difference(names))
        return replace(self, compared=replace(self.compared, columns=columns))

    def refit_without(self, names: Collection[str]) -> Candidate:
        """The judge as it would have competed without some columns."""
        columns, groups = self.without(names).columns, self.compared.layout.groups
        *folds, whole = map_in_threads(
            lambda part: encode(columns, self.label, part, seed=self.seed, groups=groups), (*self.folds, self.split)
        )
        return fit_candidates([self._learner], folds, whole, is_ordered=self.time is not None, seed=self.seed)[0]

    @property
    def _learner(self) -> Classifier:
        if self.judge.learner is None:
            raise AssertionError("the average is no judge")
        return self.judge.learner

    def with_training(self, training: Index, judged: Index) -> Numbers:
        """Forecasts of some rows by the judge, fitted to others."""
        groups = self.compared.layout.groups
        part = encode(self.columns, self.label, Split(training, judged), seed=self.seed, groups=groups)
        return fit_once(self._learner, part, seed=self.seed)

    def judged_rows(self, chosen: Index) -> JudgedPart:
        """Some of the judged rows; `chosen` are places among them."""
        return replace(self.judged, label=self.judged.label[chosen], units=self.judged.units[chosen])


def percent(share: float) -> str:
    """A share as people write it."""
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def auc_text(value: float) -> str:
    """An AUC with three digits."""
    return f"{value:.3f}"


def names_in_words(names: Sequence[str]) -> str:
    """Column names in a sentence."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
