"""Learners as they compete: searched, judged fold by fold, calibrated, and fitted to all training rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from patron.estimators.calibration import Calibration
from patron.estimators.learner import Predictor
from patron.schema.numbers import Numbers
from patron.tabular.columns import Columns
from patron.tabular.encoded_parts import EncodedSplit
from patron.tabular.learners import AVERAGED, BASELINES, Classifier
from patron.tabular.learners.classifier import log_odds
from patron.tabular.sampling import sample_rows
from patron.tabular.search import search_settings
from patron.tabular.workers import map_in_threads

MIN_TO_CALIBRATE = 50
AVERAGE = "average"
AVERAGE_COMPLEXITY = 9


class Model(Protocol):
    """What gives each row of a table its probability."""

    def predict(self, columns: Columns) -> Numbers:
        """Probability of a positive, calibrated."""
        ...


@dataclass(frozen=True, eq=False)
class CalibratedModel:
    """A fitted learner with the encoding of its columns and its calibration."""

    encoded: EncodedSplit
    fitted: Predictor
    calibration: Calibration

    def predict(self, columns: Columns) -> Numbers:
        """Probability of a positive, calibrated."""
        return self.calibration.probability(log_odds(self.fitted.predict(self.encoded.matrix(columns))))


@dataclass(frozen=True, eq=False)
class AveragedModel:
    """The mean log-odds of several models as they come, calibrated."""

    members: tuple[Model, ...]
    calibration: Calibration

    def predict(self, columns: Columns) -> Numbers:
        """Probability of a positive, calibrated."""
        return self.calibration.probability(_mean_log_odds([member.predict(columns) for member in self.members]))


@dataclass(frozen=True, eq=False)
class Candidate:
    """A learner with what it forecast for rows that it was not fitted to, fold by fold."""

    learner: Classifier | None
    """With the settings that the search found; None for the average."""
    name: str
    complexity: int
    by_fold: tuple[Numbers, ...]
    """Calibrated probabilities of each fold's judged rows."""
    model: Model
    train: Numbers
    """Probabilities of the rows that the model was fitted to."""
    test: Numbers

    @property
    def validation(self) -> Numbers:
        """Probabilities of the judged rows of all folds, one fold after the other."""
        return np.concatenate(self.by_fold)

    @property
    def is_baseline(self) -> bool:
        """Whether it is there to be beaten."""
        return isinstance(self.learner, BASELINES)


def fit_candidates(
    learners: Sequence[Classifier], folds: Sequence[EncodedSplit], whole: EncodedSplit, *, is_ordered: bool, seed: int
) -> list[Candidate]:
    """Search settings of each learner, judge it on the folds, fit it to all training rows; add the average."""
    searched = map_in_threads(lambda learner: search_settings(learner, folds, seed=seed), learners)
    parts = [*folds, whole]
    tasks = [(learner, part) for learner in searched for part in parts]

    def fit(task: tuple[Classifier, EncodedSplit]) -> tuple[Predictor, Numbers, Numbers]:
        return _fit_and_forecast(*task, seed=seed, with_training=task[1] is whole)

    forecasts = map_in_threads(fit, tasks)
    labels = [fold.judged_label for fold in folds]
    candidates: list[Candidate] = []
    for at, learner in enumerate(searched):
        mine = forecasts[at * len(parts) : (at + 1) * len(parts)]
        odds = [log_odds(judged) for _, judged, _ in mine[:-1]]
        by_fold, calibration = calibrate_folds(odds, labels, is_ordered=is_ordered)
        fitted, test, train = mine[-1]
        candidates.append(
            Candidate(
                learner,
                learner.name,
                complexity=learner.complexity,
                by_fold=by_fold,
                model=CalibratedModel(whole, fitted, calibration),
                train=calibration.probability(log_odds(train)),
                test=calibration.probability(log_odds(test)),
            )
        )
    members = [at for at, one in enumerate(candidates) if one.name in AVERAGED]
    if len(members) < 2:
        return candidates
    raw = [forecasts[at * len(parts) : (at + 1) * len(parts)] for at in members]
    return [*candidates, _average(raw, whole, labels, is_ordered=is_ordered)]


def calibrate_folds(
    odds: Sequence[Numbers], labels: Sequence[Numbers], *, is_ordered: bool
) -> tuple[tuple[Numbers, ...], Calibration]:
    """Probabilities of each fold, calibrated on the others (in time: on earlier ones), and a calibration for later."""
    by_fold = []
    for at, one in enumerate(odds):
        others = [k for k in range(len(odds)) if (k < at if is_ordered else k != at)]
        by_fold.append(_calibration([odds[k] for k in others], [labels[k] for k in others]).probability(one))
    first = first_recent(len(odds), is_ordered=is_ordered)
    return tuple(by_fold), _calibration(odds[first:], labels[first:])


def first_recent(fold_count: int, *, is_ordered: bool) -> int:
    """The first fold that later rows are likened to: with a time the later half of the folds, otherwise all."""
    return fold_count // 2 if is_ordered else 0


def fit_once(learner: Classifier, part: EncodedSplit, *, seed: int) -> Numbers:
    """Forecasts of a split's judged rows by a learner that is fitted to its training rows; not calibrated."""
    return _fit_and_forecast(learner, part, seed=seed, with_training=False)[1]


def _fit_and_forecast(
    learner: Classifier, part: EncodedSplit, *, seed: int, with_training: bool
) -> tuple[Predictor, Numbers, Numbers]:
    matrix, label = part.training, part.training_label
    if len(label) > learner.most_rows:
        rows = sample_rows(label, learner.most_rows, np.random.default_rng(seed))
        matrix, label = matrix[rows], label[rows]
    fitted = learner.fit(matrix, label, sources=part.encoding.sources, seed=seed)
    judged = fitted.predict(part.judged) if len(part.judged) else np.zeros(0)
    return fitted, judged, fitted.predict(part.training) if with_training else np.zeros(0)


def _calibration(odds: Sequence[Numbers], labels: Sequence[Numbers]) -> Calibration:
    outcome = np.concatenate([*labels, np.zeros(0)])
    if len(outcome) < MIN_TO_CALIBRATE or outcome.min() == outcome.max():
        return Calibration()
    return Calibration.fit(np.concatenate(odds), outcome)


def _average(
    members: Sequence[Sequence[tuple[Predictor, Numbers, Numbers]]],
    whole: EncodedSplit,
    labels: Sequence[Numbers],
    *,
    is_ordered: bool,
) -> Candidate:
    """The average of several learners, each given by what it forecast in each fold and, last, when fitted to all."""
    odds = [_mean_log_odds([member[at][1] for member in members]) for at in range(len(labels))]
    by_fold, calibration = calibrate_folds(odds, labels, is_ordered=is_ordered)
    last = [member[-1] for member in members]
    models = tuple(CalibratedModel(whole, fitted, Calibration()) for fitted, _, _ in last)
    return Candidate(
        None,
        AVERAGE,
        complexity=AVERAGE_COMPLEXITY,
        by_fold=by_fold,
        model=AveragedModel(models, calibration),
        train=calibration.probability(_mean_log_odds([train for _, _, train in last])),
        test=calibration.probability(_mean_log_odds([test for _, test, _ in last])),
    )


def _mean_log_odds(each: Sequence[Numbers]) -> Numbers:
    return np.mean([log_odds(one) for one in each], axis=0)
