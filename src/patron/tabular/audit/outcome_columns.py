"""Columns that carry the outcome: alone nearly as good as all, or filled only once the outcome is known."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.tree import DecisionTreeClassifier

from patron.schema.models import metrics
from patron.schema.numbers import Numbers
from patron.tabular.audit.audited import Audited, Report, auc_text, names_in_words, percent
from patron.tabular.candidates import Candidate, first_recent
from patron.tabular.columns import Columns
from patron.tabular.encoding import MISSING, LevelMeans
from patron.tabular.evaluation import Part, ScoreRow
from patron.tabular.threshold import choose_threshold

NEARLY_ALL, MARKS_NEARLY_ALL = 0.85, 0.7
"""Share of the skill (AUC above .5) of all columns that one must have alone; less for a column that marks rows."""
SKILL_LEFT = 0.7
"""Where less of the skill than this is left without the column, it is what the model knows."""
SURE_AUC, SURE_LOSS = 0.97, 0.02
"""A column alone this good is reported already where the AUC falls this much without it."""
LONELY, LONELY_AUC = 0.6, 0.95
"""Where the other columns say next to nothing, one good column is a signal among noise, unless it is this good."""
MIN_AUC, MARKS_AUC, MARKS_SHARE = 0.88, 0.75, 0.85
"""Below this AUC a strong column is as likely an honest one. Less is needed of a column that marks rows more than it
measures them: that has this share of its skill by being filled or above 0 at all, or by few values."""
FEW_VALUES, EMPTY_SHARE = 5, 0.3
MIN_ROWS, PURE = 30, 0.98
LEAVES = 10


@dataclass(frozen=True)
class Pattern:
    """Rows that a column marks: by a level, or by being filled at all."""

    column: str
    text: str
    is_marked: npt.NDArray[np.bool_]


def find_outcome_columns(audited: Audited) -> Report:
    """Name the columns that carry the outcome, and print the test AUC without them."""
    alone = _auc_alone(audited)
    forecast = audited.forecast_of(audited.judge)
    everything = float(metrics.auc(audited.judged.label, forecast))
    pure = {pattern.column: pattern for pattern in _pure_patterns(audited)}
    suspects = [name for name, auc in alone.items() if _is_suspect(audited, name, auc, everything)]
    suspects = list(dict.fromkeys([*suspects, *pure]))
    if not suspects or len(suspects) == len(audited.columns.names):
        return Report()
    without = audited.refit_without(suspects)
    honest = float(metrics.auc(audited.judged.label, audited.forecast_of(without)))
    best = max(alone[name] for name in suspects)
    if honest < LONELY and not pure and best < LONELY_AUC:
        return Report()
    loss = audited.judged.gain(metrics.AUC, forecast, audited.forecast_of(without))
    is_lost = honest - 0.5 <= SKILL_LEFT * (everything - 0.5)
    is_sure = best >= SURE_AUC and loss.value >= SURE_LOSS
    if not (pure or ((is_lost or is_sure) and loss.low > 0)):
        return Report()
    finding = _sentence(audited, alone, suspects, pure, (everything, honest))
    return Report((finding,), tuple(_rows(audited, f"without {', '.join(suspects)}", without)))


def _is_suspect(audited: Audited, name: str, alone: float, everything: float) -> bool:
    if alone < MARKS_AUC:
        return False
    least, share = (MARKS_AUC, MARKS_NEARLY_ALL) if _is_mark(audited, name, alone) else (MIN_AUC, NEARLY_ALL)
    return alone >= least and alone - 0.5 >= share * (everything - 0.5)


def _rows(audited: Audited, name: str, candidate: Candidate) -> Iterator[ScoreRow]:
    """Scores of a refitted learner at its threshold."""
    first = first_recent(len(audited.folds), is_ordered=audited.time is not None)
    label = np.concatenate([audited.label[fold.judged] for fold in audited.folds[first:]])
    threshold = choose_threshold(label, np.concatenate(candidate.by_fold[first:]), audited.payoff)
    forecasts: dict[Part, Numbers] = {
        "train": candidate.train,
        "validation": candidate.validation,
        "test": candidate.test,
    }
    for part, judged in audited.parts.items():
        yield from judged.score(name, forecasts[part], (forecasts[part] >= threshold).astype(np.float64))


def _sentence(
    audited: Audited,
    alone: dict[str, float],
    suspects: list[str],
    pure: dict[str, Pattern],
    aucs: tuple[float, float],
) -> str:
    where, is_one = audited.judged_name, len(suspects) == 1
    everything, honest = (auc_text(auc) for auc in aucs)
    best = max(suspects, key=lambda name: alone[name])
    first = f"{names_in_words(suspects)} {'carries' if is_one else 'carry'} the outcome:"
    facts = f"with all columns the {where} AUC is {everything}, without {'it' if is_one else 'them'} {honest}"
    if alone[best] >= MARKS_AUC:
        facts += f", with {'it' if is_one else f'`{best}`'} alone {auc_text(alone[best])}"
    hints = "".join(f" {_pattern_in_words(audited, pattern)}" for pattern in pure.values())
    check = "it is known when you predict; if not, leave it out"
    if not is_one:
        check = "they are known when you predict; if not, leave them out"
    return f"{first} {facts}.{hints} Check that {check}."


def _is_mark(audited: Audited, name: str, alone: float) -> bool:
    """Whether a column marks rows rather than measures them: by few values, or by being filled or above 0 at all."""
    text = audited.columns.texts.get(name)
    if text is not None:
        return len(text.levels) <= FEW_VALUES
    values = np.nan_to_num(audited.columns.numbers[name][audited.cut.judged])
    if len(np.unique(values)) <= FEW_VALUES:
        return True
    if values.min() < 0 or (values == 0).mean() < EMPTY_SHARE:
        return False
    by_mark = float(metrics.auc(audited.judged.label, (values > 0).astype(np.float64))) - 0.5
    return abs(by_mark) >= MARKS_SHARE * (alone - 0.5)


def _auc_alone(audited: Audited) -> dict[str, float]:
    """AUC on the judged rows of a small tree on each column alone."""
    training, judged = audited.columns.take(audited.cut.training), audited.columns.take(audited.cut.judged)
    label = audited.label[audited.cut.training]
    smallest = max(5, len(label) // 100)
    aucs = {}
    for name in audited.columns.names:
        tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=smallest, random_state=0)
        inner, outer = _as_numbers(training, name, label, judged)
        forecast = np.asarray(tree.fit(inner[:, None], label).predict_proba(outer[:, None]))[:, 1]
        aucs[name] = float(metrics.auc(audited.judged.label, forecast))
    return aucs


def _as_numbers(training: Columns, name: str, label: Numbers, judged: Columns) -> tuple[Numbers, Numbers]:
    if name in training.numbers:
        return training.numbers[name], judged.numbers[name]
    means = LevelMeans.of(training.texts[name], label)
    return means.of_rows(training.texts[name]), means.of_rows(judged.texts[name])


def _pure_patterns(audited: Audited) -> Iterator[Pattern]:
    """Marks that nearly every bearer of is of the rarer class, on both sides of the cut."""
    inner, outer = audited.cut.training, audited.cut.judged
    rarer = 1.0 if audited.label[inner].mean() <= 0.5 else 0.0
    for pattern in _patterns(audited.columns):
        first, second = pattern.is_marked[inner], pattern.is_marked[outer]
        if first.sum() < MIN_ROWS or second.sum() < MIN_ROWS // 5:
            continue
        shares = [
            float((audited.label[rows[mark]] == rarer).mean()) for rows, mark in ((inner, first), (outer, second))
        ]
        if min(shares) >= PURE:
            yield pattern


def _patterns(columns: Columns) -> Iterator[Pattern]:
    for name, values in columns.numbers.items():
        is_missing = np.isnan(values)
        if is_missing.any():
            yield Pattern(name, "filled", ~is_missing)
        known = np.unique(values[~is_missing])
        if len(known) == 2:
            yield Pattern(name, f"{known[1]:g}", values == known[1])
            yield Pattern(name, f"{known[0]:g}", values == known[0])
        elif len(known) > 2 and known[0] == 0:
            yield Pattern(name, "above 0", values > 0)
    for name, text in columns.texts.items():
        names = (*text.levels, MISSING)
        counts = np.bincount(text.codes % len(names), minlength=len(names))
        for at in np.argsort(-counts)[:50]:
            yield Pattern(name, names[at], text.codes % len(names) == at)
        if counts[-1]:
            yield Pattern(name, "filled", text.codes >= 0)


def _pattern_in_words(audited: Audited, pattern: Pattern) -> str:
    share, count = float(audited.label[pattern.is_marked].mean()), int(pattern.is_marked.sum())
    which = f"{percent(share)} are positive" if share >= 0.5 else f"{percent(1 - share)} are negative"
    return f"Of the {count:,} rows where `{pattern.column}` is {pattern.text}, {which}."
