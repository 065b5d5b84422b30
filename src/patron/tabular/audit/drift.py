"""What changed with time: how often the outcome follows, the columns themselves, and what newer labels would bring."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from patron.estimators.bootstrap import Interval
from patron.schema.models import metrics
from patron.schema.numbers import Numbers
from patron.tabular.audit.audited import Audited, Report, auc_text, names_in_words, percent
from patron.tabular.columns import Index, TextColumn

LEAST_SHIFT, LEAST_RATIO = 0.02, 1.25
"""Difference and ratio of the actual to the expected share of positives from which calibration counts as broken."""
SURE = 4.0
"""Standard errors that a shift must be away from 0."""
MOST_PERIODS = 12
SURE_INDEX = 3.0
LARGE_PSI = 0.25
"""Population stability index that the field calls a major shift."""
GROWS, FEWEST_PERIODS = 0.9, 5
"""Rank correlation of a column's mean with time beyond which it grows with the calendar, which is no drift."""
FEWEST_ROWS, FEWEST_POSITIVES = 200, 40
FOLDS = 5
LEAST_GAIN = 0.01


def find_drift(audited: Audited) -> Report:
    """Periods whose calibration broke, columns that moved, and the test AUC that newer labels would allow."""
    if audited.time is None or not audited.has_test:
        return Report()
    ceiling = _ceiling(audited)
    findings = [*_broken_calibration(audited), *_moved_columns(audited), *_what_newer_labels_bring(ceiling)]
    return Report(tuple(findings), ceiling=None if ceiling is None else ceiling[0])


def _broken_calibration(audited: Audited) -> Iterator[str]:
    for name, rows in _periods(audited):
        expected, actual = float(audited.forecast[rows].mean()), float(audited.judged.label[rows].mean())
        error = np.sqrt((audited.forecast[rows] * (1 - audited.forecast[rows])).sum()) / len(rows)
        shift = abs(actual - expected)
        ratio = max(actual, expected) / max(min(actual, expected), 1e-9)
        if shift >= max(LEAST_SHIFT, SURE * error) and ratio >= LEAST_RATIO:
            yield (
                f"{name} broke the calibration: {percent(actual)} of its {len(rows):,} rows are positive, "
                f"{percent(expected)} were expected from their columns. Learn from newer rows, or calibrate anew, "
                f"before you rely on the probabilities."
            )


def _periods(audited: Audited) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """Test rows of each time value, or of spans of equal size where there are many."""
    time = audited.time
    if time is None:
        return
    places = time.places[audited.split.judged]
    values = np.unique(places)
    spans = [[one] for one in values] if len(values) <= MOST_PERIODS else np.array_split(values, 4)
    for span in spans:
        rows = np.flatnonzero((places >= span[0]) & (places <= span[-1]))
        first, last = (time.text_of(int(place)) for place in (span[0], span[-1]))
        yield (
            (
                f"{audited.compared.roles.time} {first}"
                if first == last
                else f"{audited.compared.roles.time} {first} to {last}"
            ),
            rows,
        )


def _moved_columns(audited: Audited) -> Iterator[str]:
    time = audited.time
    if time is None:
        return
    before, after = audited.split.training, audited.split.judged
    # between n and m rows, or groups, chance alone makes an index like a chi-squared number times 1 / n + 1 / m
    by_chance = sum(1 / len(np.unique(audited.compared.units(rows))) for rows in (before, after))
    moved: dict[str, float] = {}
    for name, values in audited.columns.numbers.items():
        if not _grows_with_time(values, time.places):
            index = metrics.population_stability_index(values[before], values[after])
            moved[name] = index - _by_chance(metrics.BINS, by_chance)
    for name, text in audited.columns.texts.items():
        index, level_count = _text_stability(text, before, after)
        moved[name] = index - _by_chance(level_count - 1, by_chance)
    large = sorted((name for name, index in moved.items() if index >= LARGE_PSI), key=lambda name: -moved[name])
    if large:
        shown = large[:4]
        indices = ", ".join(f"{moved[name]:.2f}" for name in shown)
        more = f" and {len(large) - 4} more" if len(large) > 4 else ""
        yield (
            f"{names_in_words(shown)}{more} moved between the training and the test rows (stability index {indices}; "
            f"{LARGE_PSI} is a major shift). Check how they are collected, and compare the scores of later rows."
        )


def _by_chance(freedom: int, scale: float) -> float:
    """The index that chance alone hardly exceeds: its mean and three standard errors, as of a chi-squared number."""
    return (freedom + SURE_INDEX * float(np.sqrt(2 * max(freedom, 0)))) * scale


def _grows_with_time(values: Numbers, places: npt.NDArray[np.int64]) -> bool:
    """Whether a column's mean rises or falls from period to period, as the age of an account does."""
    known = ~np.isnan(values)
    if known.sum() < FEWEST_ROWS or np.ptp(values[known]) == 0:
        return False
    periods = np.unique(places[known])
    spans = np.array_split(periods, min(MOST_PERIODS, len(periods)))
    means = [values[known & (places >= span[0]) & (places <= span[-1])].mean() for span in spans]
    return len(means) >= FEWEST_PERIODS and abs(spearmanr(means, np.arange(len(means))).statistic) >= GROWS


def _text_stability(text: TextColumn, before: Index, after: Index) -> tuple[float, int]:
    """The index over levels with at least 1 % of the rows, and how many of them there are."""
    count = len(text.levels) + 1
    shares = [np.bincount(text.codes[rows] % count, minlength=count) + 0.5 for rows in (before, after)]
    p, q = (one / one.sum() for one in shares)
    is_frequent = np.maximum(p, q) >= 0.01
    return float(np.sum(((p - q) * np.log(p / q))[is_frequent])), int(is_frequent.sum())


def _ceiling(audited: Audited) -> tuple[Interval, Interval] | None:
    """AUC of models that have seen labels of the test period, and how far it is above the same learner's without."""
    test, label = audited.split.judged, audited.judged.label
    if len(test) < FEWEST_ROWS or min(label.sum(), len(label) - label.sum()) < FEWEST_POSITIVES:
        return None
    groups = audited.compared.layout.groups
    if groups is None:
        pairs = list(StratifiedKFold(FOLDS, shuffle=True, random_state=audited.seed).split(label, label))
    elif len(np.unique(groups[test])) < FOLDS:
        return None
    else:
        splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=audited.seed)
        pairs = list(splitter.split(label, label, groups[test]))
    best: Numbers | None = None
    for earlier in (audited.split.training, audited.split.training[:0]):
        forecast: Numbers = np.zeros(len(test))
        for labelled, judged in pairs:
            forecast[judged] = audited.with_training(np.concatenate([earlier, test[labelled]]), test[judged])
        if best is None or metrics.auc(label, forecast) > metrics.auc(label, best):
            best = forecast
    if best is None:
        return None
    now = audited.with_training(audited.split.training, test)
    return audited.judged.interval(metrics.AUC, best), audited.judged.gain(metrics.AUC, best, now)


def _what_newer_labels_bring(ceiling: tuple[Interval, Interval] | None) -> Iterator[str]:
    if ceiling is None:
        return
    reached, gain = ceiling
    if gain.low > 0 and gain.value >= LEAST_GAIN:
        now = reached.value - gain.value
        reversal = " Some of it turned round: the preferred learner ranks worse than a coin." if now < 0.5 else ""
        yield (
            f"A model that has seen labels of the test period reaches a test AUC of {auc_text(reached.value)} "
            f"({auc_text(reached.low)} to {auc_text(reached.high)}), and {auc_text(now)} without them: what "
            f"the columns say about the outcome changed with time.{reversal} Learn from newer rows."
        )
