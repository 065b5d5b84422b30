"""Compare learners on a table as a careful practitioner does: an honest cut, baselines, intervals, one preferred."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from patron.schema.errors import BadComparison
from patron.schema.frames import frame_kind, table_without_index
from patron.schema.models import metrics
from patron.schema.numbers import Numbers
from patron.tabular.audit import Audited, audit
from patron.tabular.candidates import AVERAGE, Candidate, first_recent, fit_candidates
from patron.tabular.columns import Index
from patron.tabular.compared_table import ComparedTable, Roles
from patron.tabular.comparison import Comparison
from patron.tabular.encoded_parts import encode
from patron.tabular.evaluation import JudgedPart, Part, ScoreRow
from patron.tabular.learners import BASELINES, LEARNERS, BestColumn, Classifier, Majority
from patron.tabular.preference import FoldedAUC, prefer
from patron.tabular.splits import Split
from patron.tabular.threshold import Payoff, choose_threshold
from patron.tabular.workers import map_in_threads


def compare(  # noqa: PLR0913 - one argument for each choice
    table: Any,
    *,
    label: str,
    time: str | None = None,
    group: str | None = None,
    learners: Sequence[str | Classifier] | None = None,
    folds: int = 5,
    test_share: float = 0.2,
    seed: int = 0,
    positive: Any = None,
    gain_cents: int | None = None,
    cost_cents: int | None = None,
) -> Comparison:
    """Compare learners of a yes-or-no label on any table, and say what is wrong with it.

    Args:
        table: pandas, Polars, DuckDB or Arrow; one row per case. Numbers, booleans, texts and times are learned from.
        label: Column with 0 and 1, true and false, or two texts; rows without a label are left out.
        time: Column of dates, numbers or ordered labels; the test rows are the latest whole values of it that hold
            about `test_share` of the rows, and folds are judged by what came before them. Not learned from.
        group: Column of which no value may be on both sides of a cut, such as the customer. Not learned from.
        learners: Names of `LEARNERS`, or learners whose settings the search starts from; all by default. The majority
            class and the best single column are added, and the average of two or more.
        folds: Parts of the training rows that are judged in turn.
        test_share: Share of the rows that are tested on, 0 to .5; 0 compares on the folds alone. With a group, or
            a time whose values are large, it can only be met roughly.
        seed: Of all that is random; the same seed gives the same result.
        positive: The label's text that counts as positive (default: yes, true or 1).
        gain_cents: What acting on a positive row brings; with `cost_cents` the threshold is that of the most profit,
            otherwise that of the highest F1.
        cost_cents: What acting on any row costs.

    Raises:
        BadComparison: A column or an argument cannot be used; it is a ValueError.
        NotEnoughData: There are too few rows, or too few of one class.
    """
    _check_numbers(folds=folds, seed=seed, test_share=test_share, gain_cents=gain_cents, cost_cents=cost_cents)
    payoff, chosen = _payoff(gain_cents, cost_cents), read_learners(learners)
    with threadpool_limits(1):  # why: candidates are fitted side by side, and sums must not depend on the machine
        compared = ComparedTable.of(table_without_index(table), Roles(label, time, group), positive=positive, seed=seed)
        split = compared.cut(test_share)
        parts = compared.folds(split, folds)
        *encoded, whole = map_in_threads(
            lambda part: encode(compared.columns, compared.label, part, seed=seed, groups=compared.layout.groups),
            (*parts, split),
        )
        every = [*(baseline() for baseline in BASELINES), *chosen]
        candidates = fit_candidates(every, encoded, whole, is_ordered=time is not None, seed=seed)
        return _conclude(compared, split, parts, candidates, payoff, frame_kind(table))


def _check_numbers(*, test_share: Any, **whole: Any) -> None:
    """Raise BadComparison for an argument that is no number, or no whole one."""
    for name, value in whole.items():
        is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not is_whole and not (value is None and name.endswith("_cents")):
            raise BadComparison(f"{value!r} is not a whole number", where=name, todo="Give a whole number.")
    if not isinstance(test_share, int | float | np.number):
        raise BadComparison(f"{test_share!r} is not a share", where="test_share", todo="Give a number such as 0.2.")
    if not 0 <= whole["seed"] < 2**32:
        raise BadComparison(f"{whole['seed']} is not a seed", where="seed", todo="Give a number from 0 to 2**32 - 1.")


def read_learners(chosen: Sequence[str | Classifier] | str | None) -> list[Classifier]:
    """Learners by name or as they are; all where none is chosen. Raises BadComparison."""
    if chosen is None:
        return [learner() for learner in LEARNERS.values()]
    if isinstance(chosen, str):
        chosen = [chosen]
    for one in chosen:
        if not isinstance(one, str) and (isinstance(one, type) or not hasattr(one, "fit")):
            raise BadComparison(
                f"{one!r} is not a learner", todo=f"Give a name of {', '.join(LEARNERS)}, or Logistic()."
            )
    unknown = [one for one in chosen if isinstance(one, str) and one not in LEARNERS]
    if unknown:
        what = f"there is no learner {', '.join(unknown)}"
        raise BadComparison(what, todo=f"There are {', '.join(LEARNERS)}.")
    learners = [LEARNERS[one]() if isinstance(one, str) else one for one in chosen]
    names = [learner.name for learner in learners]
    if len(set(names)) < len(names) or {AVERAGE, *(baseline.name for baseline in BASELINES)} & set(names):
        what = f"each learner needs a name of its own, not {', '.join(names)}"
        raise BadComparison(what, todo="Baselines and the average are added anyway: leave them out.")
    return learners


def _payoff(gain_cents: int | None, cost_cents: int | None) -> Payoff | None:
    if gain_cents is None and cost_cents is None:
        return None
    if gain_cents is None or cost_cents is None or gain_cents <= 0 or cost_cents < 0:
        what = "a threshold by money needs both what acting on a positive row brings and what acting costs"
        raise BadComparison(what, todo="Give gain_cents, above 0, and cost_cents, 0 or more.")
    return Payoff(gain_cents, cost_cents)


def _conclude(
    compared: ComparedTable,
    split: Split,
    parts: Sequence[Split],
    candidates: Sequence[Candidate],
    payoff: Payoff | None,
    kind: str,
) -> Comparison:
    """Score the candidates on every part, prefer one, and audit the table with it."""
    judged = _judged_parts(compared, split, parts)
    forecasts: dict[Part, dict[str, Numbers]] = {
        "train": {candidate.name: candidate.train for candidate in candidates},
        "validation": {candidate.name: candidate.validation for candidate in candidates},
        "test": {candidate.name: candidate.test for candidate in candidates},
    }
    labels = [compared.label[part.judged] for part in parts]
    preference = prefer(
        {candidate.name: FoldedAUC.of(labels, candidate.by_fold) for candidate in candidates},
        {candidate.name: candidate.complexity for candidate in candidates},
        judged["validation"].units,
        within_one_error=[BestColumn.name],
    )
    is_ordered = compared.layout.time is not None
    recent = range(first_recent(len(parts), is_ordered=is_ordered), len(parts))
    thresholds = {candidate.name: _threshold(candidate, labels, recent, payoff) for candidate in candidates}
    on_folds = {
        candidate.name: _decide_folds(candidate, labels, payoff, is_ordered=is_ordered) for candidate in candidates
    }
    preferred = next(candidate for candidate in candidates if candidate.name == preference.preferred)
    report = audit(
        Audited(compared, split, folds=parts, candidates=candidates, preferred=preferred, parts=judged, payoff=payoff)
    )
    test_gap = None
    if "test" in judged:
        best = forecasts["test"][preference.best]
        test_gap = judged["test"].gain(metrics.AUC, best, forecasts["test"][preferred.name])
    return Comparison(
        rows=(*_rows(judged, forecasts, thresholds, on_folds), *report.rows),
        preferred=preferred.name,
        best=preference.best,
        threshold=thresholds[preferred.name],
        findings=report.findings,
        gaps=preference.gaps,
        test_gap=test_gap,
        ceiling=report.ceiling,
        left_out=compared.kinds.left_out,
        row_counts={part: len(one.label) for part, one in judged.items()},
        cut=compared.cut_in_words(split),
        positive=compared.positive,
        label=compared.roles.label,
        payoff=payoff,
        kinds=compared.kinds,
        model=preferred.model,
        judged={part: (one, forecasts[part]) for part, one in judged.items()},
        frame_kind=kind,
    )


def _judged_parts(compared: ComparedTable, split: Split, parts: Sequence[Split]) -> dict[Part, JudgedPart]:
    sizes = tuple(len(part.judged) for part in parts)
    validated = np.concatenate([part.judged for part in parts])
    sides: list[tuple[Part, Index]] = [("train", split.training), ("validation", validated), ("test", split.judged)]
    return {
        part: JudgedPart(
            part,
            compared.label[rows],
            compared.units(rows),
            compared.layout.seed,
            fold_sizes=sizes if part == "validation" else (),
        )
        for part, rows in sides
        if len(rows)
    }


def _threshold(candidate: Candidate, labels: Sequence[Numbers], folds: Sequence[int], payoff: Payoff | None) -> float:
    """The learner's threshold, from the forecasts of some folds."""
    if payoff is None and candidate.name == Majority.name:
        return 0.5
    label = np.concatenate([labels[at] for at in folds])
    return choose_threshold(label, np.concatenate([candidate.by_fold[at] for at in folds]), payoff)


def _decide_folds(
    candidate: Candidate, labels: Sequence[Numbers], payoff: Payoff | None, *, is_ordered: bool
) -> Numbers:
    """Decisions on the validation rows, each fold by the threshold of the others (in time: of earlier ones)."""
    decided = []
    for at, forecast in enumerate(candidate.by_fold):
        others = [k for k in range(len(labels)) if (k < at if is_ordered else k != at)] or [at]
        decided.append(forecast >= _threshold(candidate, labels, others, payoff))
    return np.concatenate(decided).astype(np.float64)


def _rows(
    judged: Mapping[Part, JudgedPart],
    forecasts: Mapping[Part, Mapping[str, Numbers]],
    thresholds: Mapping[str, float],
    on_folds: Mapping[str, Numbers],
) -> list[ScoreRow]:
    """Scores of every learner on every part."""
    tasks = [(judged[part], name, forecast) for part in judged for name, forecast in forecasts[part].items()]

    def score(task: tuple[JudgedPart, str, Numbers]) -> list[ScoreRow]:
        part, name, forecast = task
        decided = on_folds[name] if part.part == "validation" else (forecast >= thresholds[name]).astype(np.float64)
        return part.score(name, forecast, decided)

    return [row for rows in map_in_threads(score, tasks) for row in rows]
