"""Scores leave with the shop's own ids: one row per customer, in units, without those who object to profiling."""

import csv
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from patron.commands.models.export_scores import COLUMNS, export_scores, shop_total, write_scores
from patron.commands.privacy.forget import forget
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import Consent, iso_time, write_consents
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.errors import BadFile, NoRunYet, NotFound
from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.safe_csv import safe_cell
from patron.storage.store.store import RUNS

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
EARLIER = AS_OF - timedelta(days=30)
FIRST_ID = {"ann": "Ann@Old", "ben": "ben", "cai": "=cai()", "dee": "dee"}
VALUES = {"ann": 5_000.0, "ben": 100.0, "cai": 2_000.0, "dee": 0.0}


def write(shop, name, rows, run=None):
    columns = [column for column in BY_NAME[name].columns if any(column.name in row for row in rows)]
    arrays = {column.name: pa.array([row.get(column.name) for row in rows], column.type) for column in columns}
    shop.lake.replace(BY_NAME[name], validated(BY_NAME[name], pa.table(arrays)), part=run and run.run_id)


def customer_of(shop, person):
    return initial_customer_id(Vault.open(shop).token("user_id", FIRST_ID[person]))


def finish_run(shop, as_of, values, *, has_interval=True):
    """A completed run with a score of each customer."""
    run = Run.at(as_of)
    of_run = {"run_id": run.run_id, "as_of": as_of}
    fives = dict.fromkeys(("recency_score", "frequency_score", "monetary_score"), 5) | {"persona_id": -1}
    stages = {"ann": "active", "ben": "new", "cai": "at_risk", "dee": "lapsed"}
    people = [
        of_run | fives | {"customer_id": customer_of(shop, value), "lifecycle_stage": stages[value]} for value in values
    ]
    write(shop, "segments", people, run)
    scores = [
        of_run
        | {
            "customer_id": customer_of(shop, one),
            "question": "value",
            "model_version": "m",
            "value": cents,
            "low": cents / 2,
        }
        | {"high": cents * 2, "reasons": ["+order_count_lifetime", "-days_since_last_order"]}
        for one, cents in values.items()
    ]
    scores += [
        of_run | {"customer_id": customer_of(shop, "ann"), "question": question, "model_version": "m", "value": chance}
        for question, chance in (("churn", 0.25), ("purchase", 0.5), ("purchase_7_days", 0.125))
    ]
    write(shop, "scores", scores, run)
    reason = {
        "run_id": run.run_id,
        "question": "churn",
        "contribution": 0.5,
        "fact": 9.0,
        "usual": 2.0,
        "basis": "shop",
    }
    ranked = [{"rank": rank, "code": code} for rank, code in ((2, "bad_review"), (1, "overdue"))]
    write(shop, "reasons", [reason | one | {"customer_id": customer_of(shop, "ann")} for one in ranked], run)
    total = sum(values.values())
    forecast = {"question": "value", "value": total, "low": total / 2, "high": total * 2, "season": 1.1}
    rows = [{"run_id": run.run_id, "is_season_observed": as_of == AS_OF} | forecast] if has_interval else []
    if rows:
        write(shop, "shop_forecasts", rows, run)
    row = {"run_id": run.run_id, "as_of": as_of, "finished_at": as_of, "seconds": 1.0, "seed": 1, "policy_version": "1"}
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row | {"table_versions": versions, "summary": {}}))


@pytest.fixture
def scored_shop(shop):
    """A run of four customers; Ann has two user ids, nobody knows Dee's any more."""
    ids = {"Ann@Old": "ann", "Ann@New": "ann", "ben": "ben", FIRST_ID["cai"]: "cai", "dee": "dee"}
    tokens = Vault.open(shop).store_tokens("user_id", pa.array(list(ids)), AS_OF).to_pylist()
    known = {"Ann@New": AS_OF - timedelta(days=1)}
    identities = [
        {
            "token": token,
            "customer_id": customer_of(shop, customer),
            "is_user": True,
            "known_at": known.get(one, EARLIER),
        }
        for token, (one, customer) in zip(tokens, ids.items(), strict=True)
    ]
    write(shop, "identities", identities)
    Vault.open(shop).shred([tokens[-1]])
    finish_run(shop, AS_OF, VALUES)
    return shop


def answer(shop, person, purpose, *, is_granted, at=AS_OF):
    token = Vault.open(shop).token("user_id", person)
    words = dict.fromkeys(("wording", "wording_version", "policy_version", "locale", "channel"))
    event = f"{person} {purpose} {is_granted} {at}"
    consent = Consent(
        event, token, purpose, is_granted, "consent", occurred_at=iso_time(at), known_at=iso_time(at), **words
    )
    write_consents(shop.store, [consent])


def rows_of(shop, export):
    names = {customer_of(shop, one): one for one in FIRST_ID}
    return {names[row["customer_id"]]: row for row in export.rows.to_pylist()}


def test_each_customer_has_one_row_in_units_of_the_currency_under_the_newest_own_id(scored_shop):
    export = export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC)))
    assert export.rows.schema == COLUMNS
    rows = rows_of(scored_shop, export)
    assert sorted(rows) == sorted(FIRST_ID)
    assert {one: row["user_id"] for one, row in rows.items()} == {
        "ann": "Ann@New", "ben": "ben", "cai": FIRST_ID["cai"], "dee": None
    }  # fmt: skip
    ann = rows["ann"]
    assert (ann["value"], ann["value_low"], ann["value_high"], ann["currency"]) == (50.0, 25.0, 100.0, "USD")
    assert (ann["churn_probability"], ann["purchase_probability"]) == (0.25, 0.5)
    assert ann["purchase_probability_7_days"] == 0.125
    assert (ann["lifecycle_stage"], ann["reasons"]) == ("active", "+order_count_lifetime; -days_since_last_order")
    assert (ann["churn_reasons"], rows["ben"]["churn_reasons"]) == ("overdue; bad_review", None)
    assert (rows["ben"]["churn_probability"], rows["ben"]["purchase_probability"]) == (None, None)
    assert max(FIRST_ID, key=lambda one: rows[one]["value_decile"]) == "ann"


def test_those_who_object_to_profiling_are_left_out_and_counted(scored_shop):
    answer(scored_shop, "ben", "profiling", is_granted=False, at=AS_OF + timedelta(days=2))
    answer(scored_shop, "cai", "profiling", is_granted=False, at=AS_OF)
    answer(scored_shop, "cai", "profiling", is_granted=True, at=AS_OF + timedelta(days=1))
    export = export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC)))
    assert sorted(rows_of(scored_shop, export)) == ["ann", "cai", "dee"]
    assert export.objecting_count == 1


def test_the_erased_have_no_row_and_are_counted(scored_shop):
    assert export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC))).erased_count == 0
    forget(RequestContext.from_name(scored_shop, now=datetime.now(UTC)), user_id=FIRST_ID["cai"])
    export = export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC)))
    assert sorted(rows_of(scored_shop, export)) == ["ann", "ben", "dee"]
    assert (export.erased_count, export.objecting_count) == (1, 0)


def test_consent_to_marketing_is_a_column_and_drops_nobody(scored_shop):
    answer(scored_shop, "Ann@Old", "marketing", is_granted=True)
    answer(scored_shop, "cai", "marketing", is_granted=False)
    rows = rows_of(scored_shop, export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC))))
    assert {one: row["may_be_contacted"] for one, row in rows.items()} == {
        "ann": True, "ben": False, "cai": False, "dee": False
    }  # fmt: skip


def test_a_run_of_an_earlier_date_that_came_later_is_there_for_who_names_it(scored_shop):
    finish_run(scored_shop, EARLIER, {"ann": 700.0}, has_interval=False)
    assert export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC))).as_of == AS_OF
    earlier = export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC)), EARLIER)
    assert [(row["value"], row["as_of"]) for row in rows_of(scored_shop, earlier).values()] == [(7.0, EARLIER)]
    with pytest.raises(NotFound, match="no run as of 2024-03-02"):
        export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC)), AS_OF + timedelta(days=1))


def test_the_total_is_the_sum_of_the_customers_and_has_its_interval_where_the_run_has_one(scored_shop):
    finish_run(scored_shop, EARLIER, {"ann": 700.0}, has_interval=False)
    total = shop_total(scored_shop)
    assert (total.value, total.low, total.high, total.season) == (71.0, 35.5, 142.0, 1.1)
    assert total.value == pytest.approx(
        sum(
            row["value"]
            for row in rows_of(
                scored_shop, export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC)))
            ).values()
        )
    )
    earlier = shop_total(scored_shop, EARLIER)
    assert (earlier.value, earlier.low, earlier.high, earlier.season) == (7.0, None, None, None)


@pytest.mark.parametrize("name", ["scores.csv", "Scores.PARQUET"])
def test_a_file_holds_the_same_rows_and_only_its_owner_reads_it(scored_shop, tmp_path, name):
    export = export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC)))
    path = write_scores(export, tmp_path / name)
    assert path.stat().st_mode & 0o777 == 0o600
    if name.endswith(".csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["user_id"], float(row["value"])) for row in rows] == [
            (safe_cell(row["user_id"] or ""), row["value"]) for row in export.rows.to_pylist()
        ]
    else:
        assert pq.read_table(path).equals(export.rows)
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".new")] == []


@pytest.mark.parametrize("name", ["scores.xlsx", "scores", "nowhere/scores.csv"])
def test_another_format_or_a_missing_folder_is_refused(scored_shop, tmp_path, name):
    with pytest.raises(BadFile):
        write_scores(export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC))), tmp_path / name)


def test_each_export_is_in_the_audit_log_without_personal_data(scored_shop):
    export_scores(RequestContext.from_name(scored_shop, now=datetime.now(UTC)))
    entry = audit_log.entries(scored_shop.store)[-1]
    assert entry.action == "scores exported"
    assert entry.details == '{"customer_count": 4, "run_id": "2024-03-01"}'


def test_before_a_run_the_export_says_what_to_do(shop):
    with pytest.raises(NoRunYet):
        export_scores(RequestContext.from_name(shop, now=datetime.now(UTC)))
