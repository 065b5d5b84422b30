"""Why a customer is likely to leave: reasons that set this customer apart, with the fact and the usual.

Shapley values say how a forecast differs from the mean one, which in an older shop is that of customers long gone: 50
days of silence speak for staying there. So contributions are taken against the mean of those who are likely to stay;
they still add up, to the difference from their mean forecast.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.explanation import Explanation
from patron.schema.models.questions import Question
from patron.schema.models.reason_codes import CODE_OF_FEATURE, NEVER_A_REASON, ReasonCode
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import REASONS
from patron.storage.offers.policy import Policy
from patron.storage.runs.stage_view import StageView

MOST_REASONS = 3
LEAST_LOG_ODDS = 0.1
"""What a reason adds to the log-odds at least: a tenth more to the odds of leaving."""
LEAST_SHARE = 0.1
"""Share of all that raised the forecast which a reason makes up at least."""
BLOCK_ROWS = 100_000
"""Customers whose facts are in memory at once."""
OF_CUSTOMER = tuple(name for name in REASONS.schema().names if name not in ("run_id", "question"))
PARTS = ("fact", "usual", "of_count", "window_days", "days_ago")
FEATURE_NAMES = frozenset({*CODE_OF_FEATURE, *NEVER_A_REASON})
Flags = npt.NDArray[np.bool_]


def reason_rows(
    view: StageView, question: Question, rows: pa.Table, scores: pa.Table, explanation: Explanation
) -> pa.Table:
    """Rows of `reasons` for customers (rows of `features`) who are likely to leave, in the order of the scores."""
    codes = explanation.codes
    if not codes or not explanation.by_code.any():
        return REASONS.empty()
    probability = float_column(scores, "value")
    is_likely = is_likely_to_leave(probability, view.policy)
    against = explanation.by_code[~is_likely].mean(axis=0) if not is_likely.all() else 0.0
    of_shop = shop_medians(view, codes, rows)
    tables = [REASONS.empty().select(list(OF_CUSTOMER))]
    likely = np.flatnonzero(is_likely)
    for start in range(0, len(likely), BLOCK_ROWS):
        chosen = likely[start : start + BLOCK_ROWS]
        facts = Facts(view, codes, rows.take(pa.array(chosen)), of_shop)
        tables.append(_strongest(facts, explanation.by_code[chosen] - against))
    strongest = pa.concat_tables(tables)
    for name, value in (("run_id", view.run.run_id), ("question", question.name)):
        strongest = strongest.append_column(name, pa.array([value] * strongest.num_rows, pa.string()))
    return strongest.select(REASONS.schema().names).cast(REASONS.schema())


def is_likely_to_leave(probability: Numbers, policy: Policy) -> Flags:
    """Who is likely enough to leave that the reasons are worth saying: as those at risk, or as the shop's mean."""
    return probability >= min(policy.at_risk.at_risk_from, float(probability.mean()))


def shop_medians(view: StageView, codes: Sequence[ReasonCode], rows: pa.Table) -> Numbers:
    """The shop's median of what is usual, by code; NaN where there is none."""
    columns = {f"usual_{place}": one.shop_usual or one.usual for place, one in enumerate(codes)}
    values = _columns(view, columns, rows)
    known = (values[:, place][~np.isnan(values[:, place])] for place in range(len(codes)))
    return np.array([np.median(one) if len(one) else np.nan for one in known])


class Facts:
    """Facts, usuals and conditions of some customers, each an array of shape (customers, codes)."""

    def __init__(self, view: StageView, codes: Sequence[ReasonCode], rows: pa.Table, of_shop: Numbers) -> None:
        """Work them out; `of_shop` is usual where a customer has too little history."""
        self.codes = codes
        self.customers = rows["customer_id"]
        parts = {f"{part}_{place}": getattr(one, part) for part in PARTS for place, one in enumerate(codes)}
        holds = {f"holds_{place}": _flag(one.condition) for place, one in enumerate(codes)}
        follows = [(place, *pair) for place, one in enumerate(codes) for pair in one.follows]
        followed = {f"follows_{at}": _flag(condition) for at, (_, _, condition) in enumerate(follows)}
        values = _columns(view, parts | holds | followed, rows)
        count = len(codes)
        self.of_count, self.window_days, self.days_ago = (
            values[:, at * count : (at + 1) * count] for at in range(2, len(PARTS))
        )
        self.fact, usual = values[:, :count], values[:, count : 2 * count]
        self.is_of_customer = ~np.isnan(usual)
        self.usual = np.where(self.is_of_customer, usual, of_shop)
        at = len(PARTS) * count
        self.is_apart = self._is_apart() & (values[:, at : at + count] > 0)
        place_of = {one.code: place for place, one in enumerate(codes)}
        self.follows = [
            (place, place_of[other], values[:, at + count + number] > 0)
            for number, (place, other, _) in enumerate(follows)
        ]

    def _is_apart(self) -> Flags:
        """Whether the fact is on the leaving side of the usual by a margin that a person would notice."""
        sign = np.array([1.0 if one.leaves == "above" else -1.0 for one in self.codes])
        ratio = np.array([one.ratio for one in self.codes])
        difference = np.array([one.difference for one in self.codes])
        beyond = sign * (self.fact - ratio * self.usual) >= 0
        return beyond & (sign * (self.fact - self.usual) >= difference)  # a comparison with NaN is false


def _strongest(facts: Facts, by_code: Numbers) -> pa.Table:
    """Up to three reasons of each customer, the strongest first."""
    raised = np.maximum(by_code, 0.0).sum(axis=1)
    size = by_code[:, :-1].copy()
    is_said = facts.is_apart.copy()
    for place, other, is_same in facts.follows:
        joins = is_same & is_said[:, other]
        size[joins, other] += size[joins, place]
        size[joins, place] = 0.0
        is_said[joins, place] = False
    is_kept = is_said & (size >= LEAST_LOG_ODDS) & (size >= LEAST_SHARE * raised[:, None])
    size = np.where(is_kept, size, -np.inf)
    order = np.argsort(-size, axis=1, kind="stable")[:, :MOST_REASONS]
    customer, rank = np.nonzero(np.take_along_axis(is_kept, order, axis=1))
    code = order[customer, rank]

    def chosen(values: Numbers) -> Numbers:
        return values[customer, code]

    return pa.table(
        {
            "customer_id": facts.customers.take(pa.array(customer)),
            "rank": pa.array(rank + 1, pa.int64()),
            "code": pa.array([one.code for one in facts.codes]).take(pa.array(code)),
            "contribution": pa.array(chosen(size)),
            "fact": pa.array(chosen(facts.fact)),
            "usual": pa.array(chosen(facts.usual)),
            "basis": pa.array(("shop", "customer")).take(pa.array(chosen(facts.is_of_customer).astype(np.int64))),
            **{name: _whole(chosen(getattr(facts, name))) for name in PARTS[2:]},
        }
    ).select(list(OF_CUSTOMER))


def _flag(condition: str) -> str:
    return f"case when {condition} then 1 else 0 end"


def _columns(view: StageView, expressions: dict[str, str], rows: pa.Table) -> Numbers:
    """Expressions over features, one column each, one row per given row; a feature that is not there is NULL."""
    # why only these: the engine then reads the few columns that are needed, and a run of few features has all of them
    named = sorted(FEATURE_NAMES & set(re.findall(r"\w+", " ".join(expressions.values()))))
    known = rows.select([name for name in named if name in rows.column_names])
    for name in named:
        if name not in rows.column_names:
            known = known.append_column(name, pa.nulls(rows.num_rows, pa.float64()))
    known = known.append_column("place", pa.array(np.arange(rows.num_rows)))
    columns = ", ".join(f"cast({expression} as double) as {name}" for name, expression in expressions.items())
    values = view.query(f"select {columns} from candidates order by place", candidates=known)
    matrix = np.empty((rows.num_rows, len(expressions)), order="F")
    for at, name in enumerate(expressions):
        matrix[:, at] = float_column(values, name, np.nan)
    return matrix


def _whole(values: Numbers) -> pa.Array:
    """Whole numbers; NaN is NULL."""
    return pc.cast(pa.array(np.round(values), from_pandas=True), pa.int64())
