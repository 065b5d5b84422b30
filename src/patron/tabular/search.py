"""Settings of a learner by a search with a budget of trials, inside the training rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from patron.schema.numbers import Numbers
from patron.tabular.columns import Index
from patron.tabular.encoded_parts import EncodedSplit
from patron.tabular.learners.classifier import Classifier
from patron.tabular.preference import FoldedAUC
from patron.tabular.sampling import sample_rows

MAX_FOLDS = 3
MAX_ROWS = 3_000
"""Rows of a side of a fold that a trial uses: settings are compared on few rows, models on all."""


def search_settings(learner: Classifier, folds: Sequence[EncodedSplit], *, seed: int) -> Classifier:
    """The settings with the best mean AUC over some folds, where they are better by more than noise.

    The settings that the learner came with stay unless the paired interval of others is above them: a search over a
    few thousand rows finds much that is noise.
    """
    if not learner.trials:
        return learner
    import optuna  # noqa: PLC0415 - only whoever searches needs it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rng = np.random.default_rng(seed)
    samples = [_sample(fold, rng) for fold in folds[-MAX_FOLDS:]]
    labels = [judged_label for _, _, _, judged_label, _ in samples]
    scores: list[FoldedAUC] = []

    def measure(tried: Classifier) -> FoldedAUC:
        fits = [tried.fit(matrix, label, sources=(), seed=seed) for matrix, label, _, _, _ in samples]
        return FoldedAUC.of(
            labels, [fit.predict(judged) for fit, (_, _, judged, _, _) in zip(fits, samples, strict=True)]
        )

    def objective(trial: Any) -> float:
        scores.append(measure(learner.suggest(trial).for_trial()))
        return scores[-1].value

    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=learner.trials // 2 + 1)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=learner.trials)
    best = study.best_trial
    units = np.unique(np.concatenate([units for _, _, _, _, units in samples]), return_inverse=True)[1]
    gap = measure(learner.for_trial()).below(scores[best.number], units, among=learner.trials)
    return learner.suggest(best) if gap.low > 0 else learner


def _sample(fold: EncodedSplit, rng: np.random.Generator) -> tuple[Numbers, Numbers, Numbers, Numbers, Index]:
    training = sample_rows(fold.training_label, MAX_ROWS, rng)
    judged = sample_rows(fold.judged_label, MAX_ROWS, rng)
    return (
        fold.training[training],
        fold.training_label[training],
        fold.judged[judged],
        fold.judged_label[judged],
        fold.judged_units[judged],
    )
