"""The decision ledger: what each run decided for whom, what else was possible, and why it was not chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import pyarrow as pa
from pydantic import Field

from patron.answers.offers.offer_results import ReasonCount, reason_counts
from patron.answers.offers.policy_in_force import READ_OFFERS
from patron.govern.access.operations import operation
from patron.schema.common_sentences import NO_DECIDING_RUN, RUN_HAS
from patron.schema.errors import BadQuery, NotFound
from patron.schema.list_pages import Cursor, CursorText, Limit, PageNumber
from patron.schema.sentences import Sentence
from patron.schema.spelling import both, did_you_mean
from patron.schema.table_definition import TEXT
from patron.storage.engine import literal
from patron.storage.offers.deliveries import Delivery, delivery_of
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

NO_SUCH_REASON = Sentence("no_such_reason", "no decision of the run has the reason {name!r}")
NEWEST_DECIDING_RUNS = Sentence("newest_deciding_runs", "The newest runs with decisions are {runs}.")
NO_RUN_DECIDED = Sentence("no_run_decided", "No run has decided anything yet.")
NO_DECISION = Sentence("no_decision", "no decision has this id, and none is about a customer with it")
NO_DECISION_IN_RUN = Sentence(
    "no_decision_in_run", "no decision of the run {run} has this id, and none is about a customer with it"
)
SEE_DECISIONS = Sentence(
    "see_decisions", "See `patron decisions list`; only customers who are considered for an offer have decisions."
)

PAGE_SIZE = 25
MAX_EXPORTED = 100_000
"""Decisions that a file has at most."""
MAX_RUNS = 24
"""Runs that the ledger offers to choose from, the newest."""
MAX_NAMED = 5
RUN = "run"
"""Where a run that is not known is named."""
IN_A_ROW = """d.decision_id, d.run_id, d.as_of, d.customer_id, d.action, d.reason, d.expected_net_value_cents,
  d.effect_cents, d.cost_cents, d.propensity"""
IS_VISIBLE = " and d.customer_id in (select customer_id from visible)"
IS_NONE = "case when d.action = 'none' then 1 else 0 end"
IS_AFTER = f"""({IS_NONE} > $is_none or {IS_NONE} = $is_none and (d.expected_net_value_cents < $net_value
  or d.expected_net_value_cents = $net_value and d.customer_id > $customer))"""
MAX_NAME_LENGTH = 40
RunName = Annotated[str, Field(max_length=MAX_NAME_LENGTH, description="Run by its name (default: the last one).")]
ReasonCode = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]
Place = tuple[int, float, str]
"""Where a decision is in the order of the list: 1 where nothing is offered, net value in cents, customer."""


@dataclass(frozen=True)
class DecisionRow:
    """One decision in the list."""

    decision_id: str
    run_id: str
    as_of: datetime
    customer_id: str
    action: str
    reason: str
    expected_net_value_cents: float
    effect_cents: float
    cost_cents: float
    propensity: float


@dataclass(frozen=True)
class DecisionPage:
    """One page of the decisions of a run: offers first, those with the best expected net value before others."""

    run_id: str
    as_of: datetime
    reason: str
    """Reason code that the list is filtered by; empty for all."""
    delivery: Delivery | None
    """What became of the run's offers; None where it handed over none."""
    reasons: tuple[ReasonCount, ...]
    """All decisions of the run, counted by reason."""
    total_count: int
    page: int
    page_count: int
    has_more: bool
    """Whether decisions follow after these."""
    rows: tuple[DecisionRow, ...]
    runs: tuple[str, ...]
    """The newest runs that decided, also those that were interrupted."""


@dataclass(frozen=True)
class DecisionCursorPage(DecisionPage):
    """A page of the ledger, and where the next one begins."""

    next_cursor: str | None
    """Null after the last page."""


@dataclass(frozen=True)
class Alternative:
    """One offer that was considered."""

    action: str
    expected_net_value_cents: float
    effect_cents: float
    cost_cents: float
    propensity: float
    forbidden_by: str | None
    """Code of the rule that forbade it; None when it was possible."""


@dataclass(frozen=True)
class DecisionDetail(DecisionRow):
    """One decision with everything that it rests on."""

    stratum: str
    effect_source: str
    is_holdout: bool
    consent_basis: str
    policy_version: str
    budget_price: float | None
    """Net value that the next unit of budget would have added; None for a run of an older Patron."""
    alternatives: tuple[Alternative, ...]
    """Every offer that was considered, the best first; none for a run of an older Patron."""
    delivery: Delivery | None = None
    """What became of the run's offers; None where it handed over none."""


@operation(READ_OFFERS, "GET /api/decisions")
def show_decisions(  # noqa: PLR0913 - one argument for each parameter
    shop: Shop,
    run: RunName = "",
    reason: ReasonCode = "",
    page: PageNumber = 1,
    cursor: CursorText = "",
    limit: Limit = None,
    *,
    only: pa.Table | None = None,
) -> DecisionCursorPage:
    """Decisions of a run, counted by reason, filtered and paged; offers first. A cursor stays in its run."""
    after = None
    if cursor:
        last = Cursor.parse(cursor, int, float, str)
        run, after = last.of, last.place
    listed = decisions(shop, run_id=run, reason=reason, page=page, size=limit or PAGE_SIZE, after=after, only=only)
    following = str(Cursor(listed.run_id, _place_of(listed.rows[-1]))) if listed.has_more else None
    return DecisionCursorPage(**vars(listed), next_cursor=following)


def _place_of(row: DecisionRow) -> Place:
    return (int(row.action == "none"), row.expected_net_value_cents, row.customer_id)


@operation(READ_OFFERS, "GET /api/decisions/{decision_id}")
def show_decision(shop: Shop, decision_id: str, run: RunName = "", *, only: pa.Table | None = None) -> DecisionDetail:
    """One decision by its id, or a customer's newest: what else was possible, and which rule ruled it out."""
    return decision_of(shop, [decision_id], run_id=run, only=only)


def decisions(  # noqa: PLR0913 - what a page of a list consists of
    shop: Shop,
    *,
    run_id: str = "",
    reason: str = "",
    page: int = 1,
    size: int = PAGE_SIZE,
    after: Place | None = None,
    only: pa.Table | None = None,
) -> DecisionPage:
    """Decisions of the last run, or of a run by its name, finished or not; `only` lists those of these customers.

    Reasons are counted over all customers all the same; `after` is the place of the last decision of the page before,
    instead of a page. Raises NoRunYet, NotFound, BadQuery.
    """
    view, runs = _view(shop, run_id)
    run = run_id or view.run.run_id
    reasons = reason_counts(view, run)
    counts: dict[str, int] = {}
    for one in reasons:
        counts[one.reason] = counts.get(one.reason, 0) + one.customer_count
    if reason and reason not in counts:
        todo = both(did_you_mean(reason, counts), RUN_HAS(names=", ".join(counts) or "none"))
        raise BadQuery(NO_SUCH_REASON(name=reason), where="reason", todo=todo)
    condition = f"d.run_id = {literal(run)}" + (f" and d.reason = {literal(reason)}" if reason else "")
    total = counts[reason] if reason else sum(counts.values())
    tables = {} if only is None else {"visible": only}
    if only is not None:
        condition += IS_VISIBLE
        total = view.query(f"select count(*) as n from decisions d where {condition}", **tables)["n"][0].as_py()
    page_count = max(1, -(-total // size))
    start = offset = (min(max(page, 1), page_count) - 1) * size
    place = None
    if after:
        place = {"is_none": after[0], "net_value": after[1], "customer": after[2]}
        condition += f" and {IS_AFTER}"
        following = view.query(f"select count(*) as n from decisions d where {condition}", place, **tables)
        start, offset = total - following["n"][0].as_py(), 0
    sql = f"""
select {IN_A_ROW} from decisions d where {condition}
order by {IS_NONE}, d.expected_net_value_cents desc, d.customer_id limit {size} offset {offset}"""
    return DecisionPage(
        run_id=run,
        as_of=runs.get(run, view.run.as_of),
        reason=reason,
        delivery=delivery_of(shop.store, run, before=shop.cutoff),
        reasons=reasons,
        total_count=total,
        page=start // size + 1,
        page_count=page_count,
        has_more=start + size < total,
        rows=tuple(DecisionRow(**row) for row in records(view.query(sql, place, **tables))),
        runs=tuple(runs)[:MAX_RUNS],
    )


def decision_of(shop: Shop, ids: Sequence[str], *, run_id: str = "", only: pa.Table | None = None) -> DecisionDetail:
    """The decision with one of these ids, or the newest for a customer with one, of these customers only.

    Raises NoRunYet, NotFound.
    """
    view, _ = _view(shop, run_id)
    wanted = pa.table({"id": pa.array(list(ids), TEXT)})
    in_run = f" and d.run_id = {literal(run_id)}" if run_id else ""
    in_run += "" if only is None else IS_VISIBLE
    tables = {"wanted": wanted} if only is None else {"wanted": wanted, "visible": only}
    sql = f"""
select {IN_A_ROW}, d.stratum, d.effect_source, d.is_holdout, d.consent_basis, d.policy_version, d.budget_price
from decisions d join wanted w on w.id = d.decision_id or w.id = d.customer_id
where true{in_run} order by d.as_of desc, d.decision_id limit 1"""
    rows = records(view.query(sql, **tables))
    if not rows:
        raise NotFound(
            NO_DECISION_IN_RUN(run=run_id) if run_id else NO_DECISION,
            todo=SEE_DECISIONS,
        )
    [row] = rows
    alternatives = f"""
select action, expected_net_value_cents, effect_cents, cost_cents, propensity, forbidden_by from alternatives
where run_id = {literal(row["run_id"])} and decision_id = {literal(row["decision_id"])}
order by expected_net_value_cents desc, action"""
    considered = tuple(Alternative(**record) for record in records(view.query(alternatives)))
    delivery = delivery_of(shop.store, row["run_id"], before=shop.cutoff)
    return DecisionDetail(**row, alternatives=considered, delivery=delivery)


def _view(shop: Shop, run_id: str) -> tuple[Snapshot, dict[str, datetime]]:
    """The tables to read a run's decisions in, and the cutoffs of all runs that decided, the newest first.

    The last run's are read as it left them; those of another, which may not have finished, as they are now.
    """
    last = last_run(shop)
    view = last if run_id in {"", last.run.run_id} else shop.newest_snapshot()
    rows = view.query("select run_id, max(as_of) as as_of from decisions group by run_id order by 2 desc, 1")
    runs = dict(zip(rows["run_id"].to_pylist(), rows["as_of"].to_pylist(), strict=True))
    if run_id and run_id not in runs:
        todo = NEWEST_DECIDING_RUNS(runs=", ".join(list(runs)[:MAX_NAMED])) if runs else NO_RUN_DECIDED
        raise NotFound(NO_DECIDING_RUN(run=run_id), where=RUN, todo=todo)
    return view, runs
