"""Scores of every customer under the shop's own ids, in bulk, for the shop's other systems."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from pydantic import AwareDatetime, Field

from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import latest_answers
from patron.govern.vault import Vault
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CREATE_OR_CHOOSE, NO_SUCH_FOLDER
from patron.schema.errors import BadFile
from patron.schema.list_pages import CursorText, Limit, PageNumber, page_of
from patron.schema.models.metrics import decile_of
from patron.schema.numbers import float_column
from patron.schema.sentences import Sentence
from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TIME
from patron.storage.durable_files import private_file
from patron.storage.engine import exact_sum
from patron.storage.models.missing_forecasts import MissingForecast, missing_forecasts, require_forecast
from patron.storage.offers.policy import PROFILING
from patron.storage.runs.last_run import records, run_as_of
from patron.storage.safe_csv import csv_parts
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import AUDIT

NOT_SCORE_FORMAT = Sentence("not_score_format", "{name} is not a format for scores")
END_NAME_IN = Sentence("end_name_in", "End the name in {names}.")

PAGE_SIZE = 1_000
AsOf = Annotated[AwareDatetime | None, Field(description="Cutoff of another completed run, with its time zone.")]
FORMATS = (".csv", ".parquet")
CODES = ("reasons", "churn_reasons")
"""Columns whose texts are codes with a sign, such as +order_count_lifetime: nobody else writes them."""
COLUMNS = pa.schema(
    [
        ("customer_id", TEXT),
        ("user_id", TEXT),
        ("as_of", TIME),
        ("value", NUMBER),
        ("value_low", NUMBER),
        ("value_high", NUMBER),
        ("currency", TEXT),
        ("value_decile", INT),
        ("churn_probability", NUMBER),
        ("purchase_probability", NUMBER),
        ("lifecycle_stage", TEXT),
        ("reasons", TEXT),
        ("may_be_contacted", FLAG),
        ("purchase_probability_7_days", NUMBER),
        ("churn_reasons", TEXT),
    ]
)
"""`value` and its 80 % interval are net revenue of the next 90 days in units of the currency, not cents; deciles go
from 1 (least) to 10; `churn_probability` is that of no order in 90 days, `purchase_probability` of one in 30 days;
`reasons` are those of the value, `churn_reasons` are codes of why somebody is likely to leave, the strongest first;
`user_id` is the one known last, as the shop wrote it."""


@dataclass(frozen=True)
class ShopTotal:
    """Net revenue that customers with an order before the cutoff are expected to bring in 90 days.

    Amounts in units of the currency, with an 80 % interval; None where the run has no interval of the total.
    """

    run_id: str
    as_of: datetime
    value: float
    low: float | None
    high: float | None
    currency: str
    season: float | None
    """Factor of these 90 days against the year's mean; None where the shop is too young to have shown it."""


@dataclass(frozen=True)
class ScoresExport:
    """One row per customer with `COLUMNS`, in order of customer_id, and who is left out."""

    run_id: str
    as_of: datetime
    rows: pa.Table
    objecting_count: int
    """Customers left out because they object to profiling."""
    erased_count: int
    """Erasures in the audit log: these people are in no table any more."""
    missing_forecasts: tuple[MissingForecast, ...] = ()
    """What the run has too little history for: these columns are empty."""


@dataclass(frozen=True)
class ScorePage:
    """One page of scores, in order of customer_id, and who is left out."""

    run_id: str
    as_of: datetime
    page: int
    page_count: int
    customer_count: int
    objecting_count: int
    erased_count: int
    missing_forecasts: tuple[MissingForecast, ...]
    """What the run has too little history for: these columns are null."""
    rows: list[dict[str, Any]]
    next_cursor: str | None
    """Where the next page begins; null after the last."""


@operation(Right(Action.EXPORT, Area.CUSTOMERS), "GET /api/scores", audit=AuditAction.SCORES_EXPORTED)
def list_scores(
    context: RequestContext, page: PageNumber = 1, cursor: CursorText = "", limit: Limit = None, as_of: AsOf = None
) -> ScorePage:
    """Scores of the last completed run, or of that of a cutoff: columns as `patron scores` writes them."""
    export = export_scores(context, as_of)
    rows = export.rows if context.visible is None else context.visible.restrict(export.rows)
    size = limit or PAGE_SIZE
    shown = page_of(rows, export.run_id, page=page, size=size, cursor=cursor)
    return ScorePage(
        export.run_id,
        export.as_of,
        page=page,
        page_count=max(1, -(-rows.num_rows // size)),
        customer_count=rows.num_rows,
        objecting_count=export.objecting_count,
        erased_count=export.erased_count,
        missing_forecasts=export.missing_forecasts,
        rows=shown.rows,
        next_cursor=shown.next_cursor,
    )


def export_scores(context: RequestContext, as_of: datetime | None = None) -> ScoresExport:
    """Gather the scores of the last completed run, or of that of a cutoff; the audit log records it.

    Raises NoRunYet, NotFound for a cutoff without a run, MasterKeyError.
    """
    view = run_as_of(context.shop, as_of)
    missing = missing_forecasts(view)
    customers = view.query(_sql(view.run.run_id, {one.question for one in missing}))
    tokens = view.query("select token, customer_id from identities where is_user").to_pydict()
    customer_by_token = dict(zip(tokens["token"], tokens["customer_id"], strict=True))
    consent = context.shop.policy.consent
    profiling = latest_answers(context.shop.store, consent.names_of(PROFILING), customer_by_token)
    marketing = latest_answers(context.shop.store, consent.names_of(consent.marketing), customer_by_token)
    ids = customers["customer_id"].to_pylist()
    is_kept = [profiling.get(identifier) is not False for identifier in ids]
    may_contact = [consent.allows(is_granted=marketing.get(identifier)) for identifier in ids]
    rows = _with_units(context.shop, view, customers.append_column("may_be_contacted", pa.array(may_contact, FLAG)))
    rows = rows.filter(pa.array(is_kept, FLAG))
    with context.shop.store.begin() as connection:
        erased_count = connection.scalar(sa.select(sa.func.count()).where(AUDIT.c.action == AuditAction.FORGOTTEN)) or 0
        details = {"run_id": view.run.run_id, "customer_count": rows.num_rows}
        context.record(connection, AuditAction.SCORES_EXPORTED, details)
    return ScoresExport(
        view.run.run_id,
        view.run.as_of,
        rows=rows,
        objecting_count=len(ids) - rows.num_rows,
        erased_count=erased_count,
        missing_forecasts=missing,
    )


@operation(Right(Action.READ, Area.OVERVIEW), "GET /api/scores/total")
def shop_total(shop: Shop, as_of: AsOf = None) -> ShopTotal:
    """The forecast of all customers together, in units of the shop's currency.

    Raises NoRunYet, NotFound, and NotEnoughData where the run had too little history.
    """
    view = run_as_of(shop, as_of)
    require_forecast(view, "value")
    condition = f"run_id = '{view.run.run_id}' and question = 'value'"
    total = records(view.query(f"select coalesce({exact_sum('value')}, 0) as cents from scores where {condition}"))[0]
    columns = "low, high, case when is_season_observed then season end as season"
    sure = records(view.query(f"select {columns} from shop_forecasts where {condition}"))
    low, high, season = sure[0].values() if sure else (None, None, None)
    return ShopTotal(
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        value=round(float(total["cents"]) / 100, 2),
        low=None if low is None else round(low / 100, 2),
        high=None if high is None else round(high / 100, 2),
        currency=shop.settings.shop.currency,
        season=season,
    )


def require_format(path: Path) -> None:
    """Check that scores can be written to a path. Raises BadFile for another ending or a folder that is not there."""
    if path.suffix.lower() not in FORMATS:
        raise BadFile(
            NOT_SCORE_FORMAT(name=path.suffix or "a name without an ending"),
            where=str(path),
            todo=END_NAME_IN(names=" or ".join(FORMATS)),
        )
    if not path.parent.is_dir():
        raise BadFile(NO_SUCH_FOLDER, where=str(path.parent), todo=CREATE_OR_CHOOSE)


def write_scores(export: ScoresExport, path: Path) -> Path:
    """Write an export as CSV or Parquet, whole, so that only its owner can read it. Raises BadFile, NoSpace."""
    require_format(path)
    with private_file(path) as out:
        if path.suffix.lower() == ".csv":
            out.writelines(csv_parts(export.rows, codes=CODES))
        else:
            pq.write_table(export.rows, pa.PythonFile(out, mode="w"))
    return path


def _sql(run_id: str, missing: set[str]) -> str:
    known = f"run_id = '{run_id}' and question not in ({', '.join(map(repr, ['', *sorted(missing)]))})"
    return f"""
with forecast as (
  select customer_id,
    max(case when question = 'value' then value end) as value_cents,
    max(case when question = 'value' then low end) as low_cents,
    max(case when question = 'value' then high end) as high_cents,
    max(case when question = 'churn' then value end) as churn_probability,
    max(case when question = 'purchase' then value end) as purchase_probability,
    max(case when question = 'purchase_7_days' then value end) as purchase_probability_7_days
  from scores where {known} group by customer_id
), why as (
  select customer_id, array_to_string(reasons, '; ') as reasons
  from scores where {known} and question = 'value'
), leaving as (
  select customer_id, string_agg(code, '; ' order by rank) as churn_reasons
  from reasons where {known} and question = 'churn' group by customer_id
), latest_user as (
  select customer_id, token, row_number() over (partition by customer_id order by known_at desc, token) as place
  from identities where is_user
)
select s.customer_id, s.lifecycle_stage, u.token, w.reasons, l.churn_reasons, f.value_cents, f.low_cents, f.high_cents,
  f.churn_probability, f.purchase_probability, f.purchase_probability_7_days
from segments s
left join forecast f on f.customer_id = s.customer_id
left join why w on w.customer_id = s.customer_id
left join leaving l on l.customer_id = s.customer_id
left join latest_user u on u.customer_id = s.customer_id and u.place = 1
where s.run_id = '{run_id}' order by s.customer_id"""


def _with_units(shop: Shop, view: Snapshot, rows: pa.Table) -> pa.Table:
    tokens = rows["token"].drop_null().to_pylist()
    user_ids = dict(zip(tokens, Vault.open(shop).reveal(tokens), strict=True))
    count = rows.num_rows
    value_cents = float_column(rows, "value_cents", np.nan)
    is_scored = np.isfinite(value_cents)
    deciles = np.zeros(count, dtype=np.int64)
    deciles[is_scored] = decile_of(value_cents[is_scored])
    columns = {
        "user_id": pa.array([user_ids.get(token) for token in rows["token"].to_pylist()], TEXT),
        "as_of": pa.array([view.run.as_of] * count, TIME),
        "value": _in_units(value_cents),
        "value_low": _in_units(float_column(rows, "low_cents", np.nan)),
        "value_high": _in_units(float_column(rows, "high_cents", np.nan)),
        "currency": pa.array([shop.settings.shop.currency] * count, TEXT),
        "value_decile": pa.array(deciles, INT, mask=~is_scored),
    }
    return pa.table([columns[name] if name in columns else rows[name] for name in COLUMNS.names], COLUMNS)


def _in_units(cents: np.ndarray) -> pa.Array:
    return pa.array(np.round(cents / 100, 2), NUMBER, mask=~np.isfinite(cents))
